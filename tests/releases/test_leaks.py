"""Nothing that names a patient shows in anything public: planted values are searched for in all bytes and prints."""

import base64
import dataclasses
import hashlib
import re
import zlib

import numpy as np
import pydicom
import pytest
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from tests.pictures import picture
from typer.testing import CliRunner

from medveil.keys.tiers import Tier
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.opening import open_release
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

PLANTED = {
    "name": "Zweigelt^Hedwig^Aurelia",
    "id": "PATNR-48151623",
    "private": "privat-kennung-777-xyzzy",
    "nested": "nested-accession-90210-qux",
    "short": "Qzj7",  # shorter values would be met by chance
    "folder": "ward-of-zweigelt",
    "file": "hedwig-thorax",
    "date": "19530417",
}
UID = "1.2.826.0.1.3680043.8.498.11223344556677889900"


@pytest.fixture
def planted(tmp_path):
    """A DICOM file and a PNG that carry every planted value in some corner."""
    folder = tmp_path / PLANTED["folder"]
    folder.mkdir()
    (folder / f"{PLANTED['file']}.dcm").write_bytes(dicom_bytes(tmp_path, picture(1, bits=12)))
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Patient", PLANTED["name"])
    info.add_text("Comment", PLANTED["private"] * 9, zip=True)
    Picture.fromarray(picture(2)).save(folder / f"{PLANTED['file']}.png", pnginfo=info)
    (folder / "broken.dcm").write_bytes(dicom_bytes(tmp_path, picture(3, bits=12))[:900])
    return folder


def dicom_bytes(tmp_path, pixels):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = UID
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, UID
    data.StudyInstanceUID, data.SeriesInstanceUID, data.Modality = f"{UID}.1", f"{UID}.2", "CR"
    data.PatientName, data.PatientID = PLANTED["name"], PLANTED["id"]
    data.PatientBirthDate, data.InstitutionName = PLANTED["date"], PLANTED["short"]
    item = Dataset()
    item.AccessionNumber = PLANTED["nested"][:16]
    item.TextValue = PLANTED["nested"]
    data.RequestAttributesSequence = Sequence([item])
    block = data.private_block(0x0011, "ACME 1.0", create=True)
    block.add_new(0x01, "LO", PLANTED["private"])
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = pixels.astype("<u2").tobytes()
    path = tmp_path / "made.dcm"
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    content = path.read_bytes()
    path.unlink()
    return content


