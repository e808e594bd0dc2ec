"""Originals: the images that a release was made of, whose they are, and which are the attacker's own.

Only numbers leave this room: of images, patients and strata, in an order that says nothing. Names stay here. What tasks
need besides, such as labels, are names of classes and not of people.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from medveil.audit.targets.annotations import Annotation, annotation_of
from medveil.audit.targets.target import Limits
from medveil.codecs.code import Bucket
from medveil.datasets.manifest import Record, match_rows, read_manifest
from medveil.errors import MedveilError, UsageError
from medveil.experiments.sampling import drawn_by_patient, generator_of
from medveil.files.walk import Found, find_files
from medveil.images import read_apart
from medveil.images.image import Image
from medveil.mechanisms.observation import Subject
from medveil.mechanisms.working_pictures import Window, working_picture

Thing = TypeVar("Thing")
_Row = TypeVar("_Row")
_TAILS = (0.5, 99.5)  # percentiles of deep images that become black and white
_SAMPLED = 4096  # pixels an image from which they are taken


@dataclass(frozen=True)
class OriginalFile:
    """A file among the originals, with its content's digest and its row of the manifest."""

    found: Found
    sha256: bytes
    bytes: int
    record: Record | None

    @property
    def patient(self) -> str:
        """A name of the patient: the manifest's, or that of the image itself."""
        return f"#{self.sha256.hex()}" if self.record is None else f"={self.record.patient}"

    @property
    def stratum(self) -> tuple[str, str]:
        return self.record.stratum if self.record is not None else ("", "")


@dataclass(frozen=True, eq=False)
class Match(Generic[Thing]):
    """One thing of a release, such as a package, and the file that it was made of."""

    thing: Thing
    file: OriginalFile


@dataclass(frozen=True)
class Material(Generic[Thing]):
    """Images that an audit works with.

    Attributes:
        subjects: images of the release, in an order that says nothing.
        outside: images that are not in it, of patients who are not in it either.
        tasked: images of the release for tasks, each with a row in the manifest; in part those of `subjects`.
        siblings: images that are not in it, of patients whose `subjects` are.
        things: what of the release is made of an image, by its number.
        annotations: of the images, by number.
        files: the original file of an image, by its number.
        window: range of the working pictures.
        digest: of all that went in, but for what only tasks see.
    """

    subjects: tuple[Subject, ...]
    outside: tuple[Subject, ...]
    tasked: tuple[Subject, ...]
    siblings: tuple[Subject, ...]
    things: Mapping[int, Thing] = field(repr=False)
    annotations: Mapping[int, Annotation] = field(repr=False)
    files: Mapping[int, OriginalFile] = field(repr=False)
    window: Window
    digest: bytes = field(repr=False)


def find_originals(
    originals: Path, manifest: Path | None, skip: Sequence[Path], counts: Counter[str], tick: Callable[[], None]
) -> list[OriginalFile]:
    """The files of a folder with their rows.

    Args:
        originals: a folder with the originals, and maybe images of other patients.
        manifest: CSV with a path column and patient_id, and maybe source and view.
        skip: folders to pass over.
        counts: files and unreadable_files rise; manifest_rows and manifest_rows_unmatched are set, and
            rows_by_name where rows were matched by a file's name alone.
        tick: called after each file.

    Raises:
        UsageError: the manifest cannot be read, or none of its rows is of any of the files.
    """
    listing = find_files([originals], skip=skip)
    rows: Sequence[Record | None] = [None] * len(listing)
    if manifest is not None:
        matched = match_rows(read_manifest(manifest), [found.path for found in listing], [originals])
        counts["manifest_rows"], counts["manifest_rows_unmatched"] = matched.listed, matched.unmatched
        counts.update({"rows_by_name": matched.by_name} if matched.by_name else {})
        rows = matched.rows
    files = []
    for found, row in zip(listing, rows, strict=True):
        content = None if found.problem else _digest_of(found.path)
        if content is None:
            counts["unreadable_files"] += 1
            continue
        files.append(OriginalFile(found, content[0], content[1], row))
        tick()
    counts["files"] = len(listing)
    return files


