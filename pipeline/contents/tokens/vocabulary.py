"""Vocabularies, which turn texts into tokens and back. Token 0 is padding and stands for no byte anywhere."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer


ALL_BYTES = range(1, 256)
"""The bytes that a text may contain: all but NUL."""
BLOCK = 1 << 20
"""Characters processed at a time."""
LONG = 256
"""Characters beyond which byte pair encoding learns from parts of a word, since each merge reads whole words."""
LONG_WORD = re.compile(rf"(?<!\S)\S{{{LONG + 1},}}")


class Vocabulary(Protocol):
    """Tokens, each of which stands for some bytes of UTF-8.

    Attributes:
        size: the number of tokens, padding included.
    """

    size: int

    def tokens(self, text: str) -> NDArray[np.integer]:
        """Return the tokens of a text, without padding."""
        ...

    def data(self, tokens: NDArray[np.integer]) -> bytes:
        """Return the bytes that tokens stand for."""
        ...

    def lengths(self) -> NDArray[np.int64]:
        """Return how many bytes each token stands for, (size,)."""
        ...


class Bytes:
    """The bytes of UTF-8 in an alphabet without NUL: token t is byte t - 1 of the alphabet."""

    def __init__(self, alphabet: Sequence[int] = ALL_BYTES) -> None:
        """Set the alphabet.

        Raises:
            ValueError: it is not a list of bytes in rising order.
        """
        if not isinstance(alphabet, list | range) or any(type(byte) is not int for byte in alphabet):
            raise ValueError(f"alphabet is {reprlib.repr(alphabet)}; it must be a list of whole numbers")
        if any(not low < byte < 256 for low, byte in pairwise([0, *alphabet])):
            raise ValueError(f"alphabet is {reprlib.repr(alphabet)}; it must hold bytes from 1 to 255, in rising order")
        self.size = 1 + len(alphabet)
        self._bytes = np.array([0, *alphabet], np.uint8)
        self._tokens = np.zeros(256, np.uint8)
        self._tokens[self._bytes[1:]] = np.arange(1, self.size)

    def tokens(self, text: str) -> NDArray[np.integer]:
        """Return the tokens of a text's bytes, without those outside the alphabet."""
        tokens = self._tokens[np.frombuffer(text.encode(errors="replace"), np.uint8)]
        found: NDArray[np.uint8] = tokens[tokens != 0]
        return found

    def data(self, tokens: NDArray[np.integer]) -> bytes:
        """Return the bytes of all tokens but padding."""
        found: NDArray[np.uint8] = self._bytes[tokens[tokens != 0]]
        return found.tobytes()

    def lengths(self) -> NDArray[np.int64]:
        """Return 1 for every token but padding."""
        return (np.arange(self.size) > 0).astype(np.int64)


class Bpe:
    """Byte pair encoding of bytes (Sennrich et al. 2016; Radford et al. 2019), which can encode any text.

    Token t is token t - 1 of the tokenizer, so that no text is mistaken for padding.
    """

    def __init__(self, tokenizer: str) -> None:
        """Set the tokenizer, as JSON of the `tokenizers` library.

        Raises:
            ValueError: it is not a tokenizer, or not of the kind that `learn_bpe` returns.
        """
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Tokenizer = Tokenizer.from_str(tokenizer)
        except Exception as error:  # the library raises no class of its own
            raise ValueError(
                f"tokenizer is {reprlib.repr(tokenizer)}, which the tokenizers library cannot read ({error})"
            ) from error
        pieces = self._tokenizer.get_vocab()
        if _frame(self._tokenizer) != _frame(_byte_level()) or sorted(pieces.values()) != list(range(len(pieces))):
            raise ValueError("tokenizer is not a byte-level BPE with tokens numbered from 0")
        if not pieces.keys() >= set(_alphabet()) or set("".join(pieces)) - set(_alphabet()):
            raise ValueError("tokenizer lacks tokens for some bytes, or has tokens that are not bytes")
        self.size = len(pieces) + 1

    def tokens(self, text: str) -> NDArray[np.integer]:
        """Return the tokens of a text."""
        whole = text.encode(errors="replace").decode()
        return np.asarray(self._tokenizer.encode(whole).ids, np.int64) + 1

    def data(self, tokens: NDArray[np.integer]) -> bytes:
        """Return the concatenated bytes of all tokens."""
        return b"".join(self._bytes[token] for token in tokens.tolist())

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of bytes of each token; padding has none."""
        return np.asarray([len(each) for each in self._bytes])

    @cached_property
    def _bytes(self) -> list[bytes]:
        byte_of = {character: byte for byte, character in enumerate(_alphabet())}
        names = sorted(self._tokenizer.get_vocab().items(), key=lambda each: each[1])
        return [b"", *(bytes(byte_of[character] for character in name) for name, _ in names)]


def learn_bytes(texts: Iterable[str]) -> list[int]:
    """Return the bytes that occur in some texts, without NUL, in rising order."""
    found = np.zeros(256, bool)
    for text in texts:
        for at in range(0, len(text), BLOCK):  # numpy turns each byte into an index of eight bytes
            found[np.frombuffer(text[at : at + BLOCK].encode(errors="replace"), np.uint8)] = True
    return [int(byte) for byte in np.flatnonzero(found) if byte]


def learn_bpe(texts: Iterable[str], size: int) -> str:
    """Learn a tokenizer of `size` tokens (padding included) from some texts, and return its JSON.

    Texts with few different words give fewer tokens.
    """
    from tokenizers import trainers

    tokenizer = _byte_level()
    trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=sorted(_alphabet()), show_progress=False)
    tokenizer.train_from_iterator((LONG_WORD.sub(_in_parts, text) for text in texts), trainer)
    found: str = tokenizer.to_str()
    return found


def _byte_level() -> Tokenizer:
    """Return an untrained byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _frame(tokenizer: Tokenizer) -> Any:
    """Return the settings of a tokenizer: all of it but its tokens and merges."""
    tree = json.loads(tokenizer.to_str())
    return tree | {"model": {name: value for name, value in tree["model"].items() if name not in ("vocab", "merges")}}


def _in_parts(word: re.Match[str]) -> str:
    return " ".join(word[0][at : at + LONG] for at in range(0, len(word[0]), LONG))


def _alphabet() -> list[str]:
    """Return the character that byte-level tokenizers write for each byte: the same one where it is printable."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(others)) for byte in range(0x100)]
