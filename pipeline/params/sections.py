"""The sections of params.yaml that hold what contents and families take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

UNHASHED = frozenset({"size", "nfiles"})
"""Keys that DVC's run cache leaves out of its hashes, at any depth (its issue 10296): outs of another value would be
restored for them."""


@dataclass(frozen=True)
class Where:
    """Marks a field that plays a part only where another one has one of some values, or none of them.

    `field` stands beside the marked one, or at the top of params.yaml.
    """

    field: str
    values: tuple[str, ...]
    among: bool = True

    def __str__(self) -> str:
        """Return it as the page of params says it."""
        said = " or ".join(self.values) if self.among else f"neither {' nor '.join(self.values)}"
        return f"`{self.field}` is {said}"


TOKENS = ("text", "code")
"""Contents made of tokens; all others are made of numbers."""
OF_TOKENS, OF_NUMBERS = Where("content", TOKENS), Where("content", TOKENS, among=False)

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes that file systems allow of a name and of a path."""


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
        raise ValueError("it must be a name")
    return value if value is None else _printable(value)


def _suffix(value: str) -> str:
    if value.strip(".") == "" or not value.startswith(".") or set(value) & set("/ "):
        raise ValueError("it must be what names of files end in: a dot and more, without blanks and slashes, like .js")
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
"""A path whose last part is a name of its own."""
RegisteredName = Annotated[str | None, Field(pattern=r'^[^/:"]+$', max_length=250), AfterValidator(_registered_name)]
"""A name that MLflow can hold, or none."""


def is_registered_name(value: str) -> bool:
    """Say whether MLflow can hold a name."""
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
"""Two numbers, or none."""


class Section(BaseModel):
    """A frozen set of fields that refuses keys it does not know."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse fields whose changes DVC would not see.

        Raises:
            TypeError: a field has one of their names.
        """
        for name, field in cls.model_fields.items():
            if UNHASHED & {name, field.alias}:
                raise TypeError(
                    f"{cls.__name__}.{name}: DVC's run cache ignores params of this name; call it otherwise"
                )


class ImageParams(Section):
    """Content `image`."""

    side: int = Field(ge=16, le=256)
    """Side of the square images, in pixels; the networks' depth follows from it."""
    channels: Annotated[Literal[1, 3], BeforeValidator(_number)]
    """1 for grey, 3 for RGB."""
    value_range: ValueRange = None
    """Black and white of files of over 8 bits that state neither, as [0, 4095]; null, the default, rejects them."""


class AudioParams(Section):
    """Content `audio`."""

    seconds: float = Field(ge=0.25, le=4)
    """Length of a sound; what is longer gives several, what is shorter is filled up with silence."""
    rate: int = Field(ge=8000, le=48_000)
    """Samples a second, in Hz; nothing above half of it is heard."""
    mels: int = Field(ge=16, le=256, multiple_of=4)
    """Bands from 0 Hz to half the rate, even on the mel scale: the height of spectrograms, of 16 ms a column or so."""
    loudness: Literal["none", "peak", "rms"]
    """What is made equal between sounds: nothing, their largest sample, or their root mean square."""


class TokenParams(Section):
    """What contents made of tokens share."""

    length: int = Field(ge=16, le=4096, multiple_of=16)
    """Tokens of a window."""
    vocabulary: Literal["bytes", "bpe"]
    """What a token is: a byte of UTF-8, or a piece of a word that byte pair encoding finds in the documents."""
    vocabulary_size: Annotated[int, Where("vocabulary", ("bpe",))] = Field(ge=258, le=65_536)
    """Tokens at most, padding included; bytes have those that the documents are made of."""
    most: int = Field(ge=0, le=100_000_000)
    """Windows that are kept, evenly spread over the documents; 0 keeps all."""


class TextParams(TokenParams):
    """Content `text`."""

    field: Printable = Field(min_length=1, max_length=255)
    """Name under which the objects of .jsonl files have their text."""


class CodeParams(TokenParams):
    """Content `code`."""

    suffix: Annotated[Printable, Field(max_length=LONGEST_NAME), AfterValidator(_suffix)]
    """Ending of the files that are read: `.py`, `.pyi` and `.pyw` as Python, others as lines that are not parsed."""


class VaeTokenParams(Section):
    """The likelihood of tokens."""

    context: int = Field(ge=1, le=64)
    """Tokens before each one that the decoder sees; the latent has to hold what is further apart."""
    word_dropout: float = Field(ge=0, lt=1)
    """Share of these tokens that training hides, so that the decoder uses the latent instead."""
    free_bits: float = Field(ge=0, le=16)
    """Bits that each dimension of the latent may hold at no cost in the loss."""
    temperature: float = Field(ge=0, le=10)
    """Of the distribution that tokens are drawn from; 0 takes the likeliest."""


class VaeParams(Section):
    """Family `vae` (Kingma & Welling 2014)."""

    latent_dim: int = Field(ge=1, le=4096)
    """Size of the latent."""
    width: int = Field(ge=8, le=512, multiple_of=8)
    """Channels of the finest patches, doubled with each halving up to four times."""
    blocks: int = Field(ge=0, le=16)
    """Residual blocks, on the coarsest grid; of sequences at each resolution."""
    learning_rate: float = Field(gt=0, le=1)
    """Peak step size of Adam."""
    beta: float = Field(ge=0, le=1000)
    """Weight of the KL term in the loss; 1 is the evidence lower bound."""
    warmup: float = Field(ge=0, le=1)
    """Share of the steps over which beta rises from 0 to its value."""
    likelihood: Annotated[Literal["gaussian", "logistic", "bernoulli"], OF_NUMBERS]
    """What a decoder says of numbers: see docs/metrics.md for what each one means for the ELBO."""
    prior: Literal["normal", "mixture"]
    """What samples are drawn from: N(0, I), or a Gaussian mixture fitted to the aggregate posterior after training."""
    components: Annotated[int, Where("prior", ("mixture",))] = Field(ge=1, le=1000)
    """Components of the mixture."""
    tokens: Annotated[VaeTokenParams, OF_TOKENS]


class GanTokenParams(Section):
    """The adversarial losses of tokens."""

    gradient_penalty: float = Field(ge=0, le=1000)
    """Weight of the critic's squared gradients in its loss."""
    temperature: float = Field(ge=0, le=10)
    """Of the distribution that tokens are drawn from; 0 takes the likeliest."""


class GanParams(Section):
    """Family `gan` (Goodfellow et al. 2014)."""

    latent_dim: int = Field(ge=1, le=4096)
    """Size of the latent."""
    width: int = Field(ge=8, le=512, multiple_of=8)
    """Channels of the finest patches, doubled with each halving up to four times."""
    blocks: int = Field(ge=0, le=16)
    """Residual blocks, on the coarsest grid; of sequences at each resolution."""
    learning_rate: float = Field(gt=0, le=1)
    """Peak step size of Adam, for the generator."""
    critic_learning_rate: float = Field(gt=0, le=1)
    """Peak step size of Adam, for the critic."""
    projection_steps: int = Field(ge=1, le=10_000)
    """Steps of Adam when a latent is sought whose sample is nearest to a given item."""
    projection_starts: int = Field(ge=1, le=64)
    """Seeded starts of that search; the nearest one counts."""
    tokens: Annotated[GanTokenParams, OF_TOKENS]
