"""Public composition of a sealed `lapped` code, and the step of an encrypted one, as functions of profile and bucket."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from medveil.codecs.code import Bucket, Composition, MapShape, Profile
from medveil.codecs.lapped_tables import BUDGETS, CELLS_PPM, DEEP
from medveil.codecs.transform import CHANNELS, STRIDE
from medveil.errors import UsageError

_LEAST_LEVEL_BYTES = 64
_PPM = 1_000_000


@dataclass(frozen=True)
class Budget:
    """What a quality buys.

    Attributes:
        density_ppm: nonzeros of each map in millionths of its cells.
        level_bits: length of the level stream in thousandths of a bit a cell.
        step: quantisation step of the encrypted code in units of 1/64 grey value.
    """

    density_ppm: tuple[int, ...]
    level_bits: int
    step: int


@cache
def budget_of(profile: Profile) -> Budget:
    """Budget of a profile: interpolated between the calibrated qualities, the nearest beyond them.

    Raises:
        UsageError: the quality is not of 20 to 70 dB.
    """
    if not 2000 <= profile.quality_centidb <= 7000:
        raise UsageError(f"a quality of {profile.quality_centidb / 100} dB; 20 to 70 are possible")
    table = DEEP if profile.deep else BUDGETS
    known = sorted(table)
    quality = min(max(profile.quality_centidb, known[0]), known[-1])
    above = next(point for point in known if point >= quality)
    below = max(point for point in known if point <= quality)
    (low, low_bits, low_step), (high, high_bits, high_step) = table[below], table[above]

    def between(first: int, second: int) -> int:
        span = max(1, above - below)
        return (first * (above - quality) + second * (quality - below)) // span if above > below else first

    density = tuple(between(first, second) for first, second in zip(low, high, strict=True))
    return Budget(density, between(low_bits, high_bits), max(1, between(low_step, high_step)))


@cache
def composition_of(profile: Profile, bucket: Bucket) -> Composition:
    """Shape of a sealed code: all AC cells of the bucket's blocks, cut into the maps of the table."""
    budget = budget_of(profile)
    cells = (bucket.height // STRIDE) * (bucket.width // STRIDE) * (CHANNELS - 1)
    maps: list[MapShape] = []
    start = share = 0
    for ppm, density in zip(CELLS_PPM, budget.density_ppm, strict=True):
        share += ppm
        stop = cells * share // _PPM
        maps.append(MapShape(stop - start, (stop - start) * density // _PPM))
        start = stop
    return Composition(tuple(maps), _LEAST_LEVEL_BYTES + cells * budget.level_bits // 8000)
