"""params.yaml, typed and checked: one class a section, one line a field."""

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
    """Shares of the items; a source with a standard test split keeps it, and divides the rest between train and val."""

    train: float = Field(gt=0, lt=1)
    """Share that the model learns from."""
    val: float = Field(gt=0, lt=1)
    """Share that settings are chosen on."""
    test: float = Field(gt=0, lt=1)
    """Share that scores are measured on."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test is {total:g}; it must be 1")
        return self


class PrepareParams(Section):
    """Raw files to encoded arrays."""

    source: Folder
    """Folder of raw files: a name inside data/raw, or an absolute path."""
    split: Split
    """Shares of train, val and test."""
    max_rejected: float = Field(ge=0, le=1)
    """Largest share of files that may be unusable; a line of JSON lines is one as well, and a picture of an archive."""
    max_file_mib: int = Field(ge=1, le=1 << 20)
    """What a file may have at most, as it lies there and unpacked, in MiB; larger ones are rejected."""
    follow_links: bool
    """Whether links to files and folders outside the source are followed; each of them is rejected otherwise."""


IN_DOMAIN, INCEPTION = Where("extractor", ("in_domain",)), Where("extractor", ("inception",))


class FeaturesParams(Section):
    """What turns items into the features that scores compare."""

    extractor: Literal["in_domain", "inception"]
    """A classifier of the data themselves, or Inception-v3 as torch-fidelity publishes it: see docs/metrics.md."""
    epochs: Annotated[int, IN_DOMAIN] = Field(ge=1, le=1000)
    """Passes over train."""
    width: Annotated[int, IN_DOMAIN] = Field(ge=8, le=512, multiple_of=8)
    """Channels of its first layer."""
    dimensions: Annotated[int, IN_DOMAIN] = Field(ge=8, le=2048)
    """Number of features."""
    weights: Annotated[Location, INCEPTION]
    """A file of weights, or a folder for the published one, which is downloaded where it is missing."""
    precision: Annotated[Literal["float32", "bfloat16"], INCEPTION]
    """Arithmetic of the network."""


class TrainParams(Section):
    """Training, whatever the family."""

    epochs: int = Field(ge=1, le=100_000)
    """Passes over train."""
    batch_size: int = Field(ge=1, le=65_536)
    """Items a step, over all processes; at most the number of items in train."""
    warmup_steps: int = Field(ge=0, le=1_000_000)
    """Steps over which the learning rate rises from 0."""
    cooldown: float = Field(ge=0, le=1)
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    ema: float = Field(ge=0, lt=1)
    """Decay a step of the moving average of the weights, which is what is saved; 0 keeps the last weights."""


class EvaluateParams(Section):
    """Scores on test."""

    samples: int = Field(ge=100, le=10_000_000)
    """Number of samples that are compared with test."""
    reconstructions: int = Field(ge=1, le=10_000_000)
    """Items of test that are reconstructed; all of them where test has fewer."""


class RegisterParams(Section):
    """The registry."""

    name: RegisteredName
    """Name of the registered model; null takes the name of the source."""


class GateParams(Section):
    """What `pipeline promote` asks of a challenger; no stage reads it."""

    decides: list[str] = Field(min_length=1)
    """Scores of which one has to be better than the champion's, and none worse; those count that the content has."""
    must_not_fall: list[str]
    """Scores of which none may be worse than the champion's."""
    at_most: dict[str, float]
    """Scores whose interval may not lie wholly above a limit, champion or not."""
    at_least: dict[str, float]
    """Scores whose interval may not lie wholly below a limit, champion or not."""


class RuntimeParams(Section):
    """Where it runs: no stage depends on these, and changing them keeps every cached result."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    """Where the model trains; auto takes what is there."""
    devices: int = Field(ge=1, le=1024)
    """Processes on each machine; a step's batch is divided among all of them."""
    nodes: int = Field(ge=1, le=4096)
    """Machines; see docs/reliability.md for how the processes on the others are started."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    """Arithmetic of the training; auto takes bf16-mixed on processors that have it: see docs/reproducibility.md."""
    checkpoint_seconds: float = Field(gt=0, le=86_400)
    """Seconds between two checkpoints of a training in progress; there is one at the end of each epoch as well."""

    @property
    def processes(self) -> int:
        """All processes of a training."""
        return self.devices * self.nodes


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(ge=0, lt=2**32)
    """Where all randomness comes from."""
    content: Literal["image", "audio", "text", "code"]
    """Kind of data; its section holds its parameters."""
    family: Literal["vae", "gan"]
    """Kind of model; its section holds its parameters."""
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
        # scores that are called frechet are those of contents that know one extractor alone
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
                f"no model can be registered as {reprlib.repr(name)}, as prepare.source is called; set register.name"
            )
        return self

    @property
    def of_data(self) -> dict[str, Any]:
        """The parameters that prepared data depend on, nested as in the file."""
        section = {self.content: self.content_section.model_dump()}
        return {"seed": self.seed, "content": self.content, "prepare": self.prepare.model_dump()} | section

    @property
    def of_features(self) -> dict[str, Any]:
        """Those that features depend on besides."""
        return {"seed": self.seed, "features": self.features.model_dump()}

    @property
    def of_model(self) -> dict[str, Any]:
        """Those that a model depends on, with those of its data."""
        section = {self.family: self.family_section.model_dump()}
        return self.of_data | {"family": self.family, "train": self.train.model_dump()} | section

    @property
    def content_section(self) -> Section:
        """The section that `content` names."""
        section: Section = getattr(self, self.content)
        return section

    @property
    def family_section(self) -> Section:
        """The section that `family` names."""
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
    """Return a nested mapping (or a section) as one level of dotted paths."""
    if isinstance(tree, BaseModel):
        tree = tree.model_dump(by_alias=True)
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    parts = (flatten(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in tree.items())
    return {path: value for part in parts for path, value in part.items()}
