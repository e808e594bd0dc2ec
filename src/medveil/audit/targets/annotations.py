"""Annotations: what a manifest says of an image beside whose it is, and its mask. Where the mask lies stays here."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medveil.datasets.manifest import Record
from medveil.errors import IntegrityError, MedveilError
from medveil.images import read_apart

Mask = NDArray[np.bool_]
_LONGEST = 60


@dataclass(frozen=True)
class Annotation:
    """What the manifest says of an image.

    Attributes:
        source, view, label, fold, sex: as it writes them, without spaces around; empty where it does not.
        mask: reads its mask, whatever size that has, (h, w) bool; None where the manifest names none. Raises
            MedveilError where it cannot be read.
    """

    source: str
    view: str
    label: str
    fold: str
    mask: Callable[[], Mask] | None = field(default=None, repr=False)
    sex: str = ""


def annotation_of(record: Record, originals: Path) -> Annotation:
    """The annotation of a row. A manifest may have been moved away from its images: then a mask's path is taken as one
    below the originals.
    """
    mask = None
    if record.mask is not None:
        beside = record.mask if record.mask.is_file() else originals / record.written_mask
        mask = partial(_read_mask, beside)
    sex = _plain(record.cells.get("sex") or "")
    return Annotation(_plain(record.source), _plain(record.view), _plain(record.label), record.fold, mask, sex)


def sound_mask(annotation: Annotation, shape: tuple[int, ...], counts: Counter[str]) -> bytes | None:
    """A digest of the mask of an image, or None where it has none that can be used; the reason is counted.

    Args:
        annotation: of the image.
        shape: (H, W) of the image.
        counts: masks_unreadable, masks_of_another_size and masks_without_area rise.
    """
    if annotation.mask is None:
        return None
    try:
        mask = annotation.mask()
    except (MedveilError, OSError, ValueError):
        counts["masks_unreadable"] += 1
        return None
    if mask.shape != shape:
        counts["masks_of_another_size"] += 1
        return None
    if not mask.any():
        counts["masks_without_area"] += 1
        return None
    return hashlib.sha256(np.packbits(mask).tobytes()).digest()


def mask_again(annotation: Annotation, shape: tuple[int, ...]) -> Mask:
    """The mask of an image for which `sound_mask` found one.

    Raises:
        IntegrityError: it has changed since.
    """
    try:
        mask = annotation.mask() if annotation.mask is not None else None
    except (MedveilError, OSError, ValueError):
        mask = None
    if mask is None or mask.shape != shape:
        raise IntegrityError("a mask has changed while the audit ran", hint="leave the masks alone and run it again")
    return mask


def usable_folds(folds: Iterator[str] | list[str]) -> bool:
    """Whether a manifest's folds make sense for these images: each has one, and there are some to train and to test."""
    found = set(folds)
    return {"train", "test"} <= found <= {"train", "val", "validation", "test"}


def _plain(text: str) -> str:
    """What can stand in a title: printable, and not too long."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:_LONGEST].strip()


def _read_mask(path: Path) -> Mask:
    """Of two values the larger one is inside, as of masks of 0 and 1; else more than half of the range of the depth."""
    image = read_apart(path)
    values = np.unique(image.pixels)
    low, high = (values[0], values[-1]) if len(values) == 2 else image.value_range
    inside: Mask = image.pixels.astype(np.float64) > (float(low) + float(high)) / 2
    return inside
