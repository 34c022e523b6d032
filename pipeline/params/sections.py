"""The sections of params.yaml for contents and families, and the types of fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

UNHASHED = frozenset({"size", "nfiles"})
"""Keys that DVC's run cache leaves out of its hashes, at any depth (DVC's issue 10296): it would restore the outputs of
another value."""


@dataclass(frozen=True)
class Where:
    """Marks a field that applies only if another field has one of `values`, or none of them where `among` is False.

    The other field is beside the marked one, or at the top level of params.yaml.
    """

    field: str
    values: tuple[str, ...]
    among: bool = True

    def __str__(self) -> str:
        """Return the condition as docs/params.md states it."""
        values = " or ".join(self.values) if self.among else f"neither {' nor '.join(self.values)}"
        return f"`{self.field}` is {values}"


TOKENS = ("text", "code")
"""Contents made of tokens; the others are made of numbers."""
OF_TOKENS, OF_NUMBERS = Where("content", TOKENS), Where("content", TOKENS, among=False)

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Maximum length of a file name and of a path, in bytes, on common file systems."""


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("it must be without control characters")
    return value


def _location(value: str) -> str:
    parts = [len(part.encode()) for part in value.split("/")]
    if max(parts) > LONGEST_NAME or sum(parts) + len(parts) - 1 > LONGEST_PATH:
        raise ValueError(f"a path has at most {LONGEST_PATH} bytes, and {LONGEST_NAME} between two slashes")
    return value


def _folder(value: str) -> str:
    if PurePosixPath(value).name in ("", ".."):
        raise ValueError("it must end with the name of a folder")
    return value


def _registered_name(value: str | None) -> str | None:
    if value is not None and (not value.strip() or value in (".", "..")):
        raise ValueError("it must be a name, not blank, . or ..")
    return value if value is None else _printable(value)


def _suffix(value: str) -> str:
    if value.strip(".") == "" or not value.startswith(".") or set(value) & set("/ "):
        raise ValueError("it must be the ending of a file name: a dot and more, without blanks and slashes, like .js")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("it must be a number")
    return value


Printable = Annotated[str, AfterValidator(_printable)]
"""Text without control characters."""
Location = Annotated[Printable, Field(min_length=1), AfterValidator(_location)]
"""A path that a file system can hold."""
Folder = Annotated[Location, AfterValidator(_folder)]
"""A path whose last part is a name."""
RegisteredName = Annotated[str | None, Field(pattern=r'^[^/:"]+$', max_length=250), AfterValidator(_registered_name)]
"""A name that MLflow accepts for a registered model, or None."""


def is_registered_name(value: str) -> bool:
    """Return whether MLflow accepts a name for a registered model."""
    try:
        TypeAdapter(RegisteredName).validate_python(value)
    except ValidationError:
        return False
    return True


def _rising(value: list[float] | None) -> list[float] | None:
    if value is not None and not (len(value) == 2 and value[0] < value[1]):
        raise ValueError("it must be two numbers, the first below the second")
    return value


ValueRange = Annotated[list[float] | None, AfterValidator(_rising)]
"""Two rising numbers, or None."""


class Section(BaseModel):
    """A frozen set of fields that refuses keys it does not know."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse fields whose changes DVC would not detect.

        Raises:
            TypeError: a field or its alias is in `UNHASHED`.
        """
        for name, field in cls.model_fields.items():
            if UNHASHED & {name, field.alias}:
                raise TypeError(f"{cls.__name__}.{name}: DVC's run cache ignores params of this name; rename it")


class ImageParams(Section):
    """Content `image`."""

    side: int = Field(ge=16, le=256)
    """Side of the square images, in pixels; it determines the depth of the networks."""
    channels: Annotated[Literal[1, 3], BeforeValidator(_number)]
    """1 for grey, 3 for RGB."""
    value_range: ValueRange = None
    """Black and white, as [0, 4095], of files of over 8 bits that state neither; null (default) rejects such files."""


class AudioParams(Section):
    """Content `audio`."""

    seconds: float = Field(ge=0.25, le=4)
    """Length of an item; longer sounds are cut into several items, shorter ones are padded with silence."""
    rate: int = Field(ge=8000, le=48_000)
    """Sampling rate in Hz; frequencies above half of it are lost."""
    mels: int = Field(ge=16, le=256, multiple_of=4)
    """Bands from 0 Hz to half the rate, even on the mel scale: the height of spectrograms; a column is about 16 ms."""
    loudness: Literal["none", "peak", "rms"]
    """Level to equalise between sounds: none, the largest sample (peak), or the root mean square (rms)."""


