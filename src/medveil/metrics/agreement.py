"""How well two or more measurements of the same subjects agree: intraclass correlation with CI, relative error."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-12  # a feature whose values differ by less than this share of the largest is constant

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Icc:
    """ICC of single measurements, a feature each; NaN where it is undefined.

    Args:
        subjects, raters: what it was computed from.
        level: of the confidence intervals, 0.95.
        icc21, icc21_low, icc21_high: (f,) two-way random effects, absolute agreement: a shift of all values counts.
        icc31, icc31_low, icc31_high: (f,) two-way mixed effects, consistency: a shift of all values doesn't count.
    """

    subjects: int
    raters: int
    level: float
    icc21: _Floats
    icc21_low: _Floats
    icc21_high: _Floats
    icc31: _Floats
    icc31_low: _Floats
    icc31_high: _Floats


@dataclass(frozen=True)
class RelativeError:
    """Relative error in %, (n, f), NaN where the first measurement is about 0; `left_out` (f,) says in how many."""

    signed: _Floats
    absolute: _Floats
    left_out: NDArray[np.int64]


class Reproducibility(StrEnum):
    """Reproducibility by ICC, with the bounds of the published comparison."""

    POOR = "poor"
    FAIR = "fair"
    GOOD = "good"
    EXCELLENT = "excellent"
    UNDEFINED = "undefined"


def icc(*measured: _Floats, level: float = 0.95) -> Icc:
    """ICC(2,1) and ICC(3,1) from the mean squares of a two-way analysis of variance without replication.

    Forms and names as Shrout and Fleiss, Psychological Bulletin 86(2), 1979; ICC(2,1) is McGraw and Wong's ICC(A,1)
    (Psychological Methods 1(1), 1996), ICC(3,1) their ICC(C,1). The interval of ICC(3,1) is the exact one of F, that of
    ICC(2,1) has Satterthwaite's degrees of freedom (McGraw and Wong, table 7). Both take the subjects for independent:
    with several images of a patient they would be too narrow. They also take them for normal.

    With two raters the spread between raters has one degree of freedom: any systematic shift that is not tiny beside
    the rest pulls the lower bound of ICC(2,1) to about 0, under an estimate of even 0.95. State the estimate beside it.

    A feature that doesn't vary at all, or has a value that is not finite, has no ICC: NaN. One that agrees to the last
    digit has 1 with the interval 1 … 1.

    Args:
        measured: two or more raters, say original and opened: (n,) or (n, f) each, of one shape, n ≥ 3 subjects.
        level: of the confidence intervals, in (0, 1).

    Raises:
        ValueError: fewer raters or subjects, or shapes that differ.
    """
    if len(measured) < 2 or len({np.shape(each) for each in measured}) != 1 or np.ndim(measured[0]) not in (1, 2):
        raise ValueError("an ICC needs two or more measurements of one shape, (n,) or (n, f)")
    values = np.stack([np.asarray(each, np.float64).reshape(len(each), -1) for each in measured])
    raters, subjects = values.shape[:2]
    if subjects < 3:
        raise ValueError(f"an ICC needs at least 3 subjects, not {subjects}")
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, not {level}")
    rows, columns, rest = _mean_squares(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        absolute = (rows - rest) / (rows + (raters - 1) * rest + raters / subjects * (columns - rest))
        consistent = (rows - rest) / (rows + (raters - 1) * rest)
        low31, high31 = _interval31(rows, rest, subjects, raters, level)
        low21, high21 = _interval21(absolute, rows, columns, rest, subjects, raters, level)
    return Icc(subjects, raters, level, absolute, low21, high21, consistent, low31, high31)


def relative_error(first: _Floats, second: _Floats, near_zero: float = 0.01) -> RelativeError:
    """RE = 100·(second − first)/first and ARE = |RE|, in %, per image and feature.

    A quotient by about 0 says nothing and would carry every mean: where |first| is at most `near_zero` times the
    feature's median of |first|, the image is left out for that feature, and counted. Only features that change sign or
    reach 0 (skewness, cluster shade …) are concerned; left out is also what is not finite.

    Args:
        first, second: (n, f) original and opened.

    Raises:
        ValueError: the shapes differ.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError("relative errors need two tables (n, f) of one shape")
    size = np.abs(first)
    finite = [column[np.isfinite(column)] for column in size.T]
    usual = np.array([np.median(column) if len(column) else 0.0 for column in finite])
    usable = (size > near_zero * usual) & np.isfinite(first) & np.isfinite(second)
    signed = np.full(first.shape, np.nan)
    signed[usable] = 100 * (second[usable] - first[usable]) / first[usable]
    return RelativeError(signed, np.abs(signed), np.sum(~usable, axis=0).astype(np.int64))


