"""Sealing: a sparse code of public composition becomes a public code whose law does not depend on it.

What is written, for a composition (N_l, S_l for each map l, and the length of the level stream):
  1. each map is padded to exactly S_l entries with nulls (level 0), by a fixed rule;
  2. the S_l positions go through a permutation of all N_l cells, and are listed in increasing order;
  3. the S_l sign bits, in that order, are XORed with a keystream (a null's sign is 0);
  4. the level stream (side bytes, magnitudes, null marks; padded with zero bytes) is XORed with a keystream.
The permutations, sign masks and the level mask are independent streams of one section key (keystream.py).

Argument. Let the keystreams be uniformly random. The image of any S-subset under a uniform permutation of all N
cells is a uniform S-subset; bits XORed with uniform bits are uniform, whatever they were; the streams are independent.
So the public code has one law, the same for every input: a uniform S_l-subset for each map, uniform signs and a
uniform level stream. Where the nulls lie doesn't matter to this, only that there are S_l entries. With streams from
HKDF and ChaCha20, two codes of one composition are told apart with advantage at most Adv_HKDF + Adv_PRG (each counted
once a code), provided that the section key is uniform to the observer and seals nothing else: a section key that
seals two codes gives away the XOR of their level streams. Nothing here authenticates: the signed manifest does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.codecs import entropy
from medveil.codecs.code import Composition, MapShape, SparseCode
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.errors import IntegrityError
from medveil.protection.keystream import MAX_CELLS, Keystream, Stream
from medveil.protection.support import coded_bytes, decode_supports, encode_supports


@dataclass(frozen=True)
class PublicMap:
    """What everybody may hold of one code map.

    Attributes:
        cells: number of cells N.
        positions: (S,) int64, strictly increasing in [0, cells): where the entries are after the permutation.
        signs: (S,) bool, the masked sign bits, in the order of the positions.
    """

    cells: int
    positions: NDArray[np.int64]
    signs: NDArray[np.bool_]


@dataclass(frozen=True)
class PublicCode:
    """What everybody may hold of one sealed code.

    Attributes:
        maps: one for each code map.
        levels: the masked level stream.
    """

    maps: tuple[PublicMap, ...]
    levels: bytes

    @property
    def composition(self) -> Composition:
        """The composition that it has."""
        return Composition(tuple(MapShape(each.cells, len(each.positions)) for each in self.maps), len(self.levels))

    def to_bytes(self, composition: Composition | None = None) -> bytes:
        """Exactly `public_bytes(composition)` bytes: the supports, the sign bits of all maps packed, the levels.

        Raises:
            IntegrityError: it has another composition than the one that is given.
        """
        check_public(self, composition or self.composition)
        supports = encode_supports([(public.positions, public.cells) for public in self.maps])
        signs = np.concatenate([np.empty(0, bool), *(public.signs for public in self.maps)])
        return supports + np.packbits(signs).tobytes() + self.levels

    @classmethod
    def from_bytes(cls, data: bytes, composition: Composition) -> PublicCode:
        """Read what `to_bytes` wrote.

        Raises:
            IntegrityError: the bytes are not what to_bytes writes for any public code of this composition.
        """
        if any(shape.cells > MAX_CELLS for shape in composition.maps):
            raise IntegrityError(f"a sealed map of more than {MAX_CELLS} cells")
        if len(data) != public_bytes(composition):
            raise IntegrityError(f"a public code of this shape has {public_bytes(composition)} bytes, not {len(data)}")
        shapes = [(shape.cells, shape.nonzeros) for shape in composition.maps]
        starts = np.cumsum([0, *(shape.nonzeros for shape in composition.maps)])
        support_bytes, sign_bytes = coded_bytes(shapes), -(-int(starts[-1]) // 8)
        supports = decode_supports(data[:support_bytes], shapes)
        signs = np.unpackbits(np.frombuffer(data, np.uint8, sign_bytes, support_bytes)).astype(bool)
        if np.any(signs[starts[-1] :]):
            raise IntegrityError("the unused bits after the sign bits of a public code are not zero")
        maps = tuple(
            PublicMap(cells, positions, signs[first:last])
            for (cells, _), positions, first, last in zip(shapes, supports, starts[:-1], starts[1:], strict=True)
        )
        return cls(maps, data[support_bytes + sign_bytes :])


def public_bytes(composition: Composition) -> int:
    """Length in bytes of a public code of this composition."""
    supports = coded_bytes([(shape.cells, shape.nonzeros) for shape in composition.maps])
    return supports + -(-sum(shape.nonzeros for shape in composition.maps) // 8) + composition.level_bytes


def seal(code: SparseCode, composition: Composition, key: bytes) -> PublicCode:
    """Seal a code that fits the composition.

    Args:
        code: maps of the composition's cells, each with at most its number of nonzeros.
        composition: what everybody may know of the code.
        key: 32 bytes, the key of this one section of this one package. Never seal twice with one key.

    Raises:
        ValueError: the code doesn't have this composition.
    """
    return seal_with(code, composition, lambda label: Keystream(key, label))


def unseal(public: PublicCode, composition: Composition, key: bytes) -> SparseCode:
    """The code that `seal` sealed with this key. Another key gives another code or an error: check `commit` first.

    Raises:
        IntegrityError: the public code is not of this composition, or its level stream makes no sense.
    """
    return unseal_with(public, composition, lambda label: Keystream(key, label))


def reseal(public: PublicCode, composition: Composition, key: bytes, new_key: bytes) -> PublicCode:
    """The code that `key` sealed, sealed with `new_key`; what it says is neither decoded nor looked at.

    Raises:
        IntegrityError: the public code is not of this composition.
        ValueError: both keys are one; that would be no new sealing.
    """
    if key == new_key:
        raise ValueError("a code is sealed anew with another key")
    check_public(public, composition)
    maps: list[PublicMap] = []
    for number, public_map in enumerate(public.maps):
        orders, masks = [], []
        for each in (key, new_key):
            orders.append(Keystream(each, _permutation_label(number)).permutation(public_map.cells))
            masks.append(sign_mask(Keystream(each, _sign_label(number)), len(public_map.positions)))
        opened = unmask_map(public_map.positions, public_map.signs, orders[0], masks[0])
        sealed = mask_map(*opened, orders[1], masks[1])
        back = unmask_map(*sealed, orders[1], masks[1])
        if not all(np.array_equal(ours, theirs) for ours, theirs in zip(opened, back, strict=True)):
            raise IntegrityError("a code that was sealed anew does not open to what it was", hint="report this")
        maps.append(PublicMap(public_map.cells, *sealed))
    length = len(public.levels)
    levels = xor(public.levels, Keystream(key, _LEVELS).bytes(length))
    return PublicCode(tuple(maps), xor(levels, Keystream(new_key, _LEVELS).bytes(length)))


def seal_with(code: SparseCode, composition: Composition, streams: Callable[[str], Stream]) -> PublicCode:
    """`seal` with streams of the caller's choice, one for each label."""
    padded = pad_with_nulls(code, composition)
    maps: list[PublicMap] = []
    for number, code_map in enumerate(padded.maps):
        order = streams(_permutation_label(number)).permutation(code_map.cells)
        mask = sign_mask(streams(_sign_label(number)), len(code_map.levels))
        maps.append(PublicMap(code_map.cells, *mask_map(code_map.positions, code_map.levels < 0, order, mask)))
    stream = entropy.pack_levels(padded, composition)
    if len(stream) > composition.level_bytes:
        raise ValueError(f"a level stream of {len(stream)} bytes exceeds the {composition.level_bytes} of its shape")
    stream = stream.ljust(composition.level_bytes, b"\0")
    return PublicCode(tuple(maps), xor(stream, streams(_LEVELS).bytes(len(stream))))


