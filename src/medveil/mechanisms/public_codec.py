"""PublicCodec: what everybody knows of a codec. Images to codes, codes to pictures, without any key or side bytes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property, lru_cache
from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, CodeMap, Composition, Profile, SparseCode
from medveil.codecs.coding import Coding
from medveil.codecs.interpretable import ArrangedLapped, arranged
from medveil.codecs.varints import read_varint, varint
from medveil.errors import IntegrityError
from medveil.images.image import Image
from medveil.mechanisms.observation import Picture, Shown
from medveil.mechanisms.working_pictures import Window, working_picture
from medveil.protection.levels import Encrypted, Level, Sealed
from medveil.protection.rendering import texture

Planes = NDArray[np.float32]
"""(C, rows, columns): a value for each channel and location of a bucket's code grid."""
STRIDE = 16
"""Pixels from one location of a code grid to the next, for every codec that has one."""
_REDUCTION = 4


@runtime_checkable
class _Vectors(Protocol):
    """A codec of code vectors that says where in the picture its cells are."""

    def planes(self, maps: Sequence[CodeMap], profile: Profile, size: tuple[int, int]) -> Planes: ...

    def scores(self, planes: Planes, profile: Profile) -> tuple[NDArray[np.float32], ...]: ...


@runtime_checkable
class _Ranked(Protocol):
    """A codec of cells in order of priority that says which coefficients they make."""

    def coefficients(self, code: SparseCode, bucket: Bucket, base: SparseCode | None = None) -> Planes: ...


