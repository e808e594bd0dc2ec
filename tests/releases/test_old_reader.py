"""A reader of format 1 as of the commit that froze it opens every release that is made today.

The code of that commit is taken out of the history and opens new releases in a process of its own: every protection,
tier, kind of file and kind of key, after --add, grant and rotate. What it opens must be what today's reader opens.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from tests import image_files
from tests.images import odd_dicom
from tests.pictures import picture
from tests.releases.looks import image_ids
from tests.vector_releases import key_files, open_all, seen

from medveil import images
from medveil.keys.identity import Identity
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Tier
from medveil.releases.granting import Request, grant
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

_FROZEN = "f81ef24"  # its reader is the one that people have
_SIDE = (24, 32)
_READ = """
import json, sys
from pathlib import Path
import medveil
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Recipient
from medveil.releases.book import OwnerBook
from medveil.releases.opening import open_release
from medveil.releases.release import Release
from medveil.releases.verifying import verify

source, work = Path(sys.argv[1]), json.loads(sys.stdin.read())
assert Path(medveil.__file__).is_relative_to(source), medveil.__file__
found = {}
for one in work:
    owner = Recipient.load(Path(one["owner"]))
    assert verify(Path(one["release"]), owner=owner).words == "verified"
    opener = load_opener(Path(one["key"]))
    result = open_release(Path(one["release"]), Path(one["out"]), identity=opener, owner=owner, jobs=1)
    release = Release(Path(one["release"]), owner=owner)
    owner_key = release.access_of(opener).owner_key
    noted = OwnerBook.read(release.ledger, release.manifest, owner_key).grants if owner_key else ()
    failed = [failure.error_class + ": " + failure.message for failure in result.failed]
    tiers = {tier.value: count for tier, count in result.tiers.items()}
    found[one["out"]] = {
        "grants": len(noted), "done": result.done, "withheld": result.withheld, "failed": failed, "tiers": tiers
    }
