"""People: whom recognizers look for in a release, by which images, and which picture is whose."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.recognizer import View
from medveil.datasets.manifest import Record
from medveil.images.image import Image
from medveil.images.intensity import grey
from medveil.mechanisms.observation import Subject
from medveil.mechanisms.working_pictures import Window, resized
from medveil.metrics.image_quality import PEAK

Profile = tuple[str, str, str, str]
"""Source, label, view and sex, as a manifest writes them; empty where it does not."""
Publish = Callable[[Subject, bytes], View]
"""What everybody would have of an image that is published under a key."""
LONGEST_SIDE = 512
"""Pixels of the planes that recognizers are given: larger pictures are reduced to it."""


@dataclass(frozen=True)
class Member:
    """An image that a released picture was made of.

    Attributes:
        image: its number; −1 for one that the audit has not read.
        patient: number of its patient, also of one whom the audit has not read.
        profile: of the image.
    """

    image: int
    patient: int
    profile: Profile = ("", "", "", "")


@dataclass(frozen=True)
class Pictured:
    """A released picture.

    Attributes:
        members: the images that it was made of, one at least.
        view: reads it.
    """

    members: tuple[Member, ...]
    view: Callable[[], View] = field(repr=False)


@dataclass(frozen=True)
class People:
    """What recognizers are tried on.

    Attributes:
        reals: images of people of whom there is a picture, released or not.
        pictures: that were released, and show one of them.
        profiles: of images, by number.
        real: an image as it was taken.
        publisher: how an attacker publishes who has these images of her own.
        secret: whether two publications of one image differ, so that several of them tell more.
        digest: of who is who and of what stands beside the pixels.
        original: digest of the content of an image, by number.
    """

    reals: tuple[Subject, ...] = field(repr=False)
    pictures: tuple[Pictured, ...] = field(repr=False)
    profiles: Mapping[int, Profile] = field(repr=False)
    real: Callable[[Subject], View] = field(repr=False)
    publisher: Callable[[Sequence[Subject]], Publish] = field(repr=False)
    secret: bool
    digest: bytes = field(repr=False)
    original: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    def same_people(self) -> str:
        """A digest that is the same for two releases of the same images of the same people, however they are made."""
        held = sorted((self.original.get(each.number, b"").hex(), each.patient) for each in self.reals)
        return hashlib.sha256(repr(held).encode()).hexdigest()


def profile_of(record: Record | None) -> Profile:
    """What a row of a manifest says of an image that is no secret."""
    if record is None:
        return ("", "", "", "")
    sex = (record.cells.get("sex") or "").strip()
    source, label, view, sex = (text.lower() for text in (record.source, record.label, record.view, sex))
    return source, label, view, sex


def plane_of(pixels: NDArray[np.generic], window: Window) -> NDArray[np.float32]:
    """Pixels as a recognizer sees them: grey values 0 … 255, at most 512 a side."""
    scaled = np.clip(grey(pixels, (window.low, window.high), kind=np.float32), 0.0, PEAK).astype(np.float32)
    height, width = scaled.shape
    share = LONGEST_SIDE / max(height, width)
    if share >= 1:
        return np.asarray(scaled, np.float32)
    return resized(scaled, max(1, round(height * share)), max(1, round(width * share)))


def facts_of(
    image: Image, size: int, words: Mapping[str, str], labels: Mapping[str, str]
) -> dict[str, str | float]:  # fmt: skip
    """What anybody reads of a file beside its pixels.

    Args:
        image: that is in it.
        size: bytes of the file.
        words: attributes of it.
        labels: what stands in the columns of the release for it.
    """
    height, width = image.pixels.shape
    numbers = {"bytes": float(size), "height": float(height), "width": float(width), "bits": float(image.bits_stored)}
    named = {f"label {name}": value for name, value in labels.items() if value}
    return {**numbers, **{f"attribute {name}": value for name, value in words.items()}, **named}
