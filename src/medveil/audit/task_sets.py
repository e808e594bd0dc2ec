"""Tasking: the images of a release as tasks see them, as they were and as they are opened. Nothing is written.

Every set is opened or coded in memory when a task asks for a picture. Grey values are those of
`medveil.audit.fidelity`: 0 … 255 by the range of the stored depth.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.audit.annotations import mask_again, sound_mask, usable_folds
from medveil.audit.fidelity import grey
from medveil.audit.reference_codecs import Recoding, recodings
from medveil.audit.targets.keyed import Holding
from medveil.audit.targets.target import Subjected
from medveil.errors import IntegrityError
from medveil.experiments.cache import ByteCache
from medveil.images.image import Image
from medveil.keys.tiers import Tier
from medveil.tasks.comparisons import LEAST_PATIENTS
from medveil.tasks.image_sets import ORIGINAL, Gallery, Mask, Pixels, TaskImage

_STORED_BYTES = 1 << 30  # of opened pixels as they are stored, all sets together
_GREY_BYTES = 1 << 26  # of the same as grey values: they are soon made again
_KINDS = {"original": "as the images were", "tier": "what recipients of this tier open"}
Stored = NDArray[np.generic]
_Opened = ByteCache[tuple[str, int], Stored]


@dataclass(frozen=True)
class ImageSet:
    """One set of a gallery.

    Attributes:
        name: original, a tier, or codec:number.
        kind: original, tier or compared.
        title: what it is, in words.
    """

    name: str
    kind: str
    title: str


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


def tasking_of(subjected: Subjected, compare: Sequence[str], tick: Callable[[], None] = lambda: None) -> Tasking:
    """Prepare the sets and read labels and masks.

    Args:
        subjected: the release and its images; which of them are for tasks was drawn when they were read.
        compare: further codecs, see `recodings`.
        tick: called now and then.

    Raises:
        UsageError: what to compare with means nothing.
    """
    manifest = subjected.release.manifest
    recoded = recodings(compare, fixed=manifest.protection == "sealed", deep=manifest.profile.deep)
    holdings = {holding.subject.number: holding for holding in subjected.material.tasked}
    counts: Counter[str] = Counter()
    images, digest = _images(subjected, counts, tick)
    store: _Opened = ByteCache(_STORED_BYTES, lambda pixels: pixels.nbytes)
    sets: dict[str, Callable[[int], Pixels]] = {ORIGINAL: lambda number: _original(holdings[number].subject.image)}
    told = [ImageSet(ORIGINAL, "original", _KINDS["original"])]
    for tier in manifest.tiers:
        sets[tier.value] = partial(_opened, subjected, holdings, tier, store)
        told.append(ImageSet(tier.value, "tier", _KINDS["tier"]))
    for recoding in recoded:
        sets[recoding.name] = partial(_recoded, holdings, recoding, store)
        told.append(ImageSet(recoding.name, "compared", f"{recoding.title}: not this release"))

    def mask(number: int) -> Mask:
        image = holdings[number].subject.image
        return mask_again(subjected.material.annotations[number], image.pixels.shape)

    gallery = Gallery(images, sets, mask, cache_bytes=_GREY_BYTES)
    return Tasking(gallery, tuple(told), _facts(subjected, images, counts), digest)


def _images(
    subjected: Subjected, counts: Counter[str], tick: Callable[[], None]
) -> tuple[tuple[TaskImage, ...], bytes]:
    material = subjected.material
    noted = [(holding.subject, material.annotations[holding.subject.number]) for holding in material.tasked]
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


def _original(image: Image) -> Pixels:
    return grey(image.pixels, image).astype(np.float32)


def _opened(subjected: Subjected, holdings: Mapping[int, Holding], tier: Tier, store: _Opened, number: int) -> Pixels:
    holding = holdings[number]
    image = holding.subject.image

    def open_() -> Stored:
        ring = subjected.ring.lowered(tier)
        opened = subjected.release.open_package(holding.entry, ring, subjected.codec)
        if opened is None or not isinstance(opened.content, Image):
            raise IntegrityError("a package does not open to an image")
        if opened.content.pixels.shape != image.pixels.shape:
            raise IntegrityError("a package opens to an image of another size than its original")
        return opened.content.pixels

    return grey(store.get((tier.value, number), open_), image).astype(np.float32)


def _recoded(holdings: Mapping[int, Holding], recoding: Recoding, store: _Opened, number: int) -> Pixels:
    image = holdings[number].subject.image
    return grey(store.get((recoding.name, number), lambda: recoding.pixels(image)), image).astype(np.float32)


def _facts(subjected: Subjected, images: Sequence[TaskImage], counts: Mapping[str, int]) -> dict[str, Any]:
    labelled = [image for image in images if image.label]
    common = _common_labels(labelled)
    return {
        "images": len(images),
        "patients": len({image.patient for image in images}),
        "packages_with_original": int(subjected.material.counts.get("packages_matched", 0)),
        "labelled": len(labelled),
        "labels": dict(sorted(Counter(image.label for image in labelled if image.label in common).items())),
        "labels_too_rare": len({image.label for image in labelled} - common),
        "masked": sum(image.masked for image in images),
        "found": dict(sorted(counts.items())),
    }


def _common_labels(images: Sequence[TaskImage]) -> set[str]:
    """Labels of enough patients to be classes; a rarer one may be a remark, or a name, and is not told."""
    whose: dict[str, set[int]] = {}
    for image in images:
        whose.setdefault(image.label, set()).add(image.patient)
    return {label for label, patients in whose.items() if len(patients) >= LEAST_PATIENTS}