def gather(
    matched: Sequence[Match[Thing]], files: Sequence[OriginalFile], originals: Path, *, listed: bool,
    alike: Callable[[Thing, Image], bool], limits: Limits, working: int, seed: int, release: bytes,
    counts: Counter[str], tick: Callable[[], None], siblings: int = 0,
) -> Material[Thing]:  # fmt: skip
    """Draw and read the images that an audit needs.

    Args:
        matched: what of the release has a file.
        files: of `find_originals`.
        originals: the folder that they are in.
        listed: whether a manifest says who is who.
        alike: whether a thing of the release may be made of an image; else its file is one of that name and no more.
        limits: how many images are read at most; which ones is drawn by patient.
        working: side of the working pictures.
        seed: of what is drawn.
        release: stands for the release in the digest.
        counts: of the report; what is passed over rises.
        tick: called now and then, to tell that it goes on.
        siblings: how many images are read that are not in the release, of patients who are.

    Raises:
        UsageError: none of the files is an image.
    """
    every, others = matched, _outside(files, matched, listed=listed, counts=counts)
    matched = _drawn(every, lambda match: match.file.patient, limits.shared, seed, "shared")
    others = _drawn(others, lambda file: file.patient, limits.outside, seed, "outside")
    tasked = _for_tasks(every, matched, limits.tasks, seed)
    taken, for_tasks = set(matched), set(tasked)
    further = [match for match in tasked if match not in taken]
    kin = _siblings(files, every, matched) if siblings else []
    beside = _drawn(kin, lambda file: file.patient, siblings, seed, "siblings")
    chosen = [*(match.file for match in matched), *others, *(match.file for match in further), *beside]
    attacked, read = len(matched) + len(others), len(chosen) - len(beside)
    images = _read_all(chosen, counts, tick)
    numbered = {**dict(enumerate(matched)), **dict(enumerate(further, attacked))}
    for number, match in numbered.items():
        image = images[number]
        if image is not None and not alike(match.thing, image):
            images[number] = None
            counts["originals_of_another_size"] += 1
    read_ones = [image for image in images[:attacked] if image is not None]
    window = _window(read_ones)
    subjects = _subjects(chosen, images, window, working)
    shared = tuple(subject for subject in subjects[: len(matched)] if subject is not None)
    if not shared:
        raise UsageError("none of the originals can be read as an image")
    counts["mixed_depths"] = int(len({image.bits_stored > 8 for image in read_ones}) > 1)
    whole = hashlib.sha256(release)
    for number in (*range(attacked), *range(read, len(chosen))):
        file, subject = chosen[number], subjects[number]
        who = (subject.number, subject.patient, subject.stratum) if subject is not None else ()
        whole.update(repr((file.sha256, who)).encode())
    known = {number: subject for number, subject in enumerate(subjects) if subject is not None}
    rows = {number: file.record for number, file in enumerate(chosen) if file.record is not None}
    return Material(
        shared, tuple(subject for subject in subjects[len(matched) : attacked] if subject is not None),
        tuple(known[number] for number, match in numbered.items() if match in for_tasks and number in known),
        tuple(subject for subject in subjects[read:] if subject is not None),
        {number: match.thing for number, match in numbered.items()},
        {number: annotation_of(row, originals) for number, row in rows.items()},
        {number: chosen[number] for number in known}, window, whole.digest(),
    )  # fmt: skip


def _for_tasks(
    every: Sequence[Match[Thing]], attacked: Sequence[Match[Thing]], limit: int, seed: int
) -> list[Match[Thing]]:
    """For tasks: of what has a row in the manifest first what is attacked, then others."""
    taken, found = set(attacked), list[Match[Thing]]()
    for there, purpose in ((True, "tasks"), (False, "further")) if limit else ():
        part = [match for match in every if match.file.record is not None and (match in taken) is there]
        room = limit - len(found)
        found += _drawn(part, lambda match: match.file.patient, room, seed, purpose) if room > 0 else []
    return found


def _digest_of(path: Path) -> tuple[bytes, int] | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest(), file.tell()
    except OSError:
        return None


def _outside(
    files: Sequence[OriginalFile], matched: Sequence[Match[Thing]], *, listed: bool, counts: Counter[str]
) -> list[OriginalFile]:
    """Files of patients who are not in the release, each content once. Whoever may be in it is left out."""
    contents = {match.file.sha256 for match in matched}
    patients = {match.file.patient for match in matched}
    kept = []
    for file in files:
        if file.sha256 in contents:
            continue
        contents.add(file.sha256)
        if listed and file.record is None:
            counts["files_unlisted_in_manifest"] += 1
        elif file.patient in patients:
            counts["files_of_patients_in_release"] += 1
        else:
            kept.append(file)
    return kept


def _siblings(
    files: Sequence[OriginalFile], every: Sequence[Match[Thing]], drawn: Sequence[Match[Thing]]
) -> list[OriginalFile]:
    """Files that are not in the release, of patients who are among those drawn from it, each content once."""
    contents, patients = {match.file.sha256 for match in every}, {match.file.patient for match in drawn}
    kept = []
    for file in files:
        if file.patient in patients and file.sha256 not in contents:
            contents.add(file.sha256)
            kept.append(file)
    return kept


def _drawn(rows: Sequence[_Row], patient: Callable[[_Row], str], limit: int, seed: int, purpose: str) -> list[_Row]:
    names = [patient(row) for row in rows]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    kept = drawn_by_patient([numbers[name] for name in names], limit, generator_of(seed, "read", purpose))
    return [rows[index] for index in kept]


def _read_all(files: Sequence[OriginalFile], counts: Counter[str], tick: Callable[[], None]) -> list[Image | None]:
    images: list[Image | None] = []
    for file in files:
        try:
            images.append(read_apart(file.found.path))
        except MedveilError:
            images.append(None)
            counts["files_not_images"] += 1
        tick()
    return images


def _window(images: Sequence[Image]) -> Window:
    """0 … 255 for images of 8 bits; else what lies between the tails of the stored values of all deep images."""
    deep = [image for image in images if image.bits_stored > 8]
    if not deep:
        return Window()
    values = []
    for image in deep:
        flat = image.pixels.ravel()
        values.append(flat[:: max(1, flat.size // _SAMPLED)].astype(np.float64))
    low, high = np.percentile(np.concatenate(values), _TAILS)
    return Window(float(low), float(max(high, low + 1.0)))


def _subjects(
    files: Sequence[OriginalFile], images: Sequence[Image | None], window: Window, working: int
) -> list[Subject | None]:
    """Numbered as they come: patients by first appearance, and so are strata, those of the release first."""
    patients: dict[str, int] = {}
    strata: dict[tuple[str, str], int] = {}
    found: list[Subject | None] = []
    for number, (file, image) in enumerate(zip(files, images, strict=True)):
        if image is None:
            found.append(None)
            continue
        patient = patients.setdefault(file.patient, len(patients))
        stratum = strata.setdefault(file.stratum, len(strata))
        bucket = Bucket.of(*image.pixels.shape)
        picture = working_picture(image.pixels, bucket, window, working)
        found.append(Subject(number, patient, stratum, image, picture))
    return found
