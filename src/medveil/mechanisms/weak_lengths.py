"""Controls whose lengths tell of the image: what shows beside the pixels."""

from __future__ import annotations

from medveil.codecs.code import Bucket, Composition, MapShape, SparseCode
from medveil.mechanisms.levels import Encrypted, Sealed
from medveil.mechanisms.observation import Observation


class ContentWeight(Sealed):
    """`sealed`, but with as many entries as the image needs, instead of a number that its size alone decides.

    Stands for: sparse codes of a quality instead of a sparsity, as every rate-controlled codec makes them, protected by
    a permutation and masks. Cells and entries of all maps, and so the length, depend on the image; places, signs and
    levels are as well hidden as before. Deviation: the level stream keeps its fixed length, so that the number of
    entries is the only leak. Needs codes of fixed composition, whose levels fit that stream, at a step so coarse that
    the places of a code are not used up: at the step of the shipped weights nearly every image fills all of them.
    """

    name = "content-weight"

    def shapes(self, code: SparseCode, bucket: Bucket) -> tuple[Composition, ...]:
        found = []
        parts = [part for _, part in self.codes(code)]
        for part, shape in zip(parts, self.space.compositions(bucket), strict=True):
            maps = tuple(MapShape(each.cells, len(each.positions)) for each in part.maps)
            found.append(Composition(maps, shape.level_bytes))
        return tuple(found)

    def shapes_of(self, observation: Observation) -> tuple[Composition, ...]:
        found, maps = [], list(observation.maps)
        for shape in self.space.compositions(observation.bucket):
            own, maps = maps[: len(shape.maps)], maps[len(shape.maps) :]
            seen = tuple(MapShape(each.cells, len(each.positions)) for each in own)
            found.append(Composition(seen, shape.level_bytes))
        return tuple(found)


class UnpaddedLengths(Encrypted):
    """`encrypted`, but with sections as long as their content.

    Stands for: compress, then encrypt, as most archives and transports do. The length of a compressed image tells of
    its content. Deviation: none but that the codec is ours.
    """

    name = "unpadded-lengths"

    def padded(self, packed: bytes) -> bytes:
        return packed

    def unpadded(self, plain: bytes) -> bytes:
        return plain
