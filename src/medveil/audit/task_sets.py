"""Tasking: the images of a release as tasks see them, as they were and as they are opened. Nothing is written.

Every set is opened or coded in memory when a task asks for a picture. Grey values are those of
`medveil.images.intensity`: 0 … 255 by the range of the stored depth.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from medveil.audit.reference_codecs import Recoding, recodings
from medveil.audit.targets.annotations import mask_again, sound_mask, usable_folds
from medveil.audit.targets.target import ImageSet, SetKind, Stored, Target
from medveil.experiments.cache import ByteCache
from medveil.images.intensity import grey
from medveil.tasks.image_sets import ORIGINAL, Gallery, Mask, Pixels, TaskImage

_STORED_BYTES = 1 << 30  # of opened pixels as they are stored, all sets together
_GREY_BYTES = 1 << 26  # of the same as grey values: they are soon made again
_Opened = ByteCache[tuple[str, int], Stored]


@dataclass(frozen=True)
class Tasking:
    """What tasks work with.

    Attributes:
        gallery: the images.
        sets: what its sets are.
        found: counts for the report: images, patients, labelled, masked …
        digest: of labels, views, folds and masks.
    """

    gallery: Gallery
    sets: tuple[ImageSet, ...]
    found: Mapping[str, Any]
    digest: bytes = field(repr=False)


def tasking_of(target: Target, compare: Sequence[str], least: int, tick: Callable[[], None] = lambda: None) -> Tasking:
    """Prepare the sets and read labels and masks.

    Args:
        target: the release and its images; which of them are for tasks was drawn when they were read.
        compare: further codecs, see `recodings`.
        least: patients that a label needs, to be told.
        tick: called now and then.

    Raises:
        UsageError: what to compare with means nothing.
    """
    subjects = {subject.number: subject for subject in target.tasked}
    counts: Counter[str] = Counter()
    images, digest = _images(target, counts, tick)
    store: _Opened = ByteCache(_STORED_BYTES, lambda pixels: pixels.nbytes)
    sets = [
        ImageSet(ORIGINAL, SetKind.ORIGINAL, "as the images were", lambda subject: subject.image.pixels),
        *target.image_sets,
        *(_compared(recoding) for recoding in recodings(compare, fixed=target.fixed, deep=target.deep)),
    ]

    def pixels(one: ImageSet, number: int) -> Pixels:
        subject = subjects[number]
        if one.kind is SetKind.ORIGINAL:
            stored = one.stored(subject)
        else:
            stored = store.get((one.name, number), lambda: one.stored(subject))
        return grey(stored, subject.image.value_range).astype(np.float32)

    def mask(number: int) -> Mask:
        return mask_again(target.annotations[number], subjects[number].image.pixels.shape)

    gallery = Gallery(images, {one.name: partial(pixels, one) for one in sets}, mask, cache_bytes=_GREY_BYTES)
    return Tasking(gallery, tuple(sets), _facts(target, images, counts, least), digest)


def _compared(recoding: Recoding) -> ImageSet:
    return ImageSet(
        recoding.name, SetKind.COMPARED, f"{recoding.title}: not this release",
        lambda subject: recoding.pixels(subject.image),
    )  # fmt: skip


def _images(target: Target, counts: Counter[str], tick: Callable[[], None]) -> tuple[tuple[TaskImage, ...], bytes]:
    noted = [(subject, target.annotations[subject.number]) for subject in target.tasked]
    folds = usable_folds([annotation.fold for _, annotation in noted])
    counts["folds_used"] = int(folds)
    counts["folds_left_aside"] = 0 if folds else sum(bool(annotation.fold) for _, annotation in noted)
    whole = hashlib.sha256()
    images = []
    for subject, annotation in noted:
        mask = sound_mask(annotation, subject.image.pixels.shape, counts)
        tick()
        image = TaskImage(
            subject.number, subject.patient, annotation.source, annotation.view, annotation.label,
            annotation.fold if folds else "", subject.image.spacing_mm, mask is not None,
        )  # fmt: skip
        whole.update(repr((image, mask, hashlib.sha256(subject.image.pixels.tobytes()).digest())).encode())
        images.append(image)
    return tuple(images), whole.digest()


def _facts(target: Target, images: Sequence[TaskImage], counts: Mapping[str, int], least: int) -> dict[str, Any]:
    labelled = [image for image in images if image.label]
    common = _common_labels(labelled, least)
    return {
        "images": len(images),
        "patients": len({image.patient for image in images}),
        "packages_with_original": int(target.counts.get("packages_matched", 0)),
        "labelled": len(labelled),
        "labels": dict(sorted(Counter(image.label for image in labelled if image.label in common).items())),
        "labels_too_rare": len({image.label for image in labelled} - common),
        "masked": sum(image.masked for image in images),
        "found": dict(sorted(counts.items())),
    }


def _common_labels(images: Sequence[TaskImage], least: int) -> set[str]:
    """Labels of enough patients to be classes; a rarer one may be a remark, or a name, and is not told."""
    whose: dict[str, set[int]] = {}
    for image in images:
        whose.setdefault(image.label, set()).add(image.patient)
    return {label for label, patients in whose.items() if len(patients) >= least}
