"""The record of an open release: plain files that everybody may have, a signed `release.json`, and nothing else.

`release.json` is JSON with sorted keys, `release.json.sig` the owner's Ed25519 signature over the stored bytes. It says
by what method and with which settings, and the digest of every file. It names no source, no seed, no group and no
number of patients.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medveil.errors import FormatVersionError, IntegrityError, UsageError
from medveil.files.reading import read_regular
from medveil.files.walk import is_junk
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient
from medveil.keys.signatures import signature_fits
from medveil.releases.records import manifest as manifests

RECORD, SIGNATURE = "release.json", "release.json.sig"
IMAGES, LABELS = "images", "labels.csv"
SCHEMA = 1
_CONTEXT = b"medveil/v1/open-release"
_MAX_RECORD = 1 << 28
_SIGNATURE_BYTES = 64
_HEX = re.compile(r"[0-9a-f]+")
_NAME = re.compile(r"images/[0-9a-f]{32}\.(png|tiff|dcm|nii|nii\.gz)|labels\.csv")
_FIELDS = {
    "schema": int, "id": str, "created": str, "medveil": str, "method": str, "settings": dict, "model": str,
    "owner": str, "label_columns": list, "files": dict,
}  # fmt: skip


@dataclass(frozen=True)
class OpenRecord:
    """What `release.json` says.

    Attributes:
        release: id, 16 random bytes.
        owner: Ed25519 public key of who released it.
        created: day, YYYY-MM-DD.
        version: of medveil.
        method: name of the method.
        settings: its settings.
        files: sha256 of each file, by its path in the folder.
        columns: label columns in labels.csv.
        model: sha256 of the model that the method used; empty where it has none.
    """

    release: bytes
    owner: bytes
    created: str
    version: str
    method: str
    settings: Mapping[str, Any]
    files: Mapping[str, bytes] = field(repr=False)
    columns: tuple[str, ...] = ()
    model: bytes = b""

    @property
    def fingerprint(self) -> str:
        """The owner's fingerprint."""
        return Recipient("", self.owner).fingerprint

    @property
    def pictures(self) -> tuple[str, ...]:
        """Paths of the pictures, in the order of their random names."""
        return tuple(sorted(name for name in self.files if name != LABELS))

    def to_bytes(self) -> bytes:
        """The stored bytes."""
        record = {
            "schema": SCHEMA, "id": self.release.hex(), "created": self.created, "medveil": self.version,
            "method": self.method, "settings": dict(self.settings), "model": self.model.hex(),
            "owner": self.owner.hex(), "label_columns": list(self.columns),
            "files": {name: digest.hex() for name, digest in self.files.items()},
        }  # fmt: skip
        return (json.dumps(record, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode()

    def signature(self, owner: Identity) -> bytes:
        """The owner's signature of the stored bytes."""
        return owner.sign(_CONTEXT, self.to_bytes())


def is_open(folder: Path) -> bool:
    """Whether a folder holds an open release, and not one for recipients.

    Raises:
        UsageError: it holds records of both.
    """
    open_one, keyed = (folder / RECORD).is_file(), (folder / manifests.RECORD).is_file()
    if open_one and keyed:
        raise UsageError(
            f"the folder holds both {RECORD} and {manifests.RECORD}",
            hint="an open release and one for recipients each have a folder of their own",
        )
    return open_one


def load(folder: Path, owner: Recipient | None = None) -> OpenRecord:
    """The record of an open release whose signature fits the owner that it names; the files are not looked at.

    Args:
        folder: the release.
        owner: who is expected to have signed, or None.

    Raises:
        UsageError: not an open release.
        IntegrityError: changed, not what medveil writes, or signed by another owner than expected.
        FormatVersionError: written by a newer medveil.
    """
    if not (folder / RECORD).is_file():
        raise UsageError(f"not an open release: {RECORD} is missing", hint="name the folder that anonymize wrote")
    try:
        data = read_regular(folder / RECORD, limit=_MAX_RECORD, what="record")
        signature = read_regular(folder / SIGNATURE, limit=_SIGNATURE_BYTES, what="signature")
    except OSError as error:
        raise IntegrityError(f"the release's record cannot be read: {error.strerror}") from None
    record = _parsed(data)
    if not signature_fits(record.owner, signature, _CONTEXT, data):
        raise IntegrityError("the signature does not fit the release's record", hint="ask the owner for a new copy")
    if owner is not None and owner.verify_key != record.owner:
        raise IntegrityError(
            "the release is signed by another owner than the one named",
            hint="compare fingerprints with the owner before you use it",
        )
    return record


def _parsed(data: bytes) -> OpenRecord:
    wrong = IntegrityError("the release's record is damaged: it is not what medveil writes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(found, dict) or type(found.get("schema")) is not int:
        raise wrong
    if found["schema"] > SCHEMA:
        raise FormatVersionError("the release was written by a newer medveil", hint="update medveil")
    if set(found) != set(_FIELDS) or not all(type(found[name]) is kind for name, kind in _FIELDS.items()):
        raise wrong
    files, columns, settings = found["files"], found["label_columns"], found["settings"]
    texts = [found["id"], found["owner"], found["model"], *files.values(), *columns]
    plain = all(isinstance(value, int | float | str) for value in settings.values())
    if not all(isinstance(text, str) for text in texts) or not plain or not all(map(_NAME.fullmatch, files)):
        raise wrong
    record = OpenRecord(
        _bytes(found["id"], 16), _bytes(found["owner"], 32), found["created"], found["medveil"], found["method"],
        settings, {name: _bytes(digest, 32) for name, digest in files.items()}, tuple(columns),
        _bytes(found["model"], 32) if found["model"] else b"",
    )  # fmt: skip
    if record.to_bytes() != data:
        raise wrong
    return record


def _bytes(text: str, length: int) -> bytes:
    if len(text) != 2 * length or not _HEX.fullmatch(text):
        raise IntegrityError("the release's record is damaged: it is not what medveil writes")
    return bytes.fromhex(text)


def check_files(folder: Path, record: OpenRecord, *, passing: tuple[str, ...] = ()) -> int:
    """Compare every file of the folder with the record, but for those named in `passing`, and what Finder
    or Explorer left. Returns their bytes.

    Raises:
        IntegrityError: one is changed, missing, added, or a link; or a folder is there that holds none of them.
    """
    named = {*record.files, RECORD, SIGNATURE, *passing}
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    added = [path for path in found if path.relative_to(folder).as_posix() not in named and not is_junk(path)]
    folders = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_dir()}
    if added or any(path.is_symlink() for path in found) or folders > {IMAGES}:
        raise IntegrityError(
            "a file or folder was added to the release that its owner did not name",
            hint="take everything out of the folder that anonymize did not write",
        )
    total = sum((folder / name).stat().st_size for name in (RECORD, SIGNATURE))
    for name, digest in record.files.items():
        try:
            with (folder / name).open("rb") as file:
                fits = hashlib.file_digest(file, "sha256").digest() == digest
        except OSError:
            raise IntegrityError("a file of the release is missing, or cannot be read") from None
        if not fits:
            raise IntegrityError("a file of the release is not the one that its owner signed")
        total += (folder / name).stat().st_size
    return total
