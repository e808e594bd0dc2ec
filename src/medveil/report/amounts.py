"""Numbers in words: amounts with their units, intervals, chances, counts and times, and what the metrics are called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medveil.audit.record import OPEN

NOT_MEASURED = "not measured"
_NAMES = {
    "psnr": "picture, PSNR",
    "ssim": "picture, SSIM",
    "support_auc": "true cells, AUC",
    "linkage_auc": "same patient, AUC",
    "me": "mean error, grey values",
    "mae": "mean absolute error, grey values",
    "rmse": "RMSE, grey values",
    "ms_ssim": "MS-SSIM",
    "auc": "AUC",
    "dice": "Dice",
    "jaccard": "Jaccard",
    "fnr": "false-negative rate",
    "fpr": "false-positive rate",
    "hd": "Hausdorff distance",
    "hd95": "95 % Hausdorff distance",
}
_UNITS = {"psnr": "dB"}
_DECIMALS = {"psnr": 2, "me": 2, "mae": 2, "rmse": 2}


def metric_name(metric: str) -> str:
    """auc -> AUC; other names without underscores."""
    return _NAMES.get(metric, metric.replace("_", " "))


def amount(metric: str, value: float | None, *, signed: bool = False) -> str:
    """A value of a metric with its unit: "18.90 dB", "0.512"; with a sign where it is a difference."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    digits = _DECIMALS.get(metric, 3 if abs(value) < 10 else 1)
    text = f"{abs(value):.{digits}f}"
    negative = value < 0 and float(text) != 0
    return f"{'−' if negative else '+' if signed else ''}{text} {_UNITS.get(metric, '')}".rstrip()


def interval(metric: str, ends: Sequence[float | None] | None, *, signed: bool = True) -> str:
    """ "+0.10 to +0.32 dB"."""
    if ends is None or any(end is None or not math.isfinite(end) for end in ends):
        return NOT_MEASURED
    low, high = (amount(metric, end, signed=signed) for end in ends)
    return f"{low.removesuffix(_UNITS.get(metric, '')).rstrip()} to {high}"


def percent(share: float | None) -> str:
    """0.946 -> "94.6 %"."""
    return NOT_MEASURED if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def chance(p: float | None) -> str:
    """A p-value: "0.031", "below 0.001"."""
    if p is None or not math.isfinite(p):
        return NOT_MEASURED
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def plural(count: int, noun: str) -> str:
    """3, "attack" -> "3 attacks"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def thing_of(facts: Mapping[str, Any]) -> str:
    """What everybody holds of an image: a package, or of an open release a picture.

    Args:
        facts: of the release, see `medveil.audit.results.Audit.release`.
    """
    return "picture" if facts.get("kind") == OPEN else "package"


def listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def duration(seconds: float) -> str:
    """90 -> "2 minutes"."""
    if not math.isfinite(seconds):
        return NOT_MEASURED
    if seconds < 60:
        return plural(max(round(seconds), 1), "second")
    if seconds < 5400:
        return plural(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"
