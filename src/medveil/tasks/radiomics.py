"""Task `radiomics`: whether the texture features of the lungs come out the same from opened images.

PRIMIS, section on radiomics and its heat map: 93 features, 64 bins, 1 × 1 mm. The paper does not state its form of the
ICC; here it is ICC(3,1), consistency, with ICC(2,1), agreement, beside it: a shift that is the same in all images
lowers only the second. A fixed number of bins hides a scaling of the grey values, so a fixed width stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medveil.errors import InputError, UsageError
from medveil.experiments.unit import Key, Product, Tick, Unit
from medveil.metrics.inference import LEAST
from medveil.metrics.radiomics.discretise import Bins, Width
from medveil.metrics.radiomics.resampling import resampled
from medveil.metrics.radiomics.table import NAMES, features
from medveil.tasks.image_sets import ORIGINAL, TaskImage
from medveil.tasks.radiomics_compare import EXCELLENT_ABOVE, compare
from medveil.tasks.results import TaskResult
from medveil.tasks.task import Assignment

DISCRETISATIONS: dict[str, Bins | Width] = {"64 bins": Bins(64), "width 25": Width(25.0)}
"""Of grey values of 8 bits."""
_Floats = NDArray[np.float64]


class Radiomics:
    """See `medveil.tasks.task.Task`.

    >>> from medveil.tasks.image_sets import Gallery
    >>> from medveil.tasks.task import do_task
    >>> from medveil.testing import TASK_EFFORT
    >>> nothing = Assignment(Gallery([], {}, lambda number: None), TASK_EFFORT)
    >>> do_task(Radiomics(), nothing).status.value
    'refused'
    """

    name = "radiomics"
    title = "Texture features of the lungs"
    needs = f"lung masks, named in the manifest's column mask, of at least {LEAST.agreement} patients"
    measures = (
        "for 93 features the relative error against the original, ICC(3,1) and ICC(2,1) with intervals, and how many "
        f"have a lower bound above {EXCELLENT_ABOVE}"
    )
    cost = "sets × images × 0.1 s, and the opening of each image"

    def units(self, assignment: Assignment) -> tuple[Unit, ...]:
        chosen, least = _chosen(assignment), assignment.least.agreement
        if _patients(chosen) < least:
            raise InputError(
                f"There are lung masks of {_patients(chosen)} patients and at least {least} are needed: the "
                "manifest names them in a column mask."
            )
        return tuple(
            Unit(_key(name, chosen), "task", f"radiomics: {name}", partial(_tables, name, chosen, assignment))
            for name in assignment.gallery.sets
        )

    def result(self, assignment: Assignment, products: Mapping[Key, Product]) -> TaskResult:
        chosen = _chosen(assignment)
        tables = {name: products[_key(name, chosen)].arrays["features"] for name in assignment.gallery.sets}
        usable = np.all([np.isfinite(table).all(axis=(1, 2)) for table in tables.values()], axis=0)
        kept = [image for image, usable_one in zip(chosen, usable, strict=True) if usable_one]
        if _patients(kept) < assignment.least.agreement:
            raise InputError(
                f"The masks of {len(chosen) - len(kept)} of {len(chosen)} images hold too few pixels for texture."
            )
        patients = np.array([image.patient for image in kept])
        agreements = [
            compare(name, way, tables[ORIGINAL][usable, number], tables[name][usable, number], patients)
            for name in assignment.gallery.sets if name != ORIGINAL
            for number, way in enumerate(DISCRETISATIONS)
        ]  # fmt: skip
        settings = {
            "features": len(NAMES), "discretisations": list(DISCRETISATIONS), "icc": "ICC(3,1); ICC(2,1) beside it",
            "resampled": "to 1 × 1 mm where spacing is known", "excellent_above": EXCELLENT_ABOVE,
        }  # fmt: skip
        return TaskResult(self.name, self.title, settings, agreements=tuple(agreements), notes=_notes(chosen, kept))


def _chosen(assignment: Assignment) -> list[TaskImage]:
    """Masked images, at most as many as may be measured, in an order that is the same each time."""
    masked = [image for image in assignment.gallery.images if image.masked]
    if len(masked) <= assignment.effort.radiomics_images:
        return masked
    order = np.random.default_rng([assignment.seed, 93]).permutation(len(masked))
    return [masked[index] for index in sorted(order[: assignment.effort.radiomics_images])]


def _patients(images: Sequence[TaskImage]) -> int:
    return len({image.patient for image in images})


def _key(name: str, chosen: Sequence[TaskImage]) -> Key:
    return ("radiomics", name, *DISCRETISATIONS, *(image.number for image in chosen))


def _tables(name: str, chosen: Sequence[TaskImage], assignment: Assignment, tick: Tick) -> Product:
    """(n, discretisations, 93) features of each image in a set; NaN where a mask is too small for them."""
    rows = []
    for image in chosen:
        rows.append(_measured(name, image, assignment))
        tick()
    return Product({"features": np.stack(rows)})


def _measured(name: str, image: TaskImage, assignment: Assignment) -> _Floats:
    picture = assignment.gallery.picture(name, image.number).astype(np.float64)
    picture, mask = resampled(picture, assignment.gallery.mask(image.number), image.spacing)
    try:
        return np.stack([features(picture, mask, way) for way in DISCRETISATIONS.values()])
    except UsageError:
        return np.full((len(DISCRETISATIONS), len(NAMES)), np.nan)


def _notes(chosen: Sequence[TaskImage], kept: Sequence[TaskImage]) -> tuple[str, ...]:
    told = [
        "ICC(3,1) does not see a shift that is the same in all images, as when grain is lost everywhere; ICC(2,1) "
        "does, and with two measurements its interval is wide. Read both.",
        "ICCs are of the first image of each patient, relative errors of all images.",
    ]
    if any(image.spacing is None for image in kept):
        told.append("Images without a spacing were not resampled: their features are of pixels, not of millimetres.")
    if len(kept) < len(chosen):
        told.append(f"Left out, since their masks hold too few pixels: {len(chosen) - len(kept)} images.")
    return tuple(told)
