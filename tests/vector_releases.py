"""The golden releases in tests/vectors: what each key opens, and what has to be refused.

`index.json` says both. A failure is a recipe: steps that change the files of a copy, and whether the owner signs the
result, so that what is refused is not merely a wrong digest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.releases import forgery

from medveil.images.image import FileKind, Image
from medveil.keys.identity import Identity
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Tier
from medveil.releases.packages.unpacking import Attachment, Opened, file_of
from medveil.releases.release import Release

VECTORS = Path(__file__).resolve().parent / "vectors"
RELEASES, KEYS = VECTORS / "releases", VECTORS / "keys"
SIGNER = "owner"
_OF_LOSSY = ("SOPInstanceUID", "SeriesInstanceUID")
_NAMES = ("PatientID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Failure:
    """Something that must be refused.

    Attributes:
        release: the release that is changed.
        name: what is done to it.
        key: who opens.
        owner: whose release it is expected to be.
        expect: "integrity" (exit code 11), "key" (10) or "format" (12).
        steps: changes to files, see `applied`.
        sign: who signs the changed packages or manifest; empty for nobody.
    """

    release: str
    name: str
    key: str
    owner: str
    expect: str
    steps: tuple[dict[str, Any], ...] = ()
    sign: str = ""

    @property
    def title(self) -> str:
        return f"{self.release}: {self.name}"


@cache
def index() -> dict[str, Any]:
    """index.json."""
    found: dict[str, Any] = json.loads((VECTORS / "index.json").read_text(encoding="utf-8"))
    return found


def openings() -> list[tuple[str, str]]:
    """Every release with every key that is tried on it."""
    return [(name, key) for name, release in index()["releases"].items() for key in release["opens"]]


def named_openings() -> list[tuple[str, str]]:
    """Every release, with every key that opens it, of which the index says the patients and UIDs that come out."""
    return [(name, key) for name, release in index()["releases"].items() for key in release.get("names", {})]


def failures() -> list[Failure]:
    """Every recipe, and the releases that are stored as they must be refused."""
    found = []
    for name, release in index()["releases"].items():
        for one in release["failures"]:
            steps = tuple(one["steps"])
            sign = one.get("sign", "")
            found.append(Failure(name, one["name"], one["key"], release["owner"], one["expect"], steps, sign))
    for name, one in index()["hostile"].items():
        found.append(Failure(name, one["name"], one["key"], one["owner"], one["expect"]))
    return found


def control(release: str, key: str) -> Failure:
    """No failure at all: every record signed anew as it is, which must open as before."""
    return Failure(release, "signed anew", key, index()["releases"][release]["owner"], "", (), SIGNER)


def open_all(folder: Path, opener: Opener, owner: Recipient) -> dict[str, Opened]:
    """What medveil opens of a release, by package."""
    release = Release(folder, owner=owner, pin=False)
    ring = release.access_of(opener).ring
    codec = release.codec(ring)
    found = {entry.package.hex(): release.open_package(entry, ring, codec) for entry in release.manifest.packages}
    return {number: one for number, one in found.items() if one is not None}


def names_of(folder: Path, opener: Opener, owner: Recipient) -> dict[str, dict[str, str]]:
    """Patient ID and UIDs of the DICOM files that a key opens of a release, by package, as far as they are new."""
    import io

    import pydicom

    release = Release(folder, owner=owner, pin=False)
    uid_key, found = release.access_of(opener).uid_key, {}
    for number, one in open_all(folder, opener, owner).items():
        if not isinstance(one.content, Image) or one.content.source.kind is not FileKind.DICOM:
            continue
        new = _NAMES if not one.path else _OF_LOSSY if one.tier is not Tier.EXACT else ()
        if new:
            data = pydicom.dcmread(io.BytesIO(file_of(one, release.manifest.profile, uid_key).data))
            found[number] = {keyword: str(data[keyword].value) for keyword in new if keyword in data}
    return found


def seen(one: Opened) -> dict[str, Any]:
    """An opened package, as the index puts it."""
    found: dict[str, Any] = {}
    if isinstance(one.content, Attachment):
        found = {"tier": "attachment", "file": hashlib.sha256(one.content.data).hexdigest()}
    else:
        assert isinstance(one.content, Image)
        pixels = one.content.pixels
        raw = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<")).tobytes()
        found = {"tier": one.tier.value, "shape": list(pixels.shape), "pixels": hashlib.sha256(raw).hexdigest()}
        found |= {"kind": one.content.source.kind.value, "bits": one.content.bits_stored}
        if one.file:
            found["file"] = hashlib.sha256(one.file).hexdigest()
    return found | ({"path": str(one.path)} if one.path else {})


def key_files(folder: Path) -> Path:
    """A copy of the keys that nobody else may read: their mode is not in the repository."""
    copy = folder / "keys"
    shutil.copytree(KEYS, copy)
    for path in copy.iterdir():
        path.chmod(0o600)
    return copy


def applied(failure: Failure, folder: Path) -> Path:
    """A copy of the release with the failure's changes.

    Steps: `write` bytes, `splice` (bytes in place of `length` bytes at `at`), `flip` the lowest bit of the byte at
    `at`, `cut` to `length`, `remove`, `swap` with another file, `take` the file of another release.
    """
    release = folder / "release"
    shutil.copytree(RELEASES / failure.release, release)
    for step in failure.steps:
        _apply(step, release)
    if failure.sign:
        _sign(release, Identity.load(key_files(folder) / f"{failure.sign}.key"))
    return release


def _apply(step: dict[str, Any], release: Path) -> None:
    path, what = release / step["file"], step["do"]
    data = path.read_bytes() if path.exists() else b""
    if what == "remove":
        path.unlink()
        return
    if what == "swap":
        other = release / step["with"]
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
        return
    if what == "take":
        path.write_bytes((RELEASES / step["release"] / step["from"]).read_bytes())
        return
    at = step.get("at", len(data))
    changed = {
        "splice": lambda: data[:at] + bytes.fromhex(step["bytes"]) + data[at + step["length"] :],
        "flip": lambda: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        "cut": lambda: data[: step["length"]],
    }[what]()
    assert changed != data
    path.write_bytes(changed)


def _sign(release: Path, owner: Identity) -> None:
    """Sign a manifest that was changed as it is, or one with the digests of the packages and grants that there are."""
    record = (release / "manifest.cbor").read_bytes()
    entry = forgery.read_entry(forgery.entry_paths(release)[-1])
    if hashlib.sha256(record).digest() != entry["manifest"]:
        forgery.write_manifest(release, record, owner)
        return
    packages = [
        [number, path.stat().st_size, hashlib.sha256(path.read_bytes()).digest(), commitments]
        for number, path, commitments in (
            (number, release / f"packages/{number.hex()[:2]}/{number.hex()}.mveil", commitments)
            for number, _, _, commitments in forgery.read_manifest(release)["packages"]
        )
    ]
    granted = [
        [number, wrap, hashlib.sha256(next((release / "grants").glob(f"{number.hex()}.*")).read_bytes()).digest()]
        for number, wrap, _ in entry["granted"]
    ]
    forgery.change_entry(release, owner, granted=granted)
    forgery.change_manifest(release, owner, packages=packages)
