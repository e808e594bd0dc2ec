"""Public composition of a sealed `lapped` code, length of an encrypted one, and the step that a free one has: functions
of profile and bucket alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from medveil.codecs.code import Bucket, Composition, MapShape, Profile
from medveil.codecs.lapped import tables as tables
from medveil.codecs.lapped.transform import CHANNELS, STRIDE
from medveil.errors import UsageError

QUALITIES = (2000, 7000)
"""Lowest and highest quality in 1/100 dB. Beyond the calibrated ones the nearest of these counts."""
_LEAST_LEVEL_BYTES = 64
"""For the part of the side bytes that doesn't grow with the image."""
_LEAST_PACKED_BYTES = 192
"""For what doesn't grow with the image: the same, and the numbers of cells and entries of 25 maps."""
_PPM = 1_000_000


@cache
def composition_of(profile: Profile, bucket: Bucket) -> Composition:
    """Shape of a sealed code: all AC cells of the bucket's blocks, cut into the maps of the table.

    Raises:
        UsageError: the quality is not of 20 to 70 dB.
    """
    rows = tables.DEEP_BUDGETS if profile.deep else tables.BUDGETS
    shift = _shift(bucket.height * bucket.width, tables.DEEP_AREA_SHIFTS if profile.deep else tables.AREA_SHIFTS)
    *densities, level_bits = _at(profile, [(quality, (*density, bits)) for quality, density, bits in rows], shift)
    cells = (bucket.height // STRIDE) * (bucket.width // STRIDE) * (CHANNELS - 1)
    maps: list[MapShape] = []
    start = share = 0
    for ppm, density in zip(tables.CELLS_PPM, densities, strict=True):
        share += ppm
        stop = cells * share // _PPM
        maps.append(MapShape(stop - start, (stop - start) * density // _PPM))
        start = stop
    return Composition(tuple(maps), _LEAST_LEVEL_BYTES + cells * level_bits // 8000)


@cache
def packed_bytes_of(profile: Profile, bucket: Bucket) -> int:
    """Length of the packed code of every image of this bucket.

    Raises:
        UsageError: the quality is not of 20 to 70 dB.
    """
    rows = tables.DEEP_PACKED if profile.deep else tables.PACKED
    shift = _shift(bucket.height * bucket.width, tables.DEEP_AREA_SHIFTS if profile.deep else tables.AREA_SHIFTS)
    (bits,) = _at(profile, [(quality, (bits,)) for quality, bits in rows], shift)
    cells = (bucket.height // STRIDE) * (bucket.width // STRIDE) * (CHANNELS - 1)
    return _LEAST_PACKED_BYTES + cells * bits // 8000


@cache
def step_of(profile: Profile) -> int:
    """Step of a free code in units of 1/64 grey value, and the one that a packed code is tried at first.

    Raises:
        UsageError: the quality is not of 20 to 70 dB.
    """
    rows = tables.DEEP_STEPS if profile.deep else tables.STEPS
    (step,) = _at(profile, [(quality, (step,)) for quality, step in rows])
    return max(1, step)


def _shift(area: int, shifts: tuple[tuple[int, int], tuple[int, int]]) -> int:
    """By how much the budget of a bucket of this area in pixels is raised or lowered, in 1/100 dB of quality.

    A small picture holds more detail a pixel than a large one of the same anatomy: with one budget a pixel, those of
    0.08 megapixels come out 5 dB below those of 0.2. The shift brings their means nearer.
    """
    (small, raised), (large, lowered) = shifts
    inside = min(max(area, small), large)
    return (raised * (large - inside) + lowered * (inside - small)) // (large - small)


def _at(profile: Profile, rows: Sequence[tuple[int, tuple[int, ...]]], shift: int = 0) -> tuple[int, ...]:
    """Values at the profile's quality and shift, linear between the rows, which are in rising order of quality."""
    low, high = QUALITIES
    if not low <= profile.quality_centidb <= high:
        raise UsageError(f"a quality of {profile.quality_centidb / 100} dB; {low // 100} to {high // 100} are possible")
    quality = min(max(profile.quality_centidb + shift, rows[0][0]), rows[-1][0])
    above = next(index for index, row in enumerate(rows) if row[0] >= quality)
    (first, before), (second, after) = rows[max(0, above - 1)], rows[above]
    if first == second:
        return after
    near, far = quality - first, second - quality
    return tuple((one * far + two * near) // (second - first) for one, two in zip(before, after, strict=True))
