"""The heat map of texture features, drawn from evidence/utility_radiomics.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.provenance import REPOSITORY
from medveil.tasks.results import FeatureAgreement

TARGET = REPOSITORY / "docs" / "utility.png"
_FORMS = {"icc31_low": "ICC(3,1)", "icc21_low": "ICC(2,1)"}
_ORDER = ("primis:4", "primis:8", "primis:16", "lapped:40")


def draw(evidence: Mapping[str, Any], target: Path = TARGET) -> list[Path]:
    """Write the picture: a column a quality, a panel for each way to make levels and each form of the ICC."""
    from medveil.audit.task_figures import texture

    drawing = texture([
        _agreement(one, form)
        for form in _FORMS
        for one in sorted(evidence["results"]["sets"], key=lambda one: _ORDER.index(one["set"]))
    ])  # fmt: skip
    assert drawing is not None
    target.write_bytes(drawing.png)
    return [target]


def _agreement(one: Mapping[str, Any], form: str) -> FeatureAgreement:
    names = tuple(one["features"])
    lower = np.array([np.nan if (value := one["features"][name][form]) is None else value for name in names], float)
    empty = np.zeros(len(names))
    return FeatureAgreement(
        one["set"], f"{one['bins']}, {_FORMS[form]}", one["images"], one["patients"], names, empty, empty, lower, {}, {}
    )
