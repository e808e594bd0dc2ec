"""An open release as a target: which picture was made of which image, as its private link file says."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medveil import images
from medveil.anonymizers.anonymizer import Anonymizer, Labels
from medveil.anonymizers.registry import get_anonymizer, model_for, word_of
from medveil.attacks.reidentification.recognizer import View
from medveil.audit.results import FormCheck
from medveil.audit.targets.originals import Match, Material, OriginalFile, find_originals, gather
from medveil.audit.targets.people import Member, People, Pictured, Publish, facts_of, plane_of, profile_of
from medveil.audit.targets.target import ImageSet, Kind, Limits, SetKind, Stored, Target
from medveil.datasets.manifest import Record, match_rows
from medveil.errors import IntegrityError, MedveilError, UsageError
from medveil.files import cells
from medveil.images import read_apart
from medveil.images.image import Image
from medveil.images.intensity import grey_of, stored
from medveil.images.lossy_marking import Loss
from medveil.keys.recipients import Recipient
from medveil.mechanisms.anonymized import Anonymized
from medveil.mechanisms.observation import Case, Subject
from medveil.mechanisms.working_pictures import Window, resized
from medveil.releases.records import open_record
from medveil.releases.records.open_record import OpenRecord
from medveil.releases.verifying import check_open_signer

_POOL = 64  # images of others that an attacker mixes her own with
_COLUMNS = ("image", "patient_id", "released")


def anonymized_target(
    folder: Path, originals: Path, link: Path, manifest: Path | None, owner: Recipient | None = None, *,
    model: Path | None = None, limits: Limits, working: int, seed: int, skip: Sequence[Path] = (),
    tick: Callable[[], None] = lambda: None,
) -> Target:  # fmt: skip
    """A release of pictures for everybody.

    Args:
        folder: nothing is written to it.
        originals, manifest: as of `medveil.audit.targets.originals.find_originals`. Without a manifest the link file
            says whose an image is, and what it does not name is left aside; where it says nothing either, every image
            counts as a patient of its own.
        link: the private file that says which picture was made of which images.
        owner: who is expected to have signed.
        model: folder of the model that the method used; None where it used none, or one that comes with medveil.
        Others: as of `medveil.audit.targets.target.ReadTarget`.

    Raises:
        UsageError: not an open release, a link file that is none or of another release, the manifest lists none of the
            files, or the model is not the one that the release names.
        IntegrityError: the release is damaged, or somebody else's, also than the one vouched for at this path.
    """
    record = open_record.load(folder)
    if owner is not None and owner.verify_key != record.owner:
        raise IntegrityError(
            "the release is signed by another owner than the one named",
            hint="compare fingerprints with the owner before you use it",
        )
    learned = model_for(record.method, model, record.model)
    method = get_anonymizer(record.method, {name: word_of(value) for name, value in record.settings.items()}, learned)
    rows = read_link(link, record)
    counts: Counter[str] = Counter()
    files = find_originals(originals, manifest, (folder, link, *skip), counts, tick)
    known = check_open_signer(record, folder, owner, pin=False).vouched
    matched = _matched(rows, files, originals, counts, named=manifest is None)
    listed = manifest is not None or any(match.file.record is not None for match in matched)
    there = {name for match in matched for name in match.thing}
    counts["packages"], counts["packages_matched"] = len(record.pictures), len(there)

    def picture(name: str) -> Image:
        return read_apart(folder / name)

    def alike(names: _Names, image: Image) -> bool:
        return method.redraws or picture(names[0]).pixels.shape == image.pixels.shape

    material = gather(
        matched, files, originals, listed=listed, alike=alike,
        limits=replace(
            limits, shared=max(limits.shared, limits.recognized), outside=max(limits.outside, limits.known)
        ),
        working=working, seed=seed, release=record.to_bytes(), counts=counts, tick=tick, siblings=limits.recognized,
    )  # fmt: skip
    size = max(Counter(row.released for row in rows).values())
    pool = [subject.image for subject in material.outside[:_POOL]]
    mechanism = Anonymized(method, pool, material.window, working, size)
    opened = _Opened(folder, record, mechanism, material, matched)

    def first(subject: Subject) -> Image:
        return picture(material.things[subject.number][0])

    return Target(
        Kind.OPEN, mechanism, material.subjects, material.outside,
        lambda subject: Case(subject, mechanism.seen(first(subject))),
        (
            ImageSet(
                SetKind.ANONYMIZED.value, SetKind.ANONYMIZED, "what everybody gets",
                lambda subject: _as_original(first(subject), subject, method),
            ),
        ),
        _facts(record, folder, known=known), partial(form_checks, folder, record), material.window,
        listed, dict(counts), material.digest, tasked=material.tasked, annotations=material.annotations,
        people=opened.people() if limits.recognized else None,
    )  # fmt: skip


@dataclass(frozen=True)
class _Opened:
    """A release with the material of its audit: what recognizers see of it."""

    folder: Path
    record: OpenRecord
    mechanism: Anonymized
    material: Material[_Names]
    matched: Sequence[Match[_Names]]

    def people(self) -> People:
        """Whom there is to recognise, and by what."""
        material = self.material
        reals = (*material.subjects, *material.siblings)
        members = self._members()
        groups = Counter(members.values())
        numbers = {group: number for number, group in enumerate(sorted(groups, key=repr))}
        told, labels = max(groups.values(), default=1) > 1, _labels(self.folder, self.record)
        strata: dict[str, int] = {}  # of each picture: that of an image that it was made of
        for subject in material.subjects:
            strata |= dict.fromkeys(material.things[subject.number], subject.stratum)
        pictures = []
        for name in sorted(strata):
            beside: dict[str, str | float] = {"group": float(numbers[members[name]])} if told else {}
            view = partial(self._released, name, strata[name], labels.get(name, {}), beside)
            pictures.append(Pictured(members[name], view))
        files = material.files
        profiles = {number: profile_of(file.record) for number, file in files.items()}
        held = [[each.number, each.patient, profiles[each.number], self._own_labels(each)] for each in reals]
        held += [[each.number, self._own_labels(each)] for each in material.outside]
        digest = hashlib.sha256(repr([held, [picture.members for picture in pictures]]).encode()).digest()
        return People(
            reals, tuple(pictures), profiles, self._real, self._publisher, self.mechanism.varies, digest,
            {each.number: files[each.number].sha256 for each in reals},
        )  # fmt: skip

    def _members(self) -> dict[str, tuple[Member, ...]]:
        """The images of each picture; of those that were not read the patient is known all the same."""
        material, numbers = self.material, dict[bytes, int]()
        patients: dict[str, int] = {}
        for number, file in material.files.items():
            numbers[file.sha256] = number
        for subject in (*material.subjects, *material.siblings, *material.outside, *material.tasked):
            patients[material.files[subject.number].patient] = subject.patient
        unread = 1 + max(patients.values(), default=-1)
        found: defaultdict[str, list[Member]] = defaultdict(list)
        for match in self.matched:
            file = match.file
            patient = patients.get(file.patient)
            if patient is None:
                patient = patients[file.patient] = unread
                unread += 1
            for name in match.thing:
                found[name].append(Member(numbers.get(file.sha256, -1), patient, profile_of(file.record)))
        return {name: tuple(group) for name, group in found.items()}

    def _own_labels(self, subject: Subject) -> dict[str, str]:
        """What the columns of the release would say of an image by itself."""
        record = self.material.files[subject.number].record
        cells = record.cells if record is not None else {}
        return {name: (cells.get(name) or "").strip() for name in self.record.columns}

    def _real(self, subject: Subject) -> View:
        words = images.public_words(images.public(subject.image))
        size = self.material.files[subject.number].bytes
        facts = facts_of(subject.image, size, words, self._own_labels(subject))
        return View(plane_of(subject.image.pixels, self.material.window), subject.stratum, facts)

    def _released(
        self, name: str, stratum: int, labels: Mapping[str, str], beside: Mapping[str, str | float]
    ) -> View:  # fmt: skip
        image = read_apart(self.folder / name)
        facts = facts_of(image, (self.folder / name).stat().st_size, images.public_words(image), labels)
        return self._view(image, stratum, {**facts, **beside})

    def _view(self, image: Image, stratum: int, facts: Mapping[str, str | float]) -> View:
        window = Window() if self.mechanism.method.redraws else self.material.window
        return View(plane_of(image.pixels, window), stratum, facts)

    def _publisher(self, own: Sequence[Subject]) -> Publish:
        """A method that mixes images does so within a stratum, as `medveil anonymize` does. Whoever has no images of
        others mixes her own with each other.
        """
        others = self.material.outside or own
        general = self.mechanism
        if not self.material.outside:
            general = general.among([subject.image for subject in own[:_POOL]])
        mechanisms: dict[int, Anonymized] = {}
        method = general.method
        loss = Loss(1.0, f"MEDVEIL_{method.name}")

        def within(stratum: int) -> Anonymized:
            pool = [other.image for other in others if other.stratum == stratum][:_POOL]
            return general.among(pool) if 1 < general.size <= len(pool) else general

        def publish(subject: Subject, key: bytes) -> View:
            if subject.stratum not in mechanisms:
                mechanisms[subject.stratum] = within(subject.stratum)
            made, members = mechanisms[subject.stratum].released(subject.image, key)
            shown = images.public(made, members if method.redraws else ())
            data = images.to_file_bytes(shown, loss=loss, uid_key=key, tier="public")
            again = images.read_bytes(data)
            labels = self._own_labels(subject) if method.labels is Labels.KEPT else {}
            facts = facts_of(again, len(data), images.public_words(again), labels)
            return self._view(again, subject.stratum, facts)

        return publish


def _labels(folder: Path, record: OpenRecord) -> dict[str, dict[str, str]]:
    """What the release tells of each picture in its columns. Raises IntegrityError where it cannot be read."""
    if not record.columns:
        return {}
    try:
        with (folder / open_record.LABELS).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
    except (OSError, csv.Error):
        raise IntegrityError("the labels of the release cannot be read") from None
    return {
        f"{open_record.IMAGES}/{row.get('image')}": {name: row.get(name) or "" for name in record.columns}
        for row in rows
    }


@dataclass(frozen=True)
class LinkRow:
    """A row of a link file: an image, whose it is where that is known, and the picture that it went into."""

    image: str = field(repr=False)
    patient: str = field(repr=False)
    released: str


def read_link(path: Path, record: OpenRecord) -> list[LinkRow]:
    """The rows of a link file.

    Raises:
        UsageError: it is no such file, or of another release.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            found = list(reader) if set(_COLUMNS) <= set(reader.fieldnames or ()) else None
    except (OSError, csv.Error) as error:
        raise UsageError(f"the link file cannot be read: {type(error).__name__}") from None
    if found is None:
        raise UsageError(
            f"the link file lacks one of the columns {', '.join(_COLUMNS)}", hint="name the file that --link wrote"
        )
    rows = [LinkRow(*(cells.restored(row[column] or "") for column in _COLUMNS)) for row in found]
    if {row.released for row in rows} != set(record.pictures):
        raise UsageError(
            "the link file is of another release: it names other pictures", hint="each release has a link file"
        )
    return rows


