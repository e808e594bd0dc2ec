"""An open release as a target: which picture was made of which image, as its private link file says."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medveil.anonymizers.anonymizer import Anonymizer
from medveil.anonymizers.registry import get_anonymizer
from medveil.audit.results import FormCheck
from medveil.audit.targets.originals import Match, OriginalFile, find_originals, gather
from medveil.audit.targets.target import ImageSet, Kind, Limits, SetKind, Stored, Target
from medveil.datasets.manifest import match_rows
from medveil.errors import IntegrityError, MedveilError, UsageError
from medveil.images import read_apart
from medveil.images.image import Image
from medveil.images.intensity import grey_of, stored
from medveil.keys.recipients import Recipient
from medveil.mechanisms.anonymized import Anonymized
from medveil.mechanisms.observation import Case, Subject
from medveil.mechanisms.working_pictures import resized
from medveil.releases.records import open_record
from medveil.releases.records.open_record import OpenRecord

_POOL = 64  # images of others that an attacker mixes her own with
_COLUMNS = ("image", "patient_id", "released")


def anonymized_target(
    folder: Path, originals: Path, link: Path, manifest: Path | None, owner: Recipient | None = None, *,
    limits: Limits, working: int, seed: int, skip: Sequence[Path] = (), tick: Callable[[], None] = lambda: None,
) -> Target:  # fmt: skip
    """A release of pictures for everybody.

    Args:
        folder: nothing is written to it.
        originals, manifest: as of `medveil.audit.targets.originals.find_originals`. Without a manifest every
            image counts as a patient of its own, whatever the link file says.
        link: the private file that says which picture was made of which images.
        owner: who is expected to have signed.
        Others: as of `medveil.audit.targets.target.ReadTarget`.

    Raises:
        UsageError: not an open release, a link file that is none or of another release, or the manifest lists none of
            the files.
        IntegrityError: the release is damaged, or somebody else's.
    """
    record = open_record.load(folder)
    if owner is not None and owner.verify_key != record.owner:
        raise IntegrityError(
            "the release is signed by another owner than the one named",
            hint="compare fingerprints with the owner before you use it",
        )
    method = get_anonymizer(record.method, {name: _word(value) for name, value in record.settings.items()})
    rows = read_link(link, record)
    counts: Counter[str] = Counter()
    files = find_originals(originals, manifest, (folder, link, *skip), counts, tick)
    matched = _matched(rows, files, originals)
    counts["packages"], counts["packages_matched"] = len(record.pictures), len({match.thing for match in matched})

    def picture(name: str) -> Image:
        return read_apart(folder / name)

    def alike(name: str, image: Image) -> bool:
        return method.redraws or picture(name).pixels.shape == image.pixels.shape

    material = gather(
        matched, files, originals, listed=manifest is not None, alike=alike, limits=limits, working=working, seed=seed,
        release=record.to_bytes(), counts=counts, tick=tick,
    )  # fmt: skip
    size = max(Counter(name for _, name in rows).values())
    pool = [subject.image for subject in material.outside[:_POOL]]
    mechanism = Anonymized(method, pool, material.window, working, size)
    return Target(
        Kind.OPEN, mechanism, material.subjects, material.outside,
        lambda subject: Case(subject, mechanism.seen(picture(material.things[subject.number]))),
        (
            ImageSet(
                SetKind.ANONYMIZED.value, SetKind.ANONYMIZED, "what everybody gets",
                lambda subject: _as_original(picture(material.things[subject.number]), subject, method),
            ),
        ),
        _facts(record, folder, known=owner is not None), partial(form_checks, folder, record), material.window,
        manifest is not None, dict(counts), material.digest, tasked=material.tasked, annotations=material.annotations,
    )  # fmt: skip


def _word(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def read_link(path: Path, record: OpenRecord) -> list[tuple[str, str]]:
    """The rows of a link file: (image, picture in the release).

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
    rows = [(row["image"] or "", row["released"] or "") for row in found]
    if {name for _, name in rows} != set(record.pictures):
        raise UsageError(
            "the link file is of another release: it names other pictures", hint="each release has a link file"
        )
    return rows


@dataclass(frozen=True)
class _Link:
    """A row of a link file, as `match_rows` takes it."""

    path: Path
    written: str
    released: str


def _matched(
    rows: Sequence[tuple[str, str]], files: Sequence[OriginalFile], originals: Path
) -> list[Match[str]]:  # fmt: skip
    """The picture of each original; of several the first."""
    first = dict(reversed(rows))
    links = [_Link((originals / image).resolve(), image, name) for image, name in first.items()]
    found = match_rows(links, [file.found.path for file in files], [originals]).rows
    return [Match(link.released, file) for link, file in zip(found, files, strict=True) if link is not None]


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