def unseal_with(public: PublicCode, composition: Composition, streams: Callable[[str], Stream]) -> SparseCode:
    """`unseal` with streams of the caller's choice, one for each label."""
    check_public(public, composition)
    supports: list[tuple[NDArray[np.int64], NDArray[np.bool_]]] = []
    for number, public_map in enumerate(public.maps):
        order = streams(_permutation_label(number)).permutation(public_map.cells)
        mask = sign_mask(streams(_sign_label(number)), len(public_map.positions))
        supports.append(unmask_map(public_map.positions, public_map.signs, order, mask))
    stream = xor(public.levels, streams(_LEVELS).bytes(len(public.levels)))
    return entropy.unpack_levels(stream, tuple(supports), composition)


def level_keystream(public: PublicCode, code: SparseCode) -> bytes:
    """What the levels of a sealed code were masked with, for who has opened it; checks hold two of them together."""
    composition = public.composition
    stream = entropy.pack_levels(pad_with_nulls(code, composition), composition)
    return xor(public.levels, stream.ljust(composition.level_bytes, b"\0"))


def mask_map(
    positions: NDArray[np.int64], negative: NDArray[np.bool_], order: NDArray[np.int64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Steps 2 and 3 for one map.

    Args:
        positions: (S,) of the padded map.
        negative: (S,) sign bits in the order of the positions.
        order: (..., N), one permutation or many: cell i goes to order[..., i].
        mask: (..., S) keystream bits, in the order of the permuted positions.

    Returns:
        permuted positions in increasing order (..., S), and their masked sign bits (..., S).
    """
    placed = order[..., positions]
    ranks = np.argsort(placed, axis=-1)
    return np.take_along_axis(placed, ranks, axis=-1), negative[ranks] ^ mask


def unmask_map(
    positions: NDArray[np.int64], signs: NDArray[np.bool_], order: NDArray[np.int64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The inverse of mask_map for one permutation: true positions in increasing order and their sign bits."""
    occupied = np.zeros(len(order), bool)
    occupied[positions] = True
    true_positions = np.flatnonzero(occupied[order])
    entries = np.searchsorted(positions, order[true_positions])
    return true_positions, (signs ^ mask)[entries]


def check_public(public: PublicCode, composition: Composition) -> None:
    """Raise IntegrityError unless the public code has exactly this composition."""
    shapes = tuple(MapShape(each.cells, len(each.positions)) for each in public.maps)
    if shapes != composition.maps or len(public.levels) != composition.level_bytes:
        raise IntegrityError("a public code doesn't have the shape that its bucket and profile say")
    for each in public.maps:
        inside = not len(each.positions) or (each.positions[0] >= 0 and each.positions[-1] < each.cells)
        if not inside or np.any(np.diff(each.positions) <= 0) or each.signs.shape != each.positions.shape:
            raise IntegrityError("the positions of a public code do not increase within its cells")


def sign_mask(stream: Stream, count: int) -> NDArray[np.bool_]:
    """`count` keystream bits, highest bit of a byte first."""
    return np.unpackbits(np.frombuffer(stream.bytes(-(-count // 8)), np.uint8), count=count).astype(bool)


def xor(data: bytes, stream: bytes) -> bytes:
    """Bytewise exclusive or of two byte strings of one length."""
    if len(data) != len(stream):
        raise ValueError(f"{len(data)} bytes can't be masked by {len(stream)}")
    return (np.frombuffer(data, np.uint8) ^ np.frombuffer(stream, np.uint8)).tobytes()


_LEVELS = "levels"


def _permutation_label(number: int) -> str:
    return f"permutation/{number}"


def _sign_label(number: int) -> str:
    return f"signs/{number}"