class TokenParams(Section):
    """Fields that contents made of tokens share."""

    length: int = Field(ge=16, le=4096, multiple_of=16)
    """Tokens per window."""
    vocabulary: Literal["bytes", "bpe"]
    """Kind of token: a byte of UTF-8, or a piece of a word that byte pair encoding learns from the documents."""
    vocabulary_size: Annotated[int, Where("vocabulary", ("bpe",))] = Field(ge=258, le=65_536)
    """Maximum number of different tokens, padding included; with bytes, those that occur in the documents."""
    most: int = Field(ge=0, le=100_000_000)
    """Maximum number of windows, evenly spread over the documents; 0 keeps all."""


class TextParams(TokenParams):
    """Content `text`."""

    field: Printable = Field(min_length=1, max_length=255)
    """Key of the text in the objects of .jsonl files."""


class CodeParams(TokenParams):
    """Content `code`."""

    suffix: Annotated[Printable, Field(max_length=LONGEST_NAME), AfterValidator(_suffix)]
    """Ending of the files to read: `.py`, `.pyi` and `.pyw` are parsed as Python, others are read as plain lines."""


class FamilyParams(Section):
    """What all families share."""

    latent_dim: int = Field(ge=1, le=4096)
    """Number of dimensions of the latent."""
    width: int = Field(ge=8, le=512, multiple_of=8)
    """Channels at the finest resolution; doubled with each halving of the side, up to four times this number."""
    blocks: int = Field(ge=0, le=16)
    """Residual blocks: on the coarsest grid, and in sequences at each resolution."""


class VaeTokenParams(Section):
    """The likelihood of tokens."""

    context: int = Field(ge=1, le=64)
    """Number of preceding tokens that the decoder sees; the latent has to carry what is further apart."""
    word_dropout: float = Field(ge=0, lt=1)
    """Share of these tokens that are masked in training, so that the decoder uses the latent."""
    free_bits: float = Field(ge=0, le=16)
    """Bits that each dimension of the latent may hold at no cost in the loss."""
    temperature: float = Field(ge=0, le=10)
    """Temperature of the distribution of tokens; 0 takes the likeliest token."""


class VaeParams(FamilyParams):
    """Family `vae` (Kingma & Welling 2014)."""

    learning_rate: float = Field(gt=0, le=1)
    """Peak learning rate of Adam."""
    beta: float = Field(ge=0, le=1000)
    """Weight of the KL term in the loss; 1 is the evidence lower bound."""
    warmup: float = Field(ge=0, le=1)
    """Share of the steps over which beta rises from 0 to its value."""
    likelihood: Annotated[Literal["gaussian", "logistic", "bernoulli"], OF_NUMBERS]
    """Distribution of numbers given the latent; docs/metrics.md says what each one means for the ELBO."""
    prior: Literal["normal", "mixture"]
    """Prior of samples: N(0, I), or a Gaussian mixture fitted to the aggregate posterior after training."""
    components: Annotated[int, Where("prior", ("mixture",))] = Field(ge=1, le=1000)
    """Number of components of the mixture."""
    tokens: Annotated[VaeTokenParams, OF_TOKENS]


class GanTokenParams(Section):
    """The adversarial losses of tokens."""

    gradient_penalty: float = Field(ge=0, le=1000)
    """Weight of the critic's squared gradients in its loss."""
    temperature: float = Field(ge=0, le=10)
    """Temperature of the distribution of tokens; 0 takes the likeliest token."""


class GanParams(FamilyParams):
    """Family `gan` (Goodfellow et al. 2014)."""

    learning_rate: float = Field(gt=0, le=1)
    """Peak learning rate of Adam for the generator."""
    critic_learning_rate: float = Field(gt=0, le=1)
    """Peak learning rate of Adam for the critic."""
    projection_steps: int = Field(ge=1, le=10_000)
    """Steps of Adam in the search for the latent whose sample is nearest to an item."""
    projection_starts: int = Field(ge=1, le=64)
    """Seeded starts of that search; the nearest result counts."""
    tokens: Annotated[GanTokenParams, OF_TOKENS]