print(json.dumps(found))
"""


@dataclasses.dataclass(frozen=True)
class Made:
    """A new release: who owns it, and whose keys are tried on it."""

    folder: Path
    owner: str
    keys: tuple[str, ...]


def _originals(folder: Path) -> Path:
    """One file of every kind, two of one name, and two of one SOP Instance UID."""
    side, deep = picture(1, *_SIDE), picture(2, *_SIDE, bits=12)
    as_rgb, turned = Pillow.fromarray(side).convert("RGB"), Pillow.Exif()
    turned[0x0112] = 6
    files = {
        "a/IM1.png": image_files.png(side, texts=[("Author", "Zoë")], dpi=(300, 300)),
        "b/IM1.png": image_files.png(deep.astype(np.uint16)),
        "photo.jpg": image_files.jpeg(side, quality=80),
        "turned.jpg": image_files.jpeg(as_rgb, exif=turned),
        "rgb.png": image_files.png(as_rgb, exif=turned),
        "palette.png": image_files.png(as_rgb.quantize(200)),
        "rgb.tiff": image_files.tiff(as_rgb),
        "plate.tiff": image_files.tiff(deep.astype(np.uint16)),
        "ct/one.dcm": image_files.dicom(deep.astype(np.int16) - 1024, bits_stored=16, SOPInstanceUID="1.2.3.1"),
        "ct/same uid.dcm": image_files.dicom(deep.astype(np.uint16), bits_stored=12, SOPInstanceUID="1.2.3.1"),
        "ct/eight.dcm": image_files.dicom(side, SOPInstanceUID="1.2.3.2", Modality="MR"),
        "ct/eight in words.dcm": image_files.dicom(side.astype(np.uint16), bits_stored=8, SOPInstanceUID="1.2.3.4"),
        "ct/odd.dcm": odd_dicom.everything(),
        "ct/no patient.dcm": image_files.dicom(side, SOPInstanceUID="1.2.3.3", PatientID="", PatientName=""),
        "ct/narrow.dcm": image_files.dicom(side.astype(np.uint16), bits_stored=8, SOPInstanceUID="1.2.3.4"),
        "slice.nii.gz": _nifti(deep.astype(np.int16)),
        "grey as colour.png": image_files.png(np.repeat(side[:, :, None], 3, axis=2)),
        "odd resolution.tiff": image_files.tiff(side, dpi=(72.00917, 71.9)),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder.parent / "labels.csv").write_text("image,label\n")
    return folder


def _nifti(pixels: np.ndarray[Any, Any]) -> bytes:
    nibabel = pytest.importorskip("nibabel", reason="needs nibabel to write NIfTI files")
    import gzip

    data = bytearray(nibabel.Nifti1Image(pixels.T[:, :, None], np.diag([0.5, 0.25, 2, 1])).to_bytes())
    data[48:56], data[124:132], data[148:153] = b"Zoe's ID", b"is 12345", b"descr"  # unused fields, and one of text
    return gzip.compress(bytes(data))


def _at(keys: Path, **tiers: Tier) -> dict[Recipient, Tier]:
    return {Recipient.load(keys / f"{name}.pub"): tier for name, tier in tiers.items()}


def _kinds(root: Path, keys: Path) -> Made:
    """All kinds of file at all tiers; encrypted, since that is made fast."""
    to = _at(keys, alice=Tier.PREVIEW, carol=Tier.EXACT, rival=Tier.EXACT)
    labels = root / "classes.csv"
    rows = [f"{path.relative_to(root)},class {path.suffix},p7" for path in (root / "in").rglob("*") if path.is_file()]
    labels.write_text("\n".join(["image,label,patient_id", *rows]))
    settings = ShareSettings(
        to=tuple(to), at=to, identity=tuple(_at(keys, rival=Tier.EXACT)), protection="encrypted", keep_file=True,
        mixed_depth=True, allow_classical=True, labels=labels, label_columns=("label",), jobs=1,
    )  # fmt: skip
    owner = Identity.load(keys / "owner.key")
    assert not share([root / "in"], root / "kinds", settings, owner=owner).failed
    return Made(root / "kinds", "owner", ("alice", "carol", "rival"))


def _keys(root: Path, keys: Path) -> Made:
    """All kinds of key; sealed, extended, granted in part, and rotated."""
    owner = Identity.load(keys / "owner.key")
    to = _at(keys, alice=Tier.DIAGNOSTIC, bob=Tier.EXACT, carol=Tier.PREVIEW, erin=Tier.DIAGNOSTIC)
    settings = ShareSettings(
        to=tuple(to), at=to, identity=tuple(_at(keys, bob=Tier.EXACT, erin=Tier.DIAGNOSTIC)),
        also_owners=tuple(_at(keys, deputy=Tier.EXACT)), allow_classical=True, allow_certificates=True,
        attach=(root / "labels.csv",), jobs=1,
    )  # fmt: skip
    folder = root / "keys release"
    assert not share([root / "in/ct/eight.dcm"], folder, settings, owner=owner).failed
    assert share([root / "in/a"], folder, ShareSettings(add=True, jobs=1), owner=owner).done == 1
    only = image_ids(folder)[0].hex()
    grant(folder, Request(tuple(_at(keys, stranger=Tier.EXACT)), only=(only,)), owner)
    rotate(folder, owner, jobs=1)
    return Made(folder, "owner", ("owner", "deputy", "alice", "bob", "carol", "erin", "stranger"))


def _classical(root: Path, keys: Path) -> Made:
    """Owned and received by classical keys."""
    to = _at(keys, passer=Tier.EXACT, dave=Tier.PREVIEW)
    settings = ShareSettings(to=tuple(to), at=to, identity=tuple(_at(keys, passer=Tier.EXACT)), jobs=1)
    owner = Identity.load(keys / "bob.key")
    assert not share([root / "in/ct/one.dcm"], root / "classical", settings, owner=owner).failed
    return Made(root / "classical", "bob", ("passer", "dave"))


def _obfuscated(root: Path, keys: Path) -> Made:
    settings = ShareSettings(to=tuple(_at(keys, alice=Tier.DIAGNOSTIC)), protection="obfuscated", jobs=1)
    folder = root / "obfuscated"
    assert not share([root / "in/b/IM1.png"], folder, settings, owner=Identity.load(keys / "owner.key")).failed
    return Made(folder, "owner", ("alice",))


@pytest.fixture(scope="module")
def old_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`src` of the frozen commit."""
    repository = Path(__file__).resolve().parents[2]
    try:
        packed = subprocess.run(
            ["git", "-C", str(repository), "archive", _FROZEN, "src/medveil"], capture_output=True, check=False
        )
    except OSError:
        pytest.skip("needs git to take the reader of format 1 out of the history")
    if packed.returncode:
        pytest.skip(f"needs commit {_FROZEN} in the history: this is a shallow clone or a source package")
    folder = tmp_path_factory.mktemp("frozen")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, old_source: Path) -> list[tuple[Made, str, Path, Any, Any]]:
    """For each new release and key: what today's reader opens, and where and how the old one opened it."""
    root = tmp_path_factory.mktemp("new")
    keys = key_files(root)
    _originals(root / "in")
    pairs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        for make in (_kinds, _keys, _classical, _obfuscated):
            made = make(root, keys)
            owner = Recipient.load(keys / f"{made.owner}.pub")
            for key in made.keys:
                found = open_all(made.folder, load_opener(keys / f"{key}.key"), owner)
                pairs.append((made, key, root / "opened" / made.folder.name / key, found))
    work = [
        {
            "release": str(made.folder), "owner": str(keys / f"{made.owner}.pub"), "key": str(keys / f"{key}.key"),
            "out": str(out),
        }
        for made, key, out, _ in pairs
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(old_source), "XDG_STATE_HOME": str(root / "old state")}
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(old_source)], input=json.dumps(work), env=environment, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return [(made, key, out, found, told[str(out)]) for made, key, out, found in pairs]


