"""What was sealed is opened again, as every kind of recipient opens it, before it counts as done."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests import image_files
from tests.cli.shell import run
from tests.pictures import picture

from medveil import images
from medveil.codecs.residual import exact
from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.images import record
from medveil.images.image import FileKind
from medveil.keys.tiers import Section, Tier
from medveil.protection import sealing
from medveil.releases import rotating
from medveil.releases.opening import open_release
from medveil.releases.packages import packing
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify

_BAD, _SIDE = 7, (40, 48)  # the picture that is packed wrongly


@pytest.fixture
def three(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for seed in (1, _BAD, 3):
        (tmp_path / "in" / f"{seed}.png").write_bytes(image_files.png(picture(seed, *_SIDE), texts=[("No", str(seed))]))
    return tmp_path / "in"


@pytest.fixture
def asked(people: dict) -> ShareSettings:
    alice = people["alice"].recipient
    return ShareSettings(to=(alice,), tiers=(Tier.PREVIEW,), keep_file=True, protection="encrypted", jobs=1)


def _records(patch: pytest.MonkeyPatch, change) -> None:
    """Change the section records of the one picture before they are sealed."""
    real = packing._records

    def records(image, origin, plan, file):
        found = real(image, origin, plan, file)
        return found | change(image, origin, plan, found) if origin.path.endswith(f"{_BAD}.png") else found

    patch.setattr(packing, "_records", records)


def _depth(image, origin, plan, found):
    """A record that fits the pixels' form and not their depth: the image opens for nobody."""
    deep = record.pack(FileKind.PNG, {"depth": 16, "density": b""})
    return {Section.IMAGE: canonical.dumps(["png", 16, deep])}


def _spacing(image, origin, plan, found):
    wide = record.pack(FileKind.PNG, {"depth": 8, "density": b"\0\0\x01\0\0\0\x01\0\x01"})
    return {Section.IMAGE: canonical.dumps(["png", 8, wide])}


def _attributes(image, origin, plan, found):
    identity = record.pack(FileKind.PNG, {"chunks": []})
    return {Section.IDENTITY: packing.pack_identity(origin, identity, plan.ring.dictionary)}


def _name(image, origin, plan, found):
    other = dataclasses.replace(origin, path="another.png")
    return {Section.IDENTITY: packing.pack_identity(other, image.source.identity_record, plan.ring.dictionary)}


def _kept(image, origin, plan, found):
    return {Section.FILE: found[Section.FILE][:-1]}


def _wrong_exact(patch: pytest.MonkeyPatch) -> None:
    real = exact.encode_exact

    def encode(pixels, base, bits):
        other = pixels.copy()
        other[0, 0] ^= np.array_equal(pixels, picture(_BAD, *_SIDE))
        return real(other, base, bits)

    patch.setattr(exact, "encode_exact", encode)


def _wrong_file(patch: pytest.MonkeyPatch) -> None:
    """The file that a recipient without identity is to get of that one picture has an error in one pixel."""
    real = images.to_file_bytes

    def write(image, **more):
        if not image.source.identity_record and np.array_equal(image.pixels, picture(_BAD, *_SIDE)):
            image = image.with_pixels(image.pixels ^ np.eye(*_SIDE, dtype=np.uint8))
        return real(image, **more)

    patch.setattr(images, "to_file_bytes", write)


