"""The only source of keyed randomness: one stream cipher per (section key, label), and uniform draws from it.

Everything random about a sealed code is drawn here. HKDF makes from the section key the key of one ChaCha20 stream
for each label (RFC 8439, nonce and counter zero). A section key is used for one section of one package and never
again, so no stream is ever used twice; it enters HKDF and nothing else.

Uniformity is exact, not approximate: whenever the stream is uniformly random, so is what is drawn. `bounded` rejects
the words that would give a modulo bias; `permutation` is the order of distinct words, and draws again when two of
them are equal. Both are plain functions of words, so that tests can go through every word sequence of a narrow word.
"""

from __future__ import annotations

import secrets
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

KEY_BYTES = 32
SALT_BYTES = 16
MAX_CELLS = 1 << 28

_MAX_STREAM_BYTES = 1 << 36
_CHUNK_BYTES = 1 << 22


class Stream(Protocol):
    """What a keystream offers to those who draw from it.

    Attributes:
        word_bits: width of a word; `words` are uniform in [0, 2**word_bits).
    """

    word_bits: int

    def bytes(self, count: int) -> bytes: ...

    def words(self, count: int) -> NDArray[np.uint64]: ...

    def permutation(self, cells: int) -> NDArray[np.int64]: ...


class Keystream:
    """The ChaCha20 stream of one section key under one label.

    Args:
        key: the section key, 32 bytes, derived for this section of this package and for nothing else.
        label: the purpose; streams of different labels are independent.
    """

    word_bits = 64

    def __init__(self, key: bytes, label: str) -> None:
        stream_key = derive(key, b"medveil/v1/keystream/" + label.encode())
        self._cipher = Cipher(ChaCha20(stream_key, bytes(16)), mode=None).encryptor()
        self._drawn = 0

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes of the stream."""
        return self._draw(count).tobytes()

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` words, little-endian, uniform in [0, 2**64)."""
        return self._draw(8 * count).view("<u8").astype(np.uint64, copy=False)

    def permutation(self, cells: int) -> NDArray[np.int64]:
        """A permutation of range(cells), each of the `cells`! equally likely."""
        return permutation(self, cells)

    def bounded(self, bound: int, count: int) -> NDArray[np.int64]:
        """`count` independent draws, each uniform in [0, bound)."""
        return bounded(self, bound, count)

    def _draw(self, count: int) -> NDArray[np.uint8]:
        self._drawn += count
        if count < 0 or self._drawn > _MAX_STREAM_BYTES:
            raise ValueError(f"a keystream gives at most {_MAX_STREAM_BYTES} bytes, not {self._drawn}")
        drawn = np.zeros(count, np.uint8)
        for start in range(0, count, _CHUNK_BYTES):
            part = drawn[start : start + _CHUNK_BYTES]
            self._cipher.update_into(part.tobytes(), part.data)
        return drawn


def permutation(stream: Stream, cells: int) -> NDArray[np.int64]:
    """Draw a permutation of range(cells) as the order of `cells` distinct words.

    Given that the words are distinct, each of their orders is equally likely, so the permutation is exactly uniform;
    words with a repetition are thrown away and drawn anew (at 64 bits, once in 10**5 draws for 2**24 cells).

    Returns:
        (cells,) int64.
    """
    if not 0 <= cells <= MAX_CELLS:
        raise ValueError(f"a permutation has 0 to {MAX_CELLS} cells, not {cells}")
    if cells > 1 << min(stream.word_bits, 62):
        raise ValueError(f"{cells} distinct words of {stream.word_bits} bits do not exist")
    while True:
        order = order_of(stream.words(cells), stream.word_bits)
        if order is not None:
            return order


def order_of(words: NDArray[np.uint64], word_bits: int) -> NDArray[np.int64] | None:
    """The indices that sort `words`, or None when two of the words are equal.

    Sorts words whose low bits are replaced by their index, which is several times faster than an argsort, and then
    puts the few words right that differ in those low bits only.
    """
    cells = len(words)
    index_bits = np.uint64(max(cells - 1, 1).bit_length())
    mask = np.uint64((1 << int(index_bits)) - 1)
    if word_bits < 64:
        words = words << np.uint64(64 - word_bits)
    packed = words & ~mask
    packed |= np.arange(cells, dtype=np.uint64)
    packed.sort()
    tied = np.flatnonzero((packed[1:] ^ packed[:-1]) <= mask)
    packed &= mask
    order: NDArray[np.int64] = packed.view(np.int64)
    if len(tied):
        places = np.union1d(tied, tied + 1)
        close = order[places]
        ranks = np.argsort(words[close], kind="stable")
        close_words = words[close][ranks]
        if np.any(close_words[1:] == close_words[:-1]):
            return None
        order[places] = close[ranks]
    return order


def bounded(stream: Stream, bound: int, count: int) -> NDArray[np.int64]:
    """Draw `count` integers, each exactly uniform in [0, bound), by rejecting the incomplete last multiple of bound."""
    size = 1 << stream.word_bits
    if not 1 <= bound <= min(size, 1 << 62):
        raise ValueError(f"a bound is 1 to 2**{min(stream.word_bits, 62)}, not {bound}")
    largest = np.uint64(size - size % bound - 1)
    kept: list[NDArray[np.uint64]] = []
    missing = count
    while missing:
        words = stream.words(missing)
        words = words[words <= largest]
        kept.append(words % np.uint64(bound))
        missing -= len(words)
    return np.concatenate([*kept, np.empty(0, np.uint64)]).astype(np.int64)


class SystemStream:
    """Randomness of the operating system, in the shape of a keystream: for what nobody has to draw again."""

    word_bits = 64

    def bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.frombuffer(secrets.token_bytes(8 * count), "<u8").astype(np.uint64)

    def permutation(self, cells: int) -> NDArray[np.int64]:
        return permutation(self, cells)

    def bounded(self, bound: int, count: int) -> NDArray[np.int64]:
        return bounded(self, bound, count)


def fresh_key() -> bytes:
    """32 bytes from the operating system."""
    return secrets.token_bytes(KEY_BYTES)


def fresh_salt() -> bytes:
    """16 bytes from the operating system: what makes the section keys of one write differ from those of any other."""
    return secrets.token_bytes(SALT_BYTES)


def commit(key: bytes) -> bytes:
    """The public commitment to a section key, 32 bytes: nobody can find a second key with the same one."""
    return derive(key, b"commit")


def derive(key: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt: 32 bytes from a section key, independent for each `info`."""
    _check_key(key)
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info).derive(key)


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a section key has {KEY_BYTES} bytes, not {len(key)}")
