"""The typed schema of params.yaml: one class per section, one attribute per field."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from pipeline.params import sections
from pipeline.params.sections import Folder, Location, RegisteredName, Section, Where
from pipeline.system import validation, yaml_files
from pipeline.system.errors import ParamsError

FILE = "params.yaml"


class Split(Section):
    """Shares of the items; a source with a standard test split keeps it, and only train and val are divided."""

    train: float = Field(gt=0, lt=1)
    """Share of the items to train on."""
    val: float = Field(gt=0, lt=1)
    """Share of the items to choose settings on."""
    test: float = Field(gt=0, lt=1)
    """Share of the items to compute scores on."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test is {total:g}; it must be 1")
        return self


class PrepareParams(Section):
    """How raw files become encoded arrays."""

    source: Folder
    """Folder of raw files: a name inside data/raw, or an absolute path."""
    split: Split
    """Shares of train, val and test."""
    max_rejected: float = Field(ge=0, le=1)
    """Largest share of unusable files; a line of a JSON lines file and a picture in an archive count as files."""
    max_file_mib: int = Field(ge=1, le=1 << 20)
    """Maximum size of a file in MiB, both as stored and unpacked; larger files are rejected."""
    follow_links: bool
    """Whether to follow links to files and folders outside the source; otherwise each such link is rejected."""


IN_DOMAIN, INCEPTION = Where("extractor", ("in_domain",)), Where("extractor", ("inception",))


class FeaturesParams(Section):
    """The extractor, which turns items into the features that scores compare."""

    extractor: Literal["in_domain", "inception"]
    """A classifier trained on the data, or Inception-v3 as published by torch-fidelity: see docs/metrics.md."""
    epochs: Annotated[int, IN_DOMAIN] = Field(ge=1, le=1000)
    """Passes over the train split."""
    width: Annotated[int, IN_DOMAIN] = Field(ge=8, le=512, multiple_of=8)
    """Channels of the classifier's first layer."""
    dimensions: Annotated[int, IN_DOMAIN] = Field(ge=8, le=2048)
    """Number of features of an item."""
    weights: Annotated[Location, INCEPTION]
    """File of weights, or folder for the published file, which is downloaded if it is missing."""
    precision: Annotated[Literal["float32", "bfloat16"], INCEPTION]
    """Number format in which the network computes."""


class TrainParams(Section):
    """Settings of the training of any family."""

    epochs: int = Field(ge=1, le=100_000)
    """Passes over the train split."""
    batch_size: int = Field(ge=1, le=65_536)
    """Items per step, over all processes; at most the number of items in train."""
    warmup_steps: int = Field(ge=0, le=1_000_000)
    """Steps over which the learning rate rises from 0."""
    cooldown: float = Field(ge=0, le=1)
    """Share of the steps, at the end of training, over which the learning rate falls to 0."""
    ema: float = Field(ge=0, lt=1)
    """Decay per step of the moving average of the weights, which is what is saved; 0 saves the last weights."""


class EvaluateParams(Section):
    """Scores on test."""

    samples: int = Field(ge=100, le=10_000_000)
    """Number of samples to compare with test."""
    reconstructions: int = Field(ge=1, le=10_000_000)
    """Number of test items to reconstruct; all of them if test has fewer."""


class RegisterParams(Section):
    """The registry."""

    name: RegisteredName
    """Name of the registered model; null uses the name of the source."""


class GateParams(Section):
    """Conditions that `pipeline promote` sets for a challenger; no stage reads them."""

    decides: list[str] = Field(min_length=1)
    """Scores of which one must be better than the champion's, and none worse; scores that a model lacks are ignored."""
    must_not_fall: list[str]
    """Scores of which none may be worse than the champion's."""
    at_most: dict[str, float]
    """Upper limits by score, with or without a champion: a score's interval may not lie wholly above its limit."""
    at_least: dict[str, float]
    """Lower limits by score, with or without a champion: a score's interval may not lie wholly below its limit."""