def disguises(value):
    """The value as it could stand in public bytes: plain, UTF-16, hex, base64 at every offset, digests of it."""
    raw = value.encode()
    forms = {raw, raw.upper(), raw.lower(), value.encode("utf-16-le"), value.encode("utf-16-be"), raw[::-1]}
    forms |= {raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        text = base64.b64encode(b"\x00" * shift + raw)
        forms.add(text[4 if shift else 0 : -4])
    for algorithm in ("md5", "sha1", "sha256"):
        digest = hashlib.new(algorithm, raw).digest()
        forms |= {digest, digest.hex().encode(), digest[:8]}
    return {form for form in forms if len(form) >= 4}


def inflated(data):
    """The bytes, and whatever a zlib, gzip or raw deflate stream at any plausible offset unpacks to."""
    found = [data]
    for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
        try:
            found.append(zlib.decompressobj(wbits=47).decompress(data[match.start() :], 1 << 20))
        except zlib.error:
            continue
    return found


def everything_in(folder):
    names = "\n".join(path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")))
    return [names.encode(), *(path.read_bytes() for path in folder.rglob("*") if path.is_file())]


def assert_nothing_planted_in(pieces):
    for piece in pieces:
        for layer in inflated(piece):
            for value in (*PLANTED.values(), UID):
                assert not [form for form in disguises(value) if form in layer], f"{value} shows"


def test_the_search_itself_finds_what_is_there():
    """The control: each disguise of a value is found."""
    hidden = zlib.compress(b"....." + PLANTED["id"].encode())
    plain = PLANTED["id"].encode()
    for piece in (plain, PLANTED["id"].encode("utf-16-le"), b"xx" + hidden, hashlib.sha256(plain).digest()):
        with pytest.raises(AssertionError):
            assert_nothing_planted_in([piece])
    for shift in range(3):
        with pytest.raises(AssertionError):
            assert_nothing_planted_in([base64.b64encode(b"a" * shift + PLANTED["private"].encode() + b"zz")])


@pytest.mark.parametrize("protection", ["sealed", "encrypted"])
def test_nothing_planted_shows_in_a_release(tmp_path, planted, settings, people, protection):
    wanted = dataclasses.replace(settings, protection=protection, mixed_depth=True)
    result = share([planted], tmp_path / "release", wanted, owner=people["owner"])
    assert (result.done, len(result.failed)) == (2, 1)
    assert_nothing_planted_in(everything_in(tmp_path / "release"))
    assert_nothing_planted_in([failure.message.encode() for failure in result.failed])
    originals = [hashlib.sha256(path.read_bytes()).digest() for path in planted.iterdir()]
    assert not [d for d in originals for piece in everything_in(tmp_path / "release") if d in piece]


def test_nothing_planted_shows_whatever_is_done_to_a_release(tmp_path, planted, people):
    """All tiers and the very files; then granted, revoked, extended and rotated."""
    alice, ida, mallory = (people[name].recipient for name in ("alice", "ida", "mallory"))
    tiers = {alice: Tier.PREVIEW, ida: Tier.EXACT}
    wanted = ShareSettings(
        to=(alice, ida), at=tiers, identity=(ida,), keep_file=True, attach=(planted,), jobs=1, mixed_depth=True
    )
    release = tmp_path / "release"
    share([planted], release, wanted, owner=people["owner"])
    assert_nothing_planted_in(everything_in(release))
    only = Release(release).manifest.packages[0].package.hex()
    grant(release, Request((mallory,), {mallory: Tier.EXACT}, (mallory,), (only,)), people["owner"])
    revoke(release, [ida], people["owner"])
    Picture.fromarray(picture(8)).save(planted / f"{PLANTED['file']}-2.png")
    share([planted], release, ShareSettings(add=True, jobs=1, mixed_depth=True), owner=people["owner"])
    assert_nothing_planted_in(everything_in(release))
    rotate(release, people["owner"], jobs=1)
    assert_nothing_planted_in(everything_in(release))
    originals = [hashlib.sha256(path.read_bytes()).digest() for path in planted.iterdir()]
    assert not [d for d in originals for piece in everything_in(release) if d in piece]


def test_names_of_recipients_show_nowhere_in_a_release(tmp_path, people):
    """They are for owners; who holds the folder finds them in no byte, after any command."""
    called = [dataclasses.replace(people[who].recipient, name=PLANTED[what])
              for who, what in (("alice", "name"), ("ida", "folder"), ("mallory", "id"))]  # fmt: skip
    Picture.fromarray(picture(2, 24, 32)).save(tmp_path / "one.png")
    wanted = ShareSettings(to=tuple(called[:2]), protection="encrypted", jobs=1)
    release, owner = tmp_path / "release", people["owner"]
    share([tmp_path / "one.png"], release, wanted, owner=owner)
    steps = [
        lambda: grant(release, Request((called[2],)), owner),
        lambda: revoke(release, [called[0].name], owner),
        lambda: rotate(release, owner, jobs=1),
    ]
    for step in steps:
        assert_nothing_planted_in(everything_in(release))
        noted = step().standing.open_to
    assert_nothing_planted_in(everything_in(release))
    assert {note.recipient.name for note in noted} == {"", called[1].name, called[2].name}


@pytest.mark.parametrize("tier", list(Tier))
def test_nothing_planted_comes_out_at_any_tier_without_identity(tmp_path, planted, people, tier):
    alice = people["alice"].recipient
    wanted = ShareSettings(to=(alice,), at={alice: tier}, keep_file=True, jobs=1, mixed_depth=True)
    share([planted], tmp_path / "release", wanted, owner=people["owner"])
    opened = open_release(tmp_path / "release", tmp_path / "alice", identity=people["alice"], jobs=1)
    assert (opened.done, opened.failed) == (2, [])
    assert_nothing_planted_in(everything_in(tmp_path / "alice"))


def test_nothing_planted_comes_out_without_identity_and_everything_with_it(tmp_path, planted, settings, people):
    wanted = dataclasses.replace(settings, mixed_depth=True)
    share([planted], tmp_path / "release", wanted, owner=people["owner"])
    open_release(tmp_path / "release", tmp_path / "alice", identity=people["alice"])
    assert_nothing_planted_in(everything_in(tmp_path / "alice"))
    open_release(tmp_path / "release", tmp_path / "ida", identity=people["ida"])
    back = pydicom.dcmread(tmp_path / "ida" / PLANTED["folder"] / f"{PLANTED['file']}.dcm")
    assert back.PatientName == PLANTED["name"]
    assert back.private_block(0x0011, "ACME 1.0")[0x01].value == PLANTED["private"]
    assert back.RequestAttributesSequence[0].TextValue == PLANTED["nested"]


def test_nothing_planted_is_printed(tmp_path, planted, people, monkeypatch):
    from medveil.cli.main import app
    from medveil.keys.identity import generate

    monkeypatch.chdir(tmp_path)
    generate(tmp_path / "o.key")
    generate(tmp_path / "alice.key")
    generate(tmp_path / "bob.key")
    runner = CliRunner()
    printed = []
    for line in (
        f"share {planted} -i o.key --to alice.pub -o release --mixed-depth",
        f"share {planted} -i o.key --to alice.pub -o release --mixed-depth --json",
        "verify release",
        "inspect release",
        "grant release -i o.key --to bob.pub --json",
        "grants release -i o.key",
        "grants release -i o.key --json",
        "revoke release -i o.key --to bob.pub",
        "rotate release -i o.key",
        "ledger release",
        "ledger release --json",
        "open release -i alice.key -o opened",
        f"share {planted}/nothing-there -i o.key --to alice.pub -o other",
    ):
        outcome = runner.invoke(app, line.split())
        printed.append(outcome.output.encode())
        assert "Traceback" not in outcome.output
    assert_nothing_planted_in(printed)
    assert not list(tmp_path.glob("*.csv"))


def test_public_lengths_do_not_depend_on_the_values(tmp_path, settings, people):
    """Two files of one bucket, other pictures and other names: every public length is the same."""
    lengths = []
    for number, name in enumerate(("Li^Bo", "Oppenheim-Saltykowa^Wilhelmina^Friederike")):
        folder = tmp_path / f"in{number}"
        folder.mkdir()
        pixels = np.zeros((70, 90), np.uint16) if number else picture(5, 120, 120, bits=12)
        data = pydicom.dcmread(write(folder / f"{'x' * (1 + 30 * number)}.dcm", dicom_bytes(tmp_path, pixels)))
        data.PatientName = name
        data.save_as(next(folder.iterdir()))
        share([folder], tmp_path / f"release{number}", settings, owner=people["owner"])
        release = Release(tmp_path / f"release{number}")
        lengths.append([entry.length for entry in release.manifest.packages])
    assert lengths[0] == lengths[1]


def write(path, data):
    path.write_bytes(data)
    return path