def test_the_old_reader_opens_as_many_at_the_same_tiers(opened: list[tuple[Made, str, Path, Any, Any]]) -> None:
    for made, key, _, found, told in opened:
        tiers: dict[str, int] = {}
        for one in found.values():
            name = seen(one)["tier"]
            tiers[name] = tiers.get(name, 0) + 1
        tiers.pop("attachment", None)
        assert told["failed"] == [], (made.folder.name, key)
        assert (told["done"], told["tiers"]) == (len(found), tiers), (made.folder.name, key)
        assert found, (made.folder.name, key)


def test_the_old_reader_reads_the_notes_of_owners(opened: list[tuple[Made, str, Path, Any, Any]]) -> None:
    """They hold names of recipients, which it passes over."""
    told = {(made.folder.name, key): one["grants"] for made, key, _, _, one in opened if one["grants"]}
    assert told == {("keys release", "owner"): 7, ("keys release", "deputy"): 7}


def test_the_old_reader_writes_the_same_pixels_and_files(
    opened: list[tuple[Made, str, Path, Any, Any]], tmp_path: Path
) -> None:
    for made, key, out, found, _ in opened:
        expected = sorted(_content(one) for one in map(seen, found.values()))
        written = [path for path in out.rglob("*") if path.is_file()]
        attached = [path for path in written if path.suffix == ".csv"]
        pixels = sorted(_content(_seen_in(path)) for path in written if path not in attached)
        assert pixels == [one for one in expected if one[0]], (made.folder.name, key)
        assert len(attached) == len(expected) - len(pixels)
        assert all(path.read_text() == "image,label\n" for path in attached)


def test_the_old_reader_gives_back_kept_files_byte_for_byte(opened: list[tuple[Made, str, Path, Any, Any]]) -> None:
    (out,) = [out for made, key, out, _, _ in opened if (made.folder.name, key) == ("kinds", "rival")]
    originals = {path.read_bytes() for path in out.parents[2].joinpath("in").rglob("*") if path.is_file()}
    assert originals <= {path.read_bytes() for path in out.rglob("*") if path.is_file()}


def _content(one: dict[str, Any]) -> tuple[str, str]:
    return one.get("pixels", ""), str(one.get("shape", ""))


def _seen_in(path: Path) -> dict[str, Any]:
    import hashlib

    pixels = images.read(path).pixels
    raw = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<")).tobytes()
    return {"pixels": hashlib.sha256(raw).hexdigest(), "shape": list(pixels.shape)}
