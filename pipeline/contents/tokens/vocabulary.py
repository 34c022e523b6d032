"""Vocabularies: what a text's tokens are. Token 0 is padding, which stands for no byte, wherever it is."""

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
"""Those that a text may have; NUL is none of them."""
BLOCK = 1 << 20
"""Characters that are worked on at a time."""
LONG = 256
"""Characters of a word beyond which byte pair encoding is learnt from its parts: each merge reads a word whole."""
LONG_WORD = re.compile(rf"(?<!\S)\S{{{LONG + 1},}}")


class Vocabulary(Protocol):
    """Tokens, each of which stands for some bytes of UTF-8.

    Attributes:
        size: how many tokens there are, padding included.
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
    """Bytes of UTF-8, those of an alphabet without NUL: token t is its byte t - 1."""

    def __init__(self, alphabet: Sequence[int] = ALL_BYTES) -> None:
        """Set the bytes that there are.

        Raises:
            ValueError: they are not bytes in rising order.
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
        """Return the bytes' tokens; those that are not in the alphabet are left out."""
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
    """Byte pair encoding of bytes (Sennrich et al. 2016; Radford et al. 2019), which can write any text.

    The tokenizer's own tokens come after padding: token t here is t - 1 there, so that no text is mistaken for padding.
    """

    def __init__(self, tokenizer: str) -> None:
        """Set the tokenizer, as JSON of the `tokenizers` library.

        Raises:
            ValueError: it is none, or one of another kind than those that are learnt.
        """
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Tokenizer = Tokenizer.from_str(tokenizer)
        except Exception as error:  # the library raises no class of its own
            raise ValueError(f"tokenizer is {reprlib.repr(tokenizer)}, which is none ({error})") from error
        pieces = self._tokenizer.get_vocab()
        if _frame(self._tokenizer) != _frame(_byte_level()) or sorted(pieces.values()) != list(range(len(pieces))):
            raise ValueError("tokenizer is not one of byte pairs, numbered from 0")
        if not pieces.keys() >= set(_alphabet()) or set("".join(pieces)) - set(_alphabet()):
            raise ValueError("tokenizer has not all bytes among its tokens, or more than bytes in them")
        self.size = len(pieces) + 1

    def tokens(self, text: str) -> NDArray[np.integer]:
        """Return the tokens of a text."""
        whole = text.encode(errors="replace").decode()
        return np.asarray(self._tokenizer.encode(whole).ids, np.int64) + 1

    def data(self, tokens: NDArray[np.integer]) -> bytes:
        """Return the bytes of all tokens, one after the other."""
        return b"".join(self._bytes[token] for token in tokens.tolist())

    def lengths(self) -> NDArray[np.int64]:
        """Return the bytes of each token; padding has none."""
        return np.asarray([len(each) for each in self._bytes])

    @cached_property
    def _bytes(self) -> list[bytes]:
        byte_of = {character: byte for byte, character in enumerate(_alphabet())}
        names = sorted(self._tokenizer.get_vocab().items(), key=lambda each: each[1])
        return [b"", *(bytes(byte_of[character] for character in name) for name, _ in names)]


def learn_bytes(texts: Iterable[str]) -> list[int]:
    """Return the bytes that some texts are made of, without NUL."""
    found = np.zeros(256, bool)
    for text in texts:
        for at in range(0, len(text), BLOCK):  # numpy makes indices of eight bytes of each byte
            found[np.frombuffer(text[at : at + BLOCK].encode(errors="replace"), np.uint8)] = True
    return [int(byte) for byte in np.flatnonzero(found) if byte]


def learn_bpe(texts: Iterable[str], size: int) -> str:
    """Return the tokenizer of `size` tokens (padding included) that some texts ask for, as JSON.

    Texts of few different words give fewer tokens.
    """
    from tokenizers import trainers

    tokenizer = _byte_level()
    trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=sorted(_alphabet()), show_progress=False)
    tokenizer.train_from_iterator((LONG_WORD.sub(_in_parts, text) for text in texts), trainer)
    found: str = tokenizer.to_str()
    return found


def _byte_level() -> Tokenizer:
    """Return a tokenizer that has learnt nothing yet."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _frame(tokenizer: Tokenizer) -> Any:
    """Return all that a tokenizer is but its tokens."""
    tree = json.loads(tokenizer.to_str())
    return tree | {"model": {name: value for name, value in tree["model"].items() if name not in ("vocab", "merges")}}


def _in_parts(word: re.Match[str]) -> str:
    return " ".join(word[0][at : at + LONG] for at in range(0, len(word[0]), LONG))


def _alphabet() -> list[str]:
    """Return the character that byte-level tokenizers write for each byte: itself where it can be seen."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(others)) for byte in range(0x100)]