class PublicCodec:
    """A codec at a profile, as strangers use it.

    Where a release has a preview, a code here is that of the preview and that of what it left over, one after the
    other: the maps of both, and the side bytes of both.

    Args:
        codec, profile: of the release.
        fixed: codes fill a composition (as they are sealed).
        packed: codes keep to a packed length (as they are encrypted). Of neither kind, they are as long as they need.
        preview: the code is one of what a preview left over.
        window, working: range and side of working pictures.
    """

    def __init__(
        self, codec: Codec, profile: Profile, *, fixed: bool, packed: bool = False, preview: bool = False,
        window: Window | None = None, working: int = 128,
    ) -> None:  # fmt: skip
        self.codec = arranged(codec)
        self.profile = profile
        self.coding = Coding(self.codec, profile)
        self.fixed = fixed
        self.packed = packed
        self.preview = preview
        self.window = window or Window()
        self.working = working

    def of_kind(self, *, fixed: bool = False, packed: bool = False) -> PublicCodec:
        """The same codec with codes of this kind."""
        if (self.fixed, self.packed) == (fixed, packed):
            return self
        return PublicCodec(
            self.codec, self.profile, fixed=fixed, packed=packed, preview=self.preview, window=self.window,
            working=self.working,
        )  # fmt: skip

    @property
    def settings(self) -> Hashable:
        """All that the code of an image depends on beside the image."""
        return self.codec.name, self.profile, self.fixed, self.packed, self.preview, getattr(self.codec, "step", None)

    @property
    def vector_length(self) -> int:
        """Cells of a code vector (cell v * M + c of a map is channel c of vector v); 0 where cells are in order of
        priority instead."""
        return self.codec.vector_length

    def compositions(self, bucket: Bucket) -> tuple[Composition, ...]:
        """Public shapes of the sealed codes of this bucket: the preview's, if there is one, and the main one's."""
        main = self.codec.composition(self.profile, bucket)
        if not self.preview:
            return (main,)
        coder, profile = self._preview
        return coder.composition(profile, bucket), main

    def code(self, image: Image) -> SparseCode:
        """The code of an image."""
        bucket = Bucket.of(*image.pixels.shape)
        level: Level | None = Sealed() if self.fixed else Encrypted() if self.packed else None
        budget = None if level is None else level.budget(self.coding, bucket)
        if not self.preview:
            return self.codec.encode(image, self.profile, budget)
        coder, profile = self._preview
        base = coder.encode(image, profile, None if level is None else level.budget(self.coding.preview, bucket))
        return joined(base, self.codec.encode(image, self.profile, budget, base))

    def pixels(self, code: SparseCode, bucket: Bucket) -> NDArray[np.generic]:
        """Pixels of a code with its own side bytes, in stored values.

        Raises:
            IntegrityError: the code is not one of this bucket.
        """
        if not self.preview:
            return self.codec.decode(code, self.profile, bucket)
        base, main = parted(code)
        return self.codec.decode(main, self.profile, bucket, base)

    def true_picture(self, code: SparseCode, bucket: Bucket) -> Picture:
        """The working picture that a key holder gets: a code with its own side bytes.

        Raises:
            IntegrityError: the code is not one of this bucket.
        """
        return self.working_picture(self.pixels(code, bucket), bucket)

    def picture(self, maps: Sequence[CodeMap | Shown], bucket: Bucket, size: tuple[int, int] | None = None) -> Picture:
        """The working picture that maps give with side bytes of an even grey texture instead of the true ones.

        Values are taken as levels. Mean and step are the texture's; so is the size: what a stranger has.

        Args:
            maps: a code, or what is shown of one.
            bucket: public size class.
            size: one of `sizes`; None for the first of them.

        Raises:
            IntegrityError: the maps are not those of a picture of this size.
        """
        size = size or self.sizes(maps, bucket)[0]
        return self.working_picture(self.pixels(self._with_stand_in(maps, size), bucket), bucket)

    def tensor(self, maps: Sequence[CodeMap | Shown], bucket: Bucket, size: tuple[int, int] | None = None) -> Planes:
        """What maps show, arranged where the codec puts it: over the bucket's code grid, zero beyond the size.

        Codecs of code vectors: the levels of every map and channel, (maps * 256, rows, columns), the spreading of the
        vectors over the grid undone. Codecs of cells in order of priority: the transform coefficients in grey values
        that the maps give with side bytes of an even grey texture, (256, rows, columns), DC (which is not in the maps)
        left at zero. Where a preview stands before code vectors, its coefficients stand before their levels.

        Args:
            maps: a code, or what is shown of one.
            bucket: public size class.
            size: one of `sizes`; None for the first of them.

        Raises:
            IntegrityError: the maps are not those of a picture of this size.
            ValueError: the codec does not say where its cells are.
        """
        size = size or self.sizes(maps, bucket)[0]
        found = self._planes(maps, bucket, size)
        rows, columns = bucket.height // STRIDE, bucket.width // STRIDE
        return np.pad(found, ((0, 0), (0, rows - found.shape[1]), (0, columns - found.shape[2])))

    def cells(
        self, planes: Planes, bucket: Bucket, size: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], ...] | None:
        """A score for every cell of every map, from one for every channel and location of the bucket's grid.

        The way back from `tensor`, for codecs of code vectors; None for others, whose cells have no place of their own.

        Args:
            planes: (maps * 256, rows, columns).
            bucket: public size class.
            size: as of `tensor`; cells that a picture of this size doesn't have get the lowest score of all.
        """
        if self.preview or not isinstance(self.codec, _Vectors):
            return None
        height, width = size or (bucket.height, bucket.width)
        inside = planes[:, : -(-height // STRIDE), : -(-width // STRIDE)]
        found = self.codec.scores(np.ascontiguousarray(inside), self.profile)
        count = planes[0].size * self.vector_length
        lowest = float(planes.min(initial=0.0))
        return tuple(np.pad(each, (0, count - len(each)), constant_values=lowest) for each in found)

    def sizes(self, maps: Sequence[CodeMap | Shown], bucket: Bucket) -> list[tuple[int, int]]:
        """Sizes (to 16 pixels) that an image of this bucket may have, given how many cells its maps have.

        The largest comes first: the bucket's own, unless the number of cells excludes it.
        """
        steps = range(0, Bucket.STEP, STRIDE)
        every = [(bucket.height - rows, bucket.width - columns) for rows, columns in product(steps, steps)]
        if self.fixed or self.vector_length:
            return every
        cells = sum(each.cells for each in maps)
        return [size for size in every if self._cells(size) == cells] or every[:1]

    def likely_size(self, maps: Sequence[CodeMap | Shown], bucket: Bucket) -> tuple[int, int]:
        """The one of the possible sizes at which the maps, in their own cells, give the calmest picture.

        Cells of code vectors are numbered row by row, so that a wrong size shears the picture. Where vectors at the end
        are empty, the least size is taken that has all entries; else the one at which the picture, reduced fourfold,
        has the least gradients for its contrast. Codes of priority at free length have one or two possible sizes. Where
        they fill a composition, the cells are of little use without the thresholds among the secret side bytes, and
        the size that comes out is hardly better than a guess.
        """
        candidates = self._ending(maps, self.sizes(maps, bucket))
        if len(candidates) == 1:
            return candidates[0]
        return max(candidates, key=lambda size: self._likeliness(maps, bucket, size))

    def _ending(self, maps: Sequence[CodeMap | Shown], sizes: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The least sizes beyond whose cells there are no entries; all where that says nothing."""
        if not self.vector_length or self.preview:
            return sizes
        last = max((int(each.positions[-1]) for each in maps if len(each.positions)), default=0)
        ends = {size: (size[0] // STRIDE) * (size[1] // STRIDE) * self.vector_length for size in sizes}
        enough = [size for size in sizes if ends[size] > last]
        if len(enough) < 2:  # decoys and nulls lie up to the end of the bucket
            return sizes
        return [size for size in enough if ends[size] == min(ends[each] for each in enough)]

    def _likeliness(self, maps: Sequence[CodeMap | Shown], bucket: Bucket, size: tuple[int, int]) -> float:
        try:
            return _calmness(self.pixels(self._with_stand_in(maps, size), bucket))
        except IntegrityError:  # these are the maps of no image of this size
            return -np.inf

    def working_picture(self, pixels: NDArray[np.generic], bucket: Bucket) -> Picture:
        """Pixels in stored values as a working picture."""
        return working_picture(pixels, bucket, self.window, self.working)

    @cached_property
    def _preview(self) -> tuple[ArrangedLapped, Profile]:
        from medveil.codecs.preview import preview_profile

        return ArrangedLapped(), preview_profile(self.profile)  # previews are always of codec lapped

    def _planes(self, maps: Sequence[CodeMap | Shown], bucket: Bucket, size: tuple[int, int]) -> Planes:
        base: SparseCode | None = None
        main = self._with_stand_in(maps, size)
        if self.preview:
            base, main = parted(main)
        if isinstance(self.codec, _Ranked):
            return _without_dc(self.codec.coefficients(main, bucket, base))
        if not isinstance(self.codec, _Vectors):
            raise ValueError("this codec does not say where its cells are")
        found = self.codec.planes(main.maps, self.profile, size)
        if base is None:
            return found
        return np.concatenate([_without_dc(self._preview[0].coefficients(base, bucket)), found])

    def _with_stand_in(self, maps: Sequence[CodeMap | Shown], size: tuple[int, int]) -> SparseCode:
        levels = _levels(maps)
        if self.vector_length and not self.preview:  # decoys lie beyond the picture too, where nothing true can be
            end = -(-size[0] // STRIDE) * -(-size[1] // STRIDE) * self.vector_length
            levels = tuple(_before(each, end) for each in levels)
        return SparseCode(levels, self._stand_in(size))

    @lru_cache(maxsize=256)  # noqa: B019 - a space lives as long as its audit
    def _stand_in(self, size: tuple[int, int]) -> bytes:
        """Side bytes of a texture of this size."""
        return self.code(texture(*size, self.profile)).side

    @lru_cache(maxsize=256)  # noqa: B019
    def _cells(self, size: tuple[int, int]) -> int:
        return sum(each.cells for each in self.code(texture(*size, self.profile)).maps)


def _without_dc(coefficients: Planes) -> Planes:
    coefficients[0] = 0
    return coefficients


def joined(base: SparseCode, main: SparseCode) -> SparseCode:
    """A preview's code and what it left over as one."""
    return SparseCode(base.maps + main.maps, varint(len(base.maps)) + varint(len(base.side)) + base.side + main.side)


def parted(code: SparseCode) -> tuple[SparseCode, SparseCode]:
    """The two codes that `joined` joined."""
    count, at = read_varint(code.side, 0)
    size, at = read_varint(code.side, at)
    base = SparseCode(code.maps[:count], code.side[at : at + size])
    return base, SparseCode(code.maps[count:], code.side[at + size :])


def _levels(maps: Sequence[CodeMap | Shown]) -> tuple[CodeMap, ...]:
    return tuple(each if isinstance(each, CodeMap) else each.as_map for each in maps)


def _before(code_map: CodeMap, end: int) -> CodeMap:
    """The entries of a map in its first cells."""
    count = int(np.searchsorted(code_map.positions, end))
    return CodeMap(code_map.cells, code_map.positions[:count], code_map.levels[:count])


def smoothness(picture: Picture) -> float:
    """Correlation between neighbouring pixels, the mean of both directions; 0 for an even picture."""
    centred = picture - picture.mean()
    power = float((centred**2).mean())
    if power < 1e-6:
        return 0.0
    down, right = (centred[1:] * centred[:-1]).mean(), (centred[:, 1:] * centred[:, :-1]).mean()
    return float(down + right) / (2 * power)


def _calmness(pixels: NDArray[np.generic]) -> float:
    """Less the mean gradient of the pixels, reduced fourfold, in standard deviations; 0 is an even picture's."""
    height, width = (side // _REDUCTION * _REDUCTION for side in pixels.shape)
    whole = pixels[:height, :width].astype(np.float32)
    small = whole.reshape(height // _REDUCTION, _REDUCTION, width // _REDUCTION, _REDUCTION).mean((1, 3))
    gradients = float(np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean())
    return -gradients / max(float(small.std()), 1e-6)
