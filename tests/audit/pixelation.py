"""A toy of an open release: pictures of few squares in a folder, for everybody, and no key anywhere.

All of the method is in this file: how it publishes, how a folder is released, and how that folder becomes a target.
"""

from __future__ import annotations

import csv
import secrets
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from medveil.audit.results import FormCheck
from medveil.audit.targets.originals import Match, find_originals, gather
from medveil.audit.targets.target import ImageSet, Kind, SetKind, Target
from medveil.codecs.code import Bucket
from medveil.errors import IntegrityError
from medveil.images import read
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Subject
from medveil.mechanisms.working_pictures import Window, working_picture


def pixelated(pixels: np.ndarray, cells: int) -> np.ndarray:
    """The same picture of so many squares a side, each as bright as its mean."""
    small = Picture.fromarray(pixels).resize((cells, cells), Picture.Resampling.BOX)
    return np.asarray(small.resize(pixels.shape[::-1], Picture.Resampling.NEAREST))


class Pixelation(Mechanism):
    """A mechanism without a key and without a codec."""

    name = "pixelation"

    def __init__(self, cells: int, window: Window, working: int) -> None:
        self.cells, self.window, self.working = cells, window, working

    def publish(self, subject: Subject, key: bytes) -> Observation:
        return self.seen(pixelated(subject.image.pixels, self.cells))

    def seen(self, pixels: np.ndarray) -> Observation:
        """What everybody has of a released picture."""
        bucket = Bucket.of(*pixels.shape)
        return Observation(bucket, picture=working_picture(pixels, bucket, self.window, self.working))


def release(originals: Path, folder: Path, cells: int) -> Path:
    """Release every picture of a folder under a random name. `link.csv` says which is which, and stays at home."""
    (folder / "public").mkdir(parents=True)
    with (folder / "link.csv").open("w", newline="") as file:
        link = csv.writer(file)
        link.writerow(("image", "released"))
        for path in sorted(originals.glob("*.png")):
            name = f"{secrets.token_hex(8)}.png"
            Picture.fromarray(pixelated(np.asarray(Picture.open(path)), cells)).save(folder / "public" / name)
            link.writerow((path.name, name))
    return folder


def open_target(folder: Path, originals: Path, manifest: Path, cells: int, *, skip, tick, **how) -> Target:
    """A folder of `release` as what an audit works on."""
    counts: Counter[str] = Counter()
    files = find_originals(originals, manifest, skip, counts, tick)
    with (folder / "link.csv").open(newline="") as file:
        released = {row["image"]: folder / "public" / row["released"] for row in csv.DictReader(file)}
    matched = [Match(released[each.found.path.name], each) for each in files if each.found.path.name in released]
    counts["packages"] = counts["packages_matched"] = len(matched)
    material = gather(
        matched, files, originals, listed=True, alike=lambda path, image: image.pixels.shape == stored(path).shape,
        release=(folder / "link.csv").read_bytes(), counts=counts, tick=tick, **how,
    )  # fmt: skip
    mechanism = Pixelation(cells, material.window, how["working"])

    def pixels(subject: Subject) -> np.ndarray:
        return stored(material.things[subject.number])

    return Target(
        Kind.OPEN, mechanism, material.subjects, material.outside,
        lambda subject: Case(subject, mechanism.seen(pixels(subject))),
        (ImageSet("anonymized", SetKind.ANONYMIZED, "what everybody gets", pixels),),
        {"kind": "open", "protection": mechanism.name, "packages": len(released)}, partial(form_checks, folder),
        material.window, True, dict(counts), material.digest, tasked=material.tasked, annotations=material.annotations,
    )  # fmt: skip


def stored(path: Path) -> np.ndarray:
    try:
        return read(path).pixels
    except OSError:
        raise IntegrityError("a released picture cannot be read") from None


def form_checks(folder: Path) -> tuple[FormCheck, ...]:
    """Nothing but pictures is public."""
    others = [path for path in (folder / "public").iterdir() if path.suffix != ".png"]
    return (FormCheck("pictures-only", "Nothing but pictures", f"{len(others)} other files.", not others),)