def reproducibility_group(value: float) -> Reproducibility:
    """Poor up to 0.40, fair up to 0.60, good up to 0.75, excellent above; NaN is undefined.

    Args:
        value: an ICC, or better the lower bound of one.
    """
    if np.isnan(value):
        return Reproducibility.UNDEFINED
    bounds = ((0.40, Reproducibility.POOR), (0.60, Reproducibility.FAIR), (0.75, Reproducibility.GOOD))
    return next((group for bound, group in bounds if value <= bound), Reproducibility.EXCELLENT)


def _mean_squares(values: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """(f,) each from (k, n, f): between subjects, between raters, the rest; NaN for a feature without any spread."""
    raters, subjects = values.shape[:2]
    size = np.max(np.abs(values), axis=(0, 1))
    low = np.min(values, axis=(0, 1))
    with np.errstate(invalid="ignore"):
        spread = np.max(values, axis=(0, 1)) - low
        known = np.isfinite(spread) & (spread > _ROUNDING * size)
    # One origin and scale for all: energies of 10^10 and shares of 10^-6 go the same way.
    scaled = np.full(values.shape, np.nan)
    scaled[..., known] = (values[..., known] - low[known]) / spread[known]
    scaled -= scaled.mean(axis=(0, 1))
    of_subject, of_rater = scaled.mean(axis=0, keepdims=True), scaled.mean(axis=1, keepdims=True)
    rows = raters * np.sum(of_subject**2, axis=(0, 1)) / (subjects - 1)
    columns = subjects * np.sum(of_rater**2, axis=(0, 1)) / (raters - 1)
    rest = np.sum((scaled - of_subject - of_rater) ** 2, axis=(0, 1)) / ((subjects - 1) * (raters - 1))
    # Values that are equal or shifted leave a rest of rounding only.
    rest[rest < _ROUNDING**2] = 0.0
    return rows, columns, rest


def _interval31(rows: _Floats, rest: _Floats, subjects: int, raters: int, level: float) -> tuple[_Floats, _Floats]:
    from scipy.stats import f as fisher

    upper, own, other = (1 + level) / 2, subjects - 1, (subjects - 1) * (raters - 1)
    low, high = rows / (rest * fisher.ppf(upper, own, other)), rows * fisher.ppf(upper, other, own) / rest
    sure = (rest == 0) & (rows > 0)
    low, high = (low - 1) / (low + raters - 1), (high - 1) / (high + raters - 1)
    return np.where(sure, 1.0, low), np.where(sure, 1.0, high)


def _interval21(
    value: _Floats, rows: _Floats, columns: _Floats, rest: _Floats, subjects: int, raters: int, level: float
) -> tuple[_Floats, _Floats]:
    from scipy.stats import f as fisher

    upper, own, other = (1 + level) / 2, subjects - 1, (subjects - 1) * (raters - 1)
    weight = raters * value / (subjects * (1 - value))
    between, within = weight * columns, (1 + weight * (subjects - 1)) * rest
    freedom = (between + within) ** 2 / (between**2 / (raters - 1) + within**2 / other)
    of_columns = raters * columns + (raters * subjects - raters - subjects) * rest
    wide, narrow = fisher.ppf(upper, own, freedom), fisher.ppf(upper, freedom, own)
    low = subjects * (rows - wide * rest) / (wide * of_columns + subjects * rows)
    high = subjects * (narrow * rows - rest) / (of_columns + subjects * narrow * rows)
    sure = 1 - value < _ROUNDING
    return np.where(sure, 1.0, low), np.where(sure, 1.0, high)