_Names = tuple[str, ...]
"""The pictures that an image went into; at least one."""


@dataclass(frozen=True)
class _Link:
    """The rows of an image in a link file, as `match_rows` takes it."""

    path: Path
    written: str
    patient: str
    released: _Names


def _matched(
    rows: Sequence[LinkRow], files: Sequence[OriginalFile], originals: Path, counts: Counter[str], *, named: bool
) -> list[Match[_Names]]:  # fmt: skip
    """The pictures of each original.

    Args:
        counts: rows_by_name rises where rows were matched by a file's name alone.
        named: whether the link file says whose it is.
    """
    of: defaultdict[str, list[LinkRow]] = defaultdict(list)
    for row in rows:
        of[row.image].append(row)
    links = [
        _Link((originals / image).resolve(), image, own[0].patient.strip(), tuple(row.released for row in own))
        for image, own in of.items()
    ]
    found = match_rows(links, [file.found.path for file in files], [originals], what="link file")
    counts.update({"rows_by_name": found.by_name} if found.by_name else {})
    matched = []
    for link, file in zip(found.rows, files, strict=True):
        if link is not None:
            record = Record(file.found.path, link.patient, "") if named and link.patient else file.record
            matched.append(Match(link.released, replace(file, record=record)))
    return matched


def _as_original(picture: Image, subject: Subject, method: Anonymizer) -> Stored:
    """The stored values of a picture in the size and depth of the original."""
    if not method.redraws:
        if picture.pixels.shape != subject.image.pixels.shape:
            raise IntegrityError("a released picture has another size than its original")
        return picture.pixels
    image = subject.image
    values = resized(grey_of(picture, np.float32), *image.pixels.shape, smooth=True)
    return stored(values, image.value_range, image.value_range[0], image.pixels.dtype)


def _facts(record: OpenRecord, folder: Path, *, known: bool) -> dict[str, Any]:
    """What everybody can read of a release."""
    return {
        "id": record.release.hex(),
        "kind": Kind.OPEN.value,
        "protection": record.method,
        "settings": dict(record.settings),
        "created": record.created,
        "packages": len(record.pictures),
        "bytes": sum((folder / name).stat().st_size for name in record.files),
        "owners": [record.fingerprint],
        "owner_known": known,
    }


def form_checks(folder: Path, record: OpenRecord) -> tuple[FormCheck, ...]:
    """Checks of what anybody can see of the files: they are those that were signed, and all of one time."""
    try:
        open_record.check_files(folder, record)
        told, ok = f"{len(record.files)} files, all as signed, and no other.", True
    except MedveilError as error:
        told, ok = f"{error.message[:1].upper()}{error.message[1:]}.", False
    times = {(folder / name).stat().st_mtime for name in record.files if (folder / name).exists()}
    return (
        FormCheck("files-as-signed", "The files are those that were signed", told, ok),
        FormCheck(
            "times-alike", "Times of files tell nothing",
            "All are equal." if len(times) == 1 else f"There are {len(times)} different ones.", len(times) == 1,
        ),
    )  # fmt: skip