class RuntimeParams(Section):
    """Where and how training runs: no stage depends on these, so changing them keeps every cached result."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    """Kind of device to train on; auto uses the available one."""
    devices: int = Field(ge=1, le=1024)
    """Processes on each machine; each batch is divided among all processes."""
    nodes: int = Field(ge=1, le=4096)
    """Number of machines; docs/reliability.md states how to start the processes on the others."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    """Number format of the training; auto uses bf16-mixed if the processor supports it: see docs/reproducibility.md."""
    checkpoint_seconds: float = Field(gt=0, le=86_400)
    """Seconds between two checkpoints of a running training; the end of each epoch writes one as well."""

    @property
    def processes(self) -> int:
        """Number of processes of a training, over all machines."""
        return self.devices * self.nodes


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(ge=0, lt=2**32)
    """Seed of all randomness."""
    content: Literal["image", "audio", "text", "code"]
    """Kind of data; the section of the same name holds its parameters."""
    family: Literal["vae", "gan"]
    """Kind of model; the section of the same name holds its parameters."""
    prepare: PrepareParams
    image: Annotated[sections.ImageParams, Where("content", ("image",))]
    audio: Annotated[sections.AudioParams, Where("content", ("audio",))]
    text: Annotated[sections.TextParams, Where("content", ("text",))]
    code: Annotated[sections.CodeParams, Where("content", ("code",))]
    features: FeaturesParams
    vae: Annotated[sections.VaeParams, Where("family", ("vae",))]
    gan: Annotated[sections.GanParams, Where("family", ("gan",))]
    train: TrainParams
    evaluate: EvaluateParams
    register_: RegisterParams = Field(alias="register")
    gate: GateParams
    runtime: RuntimeParams

    @model_validator(mode="after")
    def _gate_names_scores_of_the_extractor(self) -> Self:
        mine, other = self.features.extractor, "in_domain" if self.features.extractor == "inception" else "inception"
        gate = self.gate
        named = (*gate.decides, *gate.must_not_fall, *gate.at_most, *gate.at_least)
        # contents with frechet scores support a single extractor
        wrong = [name for name in named if other in name and not name.startswith("frechet")]
        if wrong:
            right = ", ".join(name.replace(other, mine) for name in wrong)
            raise ValueError(f"gate names {', '.join(wrong)}, but features.extractor is {mine}; name {right} there")
        return self

    @model_validator(mode="after")
    def _source_has_a_name_for_the_registry(self) -> Self:
        name = Path(self.prepare.source).name
        if self.register_.name is None and not sections.is_registered_name(name):
            raise ValueError(
                f"prepare.source ends in {reprlib.repr(name)}, which cannot name a registered model; set register.name"
            )
        return self

    @property
    def of_data(self) -> dict[str, Any]:
        """The parameters that prepared data depend on, nested as in the file."""
        section = {self.content: self.content_section.model_dump()}
        return {"seed": self.seed, "content": self.content, "prepare": self.prepare.model_dump()} | section

    @property
    def of_features(self) -> dict[str, Any]:
        """The parameters that features depend on, besides those of their data."""
        return {"seed": self.seed, "features": self.features.model_dump()}

    @property
    def of_model(self) -> dict[str, Any]:
        """The parameters that a model depends on, those of its data included."""
        section = {self.family: self.family_section.model_dump()}
        return self.of_data | {"family": self.family, "train": self.train.model_dump()} | section

    @property
    def content_section(self) -> Section:
        """The section of the chosen content."""
        section: Section = getattr(self, self.content)
        return section

    @property
    def family_section(self) -> Section:
        """The section of the chosen family."""
        section: Section = getattr(self, self.family)
        return section

    @classmethod
    def load(cls, folder: Path) -> Params:
        """Read and check the parameter file of a workspace.

        Raises:
            ParamsError: the file is missing, is not YAML, or holds a value that is not allowed.
        """
        path = folder / FILE
        try:
            tree = yaml_files.parse(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ParamsError(f"{path}: cannot be read as YAML ({error})") from error
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise ParamsError(f"{FILE}: " + validation.line(error, cls)) from error


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping (or a section) as a flat one, keyed by dotted paths."""
    if isinstance(tree, BaseModel):
        tree = tree.model_dump(by_alias=True)
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    parts = (flatten(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in tree.items())
    return {path: value for part in parts for path, value in part.items()}
