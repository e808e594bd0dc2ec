"""plain-stream: the bytes beside the code read as if nothing protected them. A mask that was left out falls at once.

What a seal masks besides places and signs is the level stream: magnitudes, and the side bytes with size, step and mean
or DC plane, which are a small picture by themselves. So a stream in the clear gives that away although the permutation
holds; nothing in it looks like a code to somebody who does not parse it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Goal, Guess, Knowledge
from medveil.attacks.keys.wrong_keys import Fallback, support_scores
from medveil.attacks.support.decoding import Correction
from medveil.codecs import entropy
from medveil.codecs.code import Bucket, CodeMap, Composition, MapShape, SparseCode
from medveil.codecs.varints import read_varint
from medveil.errors import IntegrityError, MedveilError
from medveil.mechanisms.observation import Observation, Picture, Shown
from medveil.mechanisms.public_codec import PublicCodec, joined
from medveil.protection import padding
from medveil.protection.ambiguation import AmbiguatedCode, purify
from medveil.protection.encrypting import TAG_BYTES

_LEARNING = 24  # own codes that pictures of side bytes are corrected by
_SIGNS = 8  # times a code is drawn with random signs instead of its own
_GARBAGE = (MedveilError, ValueError, ArithmeticError, LookupError, MemoryError)
"""What random bytes may make a decoder raise."""


def readings(space: PublicCodec, observation: Observation) -> list[SparseCode]:
    """The whole codes that the bytes beside the code say in the clear, likeliest first; empty where they say none."""
    if space.fixed:
        return list(_each([lambda: _whole(space, observation)]))
    limit = space.coding.max_cells(observation.bucket)
    ways = list(zip(*map(_plains, _parts(space, observation)), strict=True))
    tries = [_unpacker(way, limit) for way in ways]
    if observation.maps:
        public = AmbiguatedCode(SparseCode(tuple(each.as_map for each in observation.maps), b""))
        tries = [_purifier(public, way[0]) for way in ways] + tries
    return list(_each(tries))


def side_bytes(space: PublicCodec, observation: Observation) -> SparseCode | None:
    """The code without entries whose side bytes a level stream in the clear begins with; None where it has none."""
    if not space.fixed or not observation.maps:
        return None
    try:
        parts = [
            SparseCode(tuple(_without_entries(each.cells) for each in maps), _side(stream))
            for stream, maps in _level_streams(space, observation)
        ]
    except IntegrityError:
        return None
    return parts[0] if len(parts) == 1 else joined(parts[0], parts[1])


def _whole(space: PublicCodec, observation: Observation) -> SparseCode:
    """The code of level streams in the clear whose entries are where they are shown."""
    parts = []
    for stream, maps in _level_streams(space, observation):
        shape = Composition(tuple(MapShape(each.cells, len(each.positions)) for each in maps), len(stream))
        parts.append(entropy.unpack_levels(stream, [(each.positions, each.values < 0) for each in maps], shape))
    if not parts:
        raise IntegrityError("there is no level stream")
    return parts[0] if len(parts) == 1 else joined(parts[0], parts[1])


def _level_streams(space: PublicCodec, observation: Observation) -> list[tuple[bytes, tuple[Shown, ...]]]:
    """The level stream of each sealed section, with the maps whose magnitudes are in it."""
    if not space.preview:
        return [(observation.stream, observation.maps)]
    first = space.compositions(observation.bucket)[0]
    size, count = first.level_bytes, len(first.maps)
    return [
        (observation.stream[:size], observation.maps[:count]),
        (observation.stream[size:], observation.maps[count:]),
    ]


def _parts(space: PublicCodec, observation: Observation) -> list[bytes]:
    """The bytes of each encrypted section with a code."""
    if not space.preview or not observation.lengths:
        return [observation.stream]
    return [observation.stream[: observation.lengths[0]], observation.stream[observation.lengths[0] :]]


def _plains(data: bytes) -> list[bytes]:
    """What a section may hold in the clear: with or without room for a tag, before or behind, padded or not."""
    found = []
    for part in (data[:-TAG_BYTES], data, data[TAG_BYTES:]):
        try:
            found.append(padding.remove(part))
        except IntegrityError:
            found.append(part)
    return found


def _side(stream: bytes) -> bytes:
    size, start = read_varint(stream, 0)
    if size > len(stream) - start:
        raise IntegrityError("the side bytes of a level stream are longer than the stream")
    return stream[start : start + size]


def _unpacker(parts: Sequence[bytes], limit: int) -> Callable[[], SparseCode]:
    """A try to read the packed code of every section."""

    def attempt() -> SparseCode:
        codes = [entropy.unpack(part, limit) for part in parts]
        return codes[0] if len(codes) == 1 else joined(codes[0], codes[1])

    return attempt


def _purifier(public: AmbiguatedCode, secret: bytes) -> Callable[[], SparseCode]:
    return lambda: purify(public, secret)


def _each(tries: Sequence[Callable[[], SparseCode]]) -> Iterator[SparseCode]:
    """What comes of those that make sense."""
    for attempt in tries:
        try:
            yield attempt()
        except _GARBAGE:
            continue


def _without_entries(cells: int) -> CodeMap:
    return CodeMap(cells, np.zeros(0, np.int64), np.zeros(0, np.int32))


def _bare(code: SparseCode) -> SparseCode:
    """The side bytes of a code alone."""
    return replace(code, maps=tuple(_without_entries(each.cells) for each in code.maps))


def _drawn(space: PublicCodec, code: SparseCode, bucket: Bucket) -> Picture | None:
    """The picture of a code that may be garbage; None where it is that of no image."""
    try:
        with np.errstate(all="ignore"):
            found = space.true_picture(code, bucket)
    except _GARBAGE:
        return None
    return found if np.isfinite(found).all() else None


class PlainStreamAttacker:
    """A learned `PlainStream`; see there."""

    def __init__(self, knowledge: Knowledge, space: PublicCodec) -> None:
        self._space = space
        self._fallback = Fallback(knowledge)
        self._generator = knowledge.generator("plain-stream")
        pairs = []
        for case in knowledge.own[:_LEARNING]:
            code, bucket = case.code, case.observation.bucket
            side = _drawn(space, _bare(code), bucket) if code is not None else None
            if side is not None:
                pairs.append((side, case.subject.picture))
        self._correction = Correction.fit(*map(list, zip(*pairs, strict=True))) if pairs else None

    def predict(self, observation: Observation) -> Guess:
        nothing = self._fallback(observation)
        codes = readings(self._space, observation)
        drawn = [(self._signed_picture(code, observation.bucket), code) for code in codes]
        found = [(_roughness(picture), picture, code) for picture, code in drawn if picture is not None]
        picture = nothing.picture
        if found:
            _, picture, code = min(found, key=lambda each: each[0])
            codes = [code]
        else:
            side = self._from_side(observation, codes)
            picture = picture if side is None else side
        support = support_scores(codes[0].maps) if codes and _alike(codes[0], observation) else nothing.support
        return Guess(picture, support)

    def _signed_picture(self, code: SparseCode, bucket: Bucket) -> Picture | None:
        """The picture of a code; None where it is as rough as with random signs.

        So it is where signs are masked, or places permuted: then the side bytes alone are the better picture.
        """
        picture = _drawn(self._space, code, bucket)
        if picture is None:
            return None
        others = [_drawn(self._space, _signed_anew(code, self._generator), bucket) for _ in range(_SIGNS)]
        garbage = [_roughness(other) for other in others if other is not None]
        return picture if _roughness(picture) < min(garbage, default=np.inf) else None

    def _from_side(self, observation: Observation, codes: Sequence[SparseCode]) -> Picture | None:
        """What the side bytes alone say of the picture: brightness, a DC plane."""
        side = side_bytes(self._space, observation)
        for code in [side] if side is not None else [_bare(code) for code in codes]:
            picture = _drawn(self._space, code, observation.bucket)
            if picture is not None and self._correction is not None:
                return self._correction(picture)
        return None


def _alike(code: SparseCode, observation: Observation) -> bool:
    """Whether a code has the maps that are shown, so that its support is one of theirs."""
    return [each.cells for each in code.maps] == [each.cells for each in observation.maps]


def _roughness(picture: Picture) -> float:
    """Mean absolute difference between neighbouring pixels.

    Signs hardly change the energy of a picture, but where they are right edges are sharp, and all else is calm.
    """
    return float(np.abs(np.diff(picture, axis=0)).mean() + np.abs(np.diff(picture, axis=1)).mean())


def _signed_anew(code: SparseCode, generator: np.random.Generator) -> SparseCode:
    """The same code with random signs."""
    maps = [
        replace(each, levels=(each.levels * generator.choice((-1, 1), len(each.levels))).astype(np.int32))
        for each in code.maps
    ]
    return replace(code, maps=tuple(maps))


class PlainStream:
    """Reads every byte string beside the code as what it would be without protection.

    A level stream gives the whole code if the permutation is missing too; its side bytes, corrected by what those of
    own images lack, if it holds. An encrypted section is read as a packed code, the secret of decoys as a plain one.
    Whatever comes out of a package is used: own packages have no say in whether a mask is missing, since those of the
    release may be made by another program. What is not read leaves the mean of own pictures, and no opinion on cells.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(PlainStream())[0], str(PlainStream.goal)
    ('unmasked-levels', 'keys')
    """

    name = "plain-stream"
    title = "masked and encrypted bytes read as they stand"
    goal = Goal.KEYS
    knows = "codec, decoder and format"
    needs = "a level stream, or encrypted sections"
    requires = (Need.CODE, Need.STREAM, Need.OWN_CODES)
    cost = "seconds"
    trains = False

    def fit(self, knowledge: Knowledge) -> PlainStreamAttacker:
        space = knowledge.mechanism.space
        if space is None:
            raise ValueError("plain-stream needs a public codec")
        return PlainStreamAttacker(knowledge, space)