_FAULTS = {
    "a record that nobody opens": lambda patch: _records(patch, _depth),
    "another spacing": lambda patch: _records(patch, _spacing),
    "attributes that are lost": lambda patch: _records(patch, _attributes),
    "another name": lambda patch: _records(patch, _name),
    "a kept file that is cut": lambda patch: _records(patch, _kept),
    "a wrong exact section": _wrong_exact,
    "a wrong file without identity": _wrong_file,
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_does_not_open_as_it_was_is_a_failed_input(tmp_path, three, asked, people, monkeypatch, fault):
    _FAULTS[fault](monkeypatch)
    result = share([three], tmp_path / "release", asked, owner=people["owner"])
    assert (result.done, [failure.error_class for failure in result.failed]) == (2, ["IntegrityError"])
    assert f"{_BAD}.png" not in result.failed[0].message
    assert verify(tmp_path / "release").packages == 2
    monkeypatch.undo()
    open_release(tmp_path / "release", tmp_path / "opened", identity=people["owner"])
    assert sorted(path.name for path in (tmp_path / "opened/in").iterdir()) == ["1.png", "3.png"]


def test_sealed_codes_are_those_that_were_put_in(tmp_path, three, people, monkeypatch):
    real, other = sealing.seal_with, []

    def seal(code, composition, streams):
        other.append(code)
        return real(other[0], composition, streams)  # of the first image, for the second too

    monkeypatch.setattr(sealing, "seal_with", seal)
    result = share([three / "1.png", three / "3.png"], tmp_path / "r", ShareSettings(jobs=1), owner=people["owner"])
    assert (result.done, len(result.failed)) == (1, 1)


def test_an_attachment_that_does_not_come_back_is_a_failed_input(tmp_path, three, asked, people, monkeypatch):
    (tmp_path / "labels.csv").write_text("image,label\n")
    real = packing.pack_identity
    monkeypatch.setattr(packing, "pack_identity", lambda o, r, d: real(o, r.replace(b"label\n", b"lebal\n"), d))
    wanted = dataclasses.replace(asked, attach=(tmp_path / "labels.csv",))
    result = share([three / "1.png"], tmp_path / "release", wanted, owner=people["owner"])
    assert (result.done, len(result.failed)) == (1, 1)


@pytest.mark.parametrize("stored", [8, 9])
def test_few_bits_stored_in_wide_cells_come_back_or_are_refused(tmp_path, people, stored):
    """Bits Allocated 16 with Bits Stored 8 was shared and verified without a word, and opened by nobody."""
    pixels = picture(5, *_SIDE).astype(np.uint16)
    (tmp_path / "ct.dcm").write_bytes(image_files.dicom(pixels, bits_stored=stored))
    to = {people["alice"].recipient: Tier.EXACT}
    settings = ShareSettings(to=tuple(to), at=to, tiers=(Tier.PREVIEW,), protection="encrypted", jobs=1)
    result = share([tmp_path / "ct.dcm"], tmp_path / "release", settings, owner=people["owner"])
    assert result.done + len(result.failed) == 1
    if not result.done:
        assert not (tmp_path / "release").exists()
        return
    for who in ("owner", "alice"):
        for tier in Tier:
            out = tmp_path / who / tier.value
            opened = open_release(tmp_path / "release", out, identity=people[who], tier=tier)
            assert (opened.done, opened.failed) == (1, [])
            if tier is Tier.EXACT:
                (file,) = (path for path in out.rglob("*") if path.is_file())
                assert np.array_equal(images.read(file).pixels, pixels)


def test_the_command_ends_with_3_and_says_which(tmp_path, three, monkeypatch):
    _wrong_file(monkeypatch)
    done = run("share", three, "--tiers", "exact", "-o", tmp_path / "release", "--json")
    assert (done.code, done.json["done"]) == (3, 2)
    (failed,) = done.json["failed"]
    assert f"#{failed['input']}: IntegrityError: what was sealed does not open at tier exact without names" in done.err


def test_rotating_keeps_what_the_packages_hold(tmp_path, three, people, monkeypatch):
    release = tmp_path / "release"
    settings = ShareSettings(tiers=(Tier.PREVIEW,), jobs=1)
    share([three / "1.png", three / "3.png"], release, settings, owner=people["owner"])
    before = {path: path.read_bytes() for path in release.rglob("*") if path.is_file()}
    real = sealing.reseal
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "reseal", lambda public, shape, old, new: real(public, shape, bytes(32), new))
        with pytest.raises(IntegrityError, match="does not open at tier"):
            rotating.rotate(release, people["owner"], jobs=1)
    assert {path: path.read_bytes() for path in release.rglob("*") if path.is_file()} == before
    assert rotating.rotate(release, people["owner"], jobs=1).packages == 2
