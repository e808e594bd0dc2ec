"""Releases by somebody who means harm: small files that would take hours or gigabytes, or lead a reader astray."""

import dataclasses
import os
import secrets
import time
import zlib

import cbor2
import numpy as np
import pytest
from PIL import Image as Picture
from tests.files.test_canonical import shared_reference_bomb
from tests.pictures import picture
from tests.releases import forgery

from medveil.codecs import entropy, registry
from medveil.codecs.code import Bucket, Profile
from medveil.codecs.coding import Coding
from medveil.codecs.preview import preview_codec, preview_profile
from medveil.codecs.varints import varint
from medveil.errors import FormatVersionError, IntegrityError, MedveilError, UnsupportedInputError, UsageError
from medveil.files import canonical
from medveil.images import record as records
from medveil.images.image import FileKind, Image, Source
from medveil.keys import grants
from medveil.keys.tiers import EpochKeys, KeyRing, Section, Tier
from medveil.keys.wrapping import wrap
from medveil.protection import padding
from medveil.protection.encrypting import TAG_BYTES, encrypt
from medveil.protection.levels import Sealed, level_of
from medveil.releases.packages import packing, unpacking
from medveil.releases.packages.origin import Origin, pack_identity
from medveil.releases.packages.package import Package, PackageHeader, load_package, parse_header
from medveil.releases.records import manifest as manifests
from medveil.releases.records import state as states
from medveil.releases.sharing import share

PROFILE = Profile("lapped", 4000)
_PNG = canonical.dumps(["png", 8, records.pack("png", {"depth": 8, "density": b""})])
_ORIGIN = pack_identity(Origin("x.png", bytes(32)), b"", b"")


@pytest.fixture(autouse=True)
def _quick():
    """Whatever it is that is wrong is found at once."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 20


def header_of(bucket, **sections):
    lengths = tuple((Section(name), length) for name, length in sections.items())
    return PackageHeader(bytes(16), 0, secrets.token_bytes(16), secrets.token_bytes(16), bucket, lengths)


def package_of(plain, bucket, ring):
    """A package as an owner could make it by hand, its sections encrypted and authentic."""
    header = header_of(bucket, **{section.value: len(data) + TAG_BYTES for section, data in plain.items()})
    sealed = {
        section: encrypt(data, ring.key(header.place(section)), header.associated_data(section))
        for section, data in plain.items()
    }
    return Package(header, sealed)


def opened(code, bucket, *, image=_PNG, origin=_ORIGIN, protection="encrypted"):
    ring = KeyRing.whole({0: EpochKeys.fresh()})
    inner = {Section.IMAGE: padding.to_grid(image, 64, TAG_BYTES), Section.IDENTITY: padding.to_grid(origin, 128)}
    if protection == "encrypted":
        package = package_of({Section.CODE: padding.to_steps(code), **inner}, bucket, ring)
    else:
        package = package_of({Section.SUPPORT: padding.to_steps(b"\x00"), **inner}, bucket, ring)
        package.sections[Section.CODE] = code
    return image_of(package, ring, protection)


def image_of(package, ring, protection):
    coding = Coding(registry.get_codec("lapped"), PROFILE)
    return unpacking.PackageReader(package, level_of(protection), coding).image(ring)


def honest():
    """The packed code of an honest picture of 80 by 96 pixels."""
    image = Image.of_pixels(picture(1, 80, 96), 8, Source(FileKind.PNG, b"", b""))
    return entropy.pack(registry.get_codec("lapped").encode(image, PROFILE, None))


@pytest.mark.parametrize("protection", ["encrypted", "obfuscated"])
def test_a_small_image_cannot_state_a_billion_cells(protection):
    code = varint(1) + varint(1 << 30) + varint(1 << 29) + varint(0) + bytes(8)
    with pytest.raises(IntegrityError, match="more cells"):
        opened(code, Bucket(64, 64), protection=protection)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 200), (512, 40)])
def test_every_honest_code_is_below_the_limit_of_cells(size):
    pixels = picture(1, max(size[0], 20), max(size[1], 20))[: size[0], : size[1]]
    image = Image.of_pixels(pixels, 8, Source(FileKind.PNG, b"", b""))
    code = registry.get_codec("lapped").encode(image, PROFILE, None)
    cells = sum(entry.cells for entry in code.maps)
    limit = Coding(registry.get_codec("lapped"), PROFILE).max_cells(Bucket.of(*pixels.shape))
    assert cells <= limit
    assert entropy.unpack(entropy.pack(code), limit).side == code.side


@pytest.mark.parametrize(
    ("bucket", "allowed"),
    [
        ((0, 0), True),
        ((64, 64), True),
        ((1 << 14, 1 << 14), True),
        ((1 << 20, 256), True),
        ((16448, 1 << 14), True),  # an image of 16385 by 16321 pixels
        ((1 << 20, 320), False),
        ((1 << 20, 384), False),
        ((1 << 17, 1 << 17), False),
        ((1 << 21, 64), False),
        ((64, 0), False),
        ((0, 64), False),
        ((100, 64), False),
        ((-64, -64), False),
    ],
)
def test_buckets_are_those_of_possible_images(bucket, allowed):
    data = header_of(Bucket(*bucket)).to_bytes()
    if allowed:
        assert parse_header(data)[0].bucket == Bucket(*bucket)
    else:
        with pytest.raises(IntegrityError):
            parse_header(data)


def test_the_package_by_hand_opens_while_it_is_honest():
    assert opened(honest(), Bucket.of(80, 96)).tier is Tier.DIAGNOSTIC


@pytest.mark.parametrize("where", ["image", "origin"])
def test_sealed_records_hold_no_bombs(where):
    for bomb in (shared_reference_bomb(), b"\x83" + b"\x80" * 3, canonical.dumps([["png"], 8, b""]), b"\x80" * 9):
        record = bomb if where == "image" else zlib.compress(bomb)
        with pytest.raises(IntegrityError):
            opened(honest(), Bucket.of(80, 96), **{where: record})
    with pytest.raises(IntegrityError):
        opened(honest(), Bucket.of(80, 96), image=canonical.dumps(["png", "8", b""]))
    with pytest.raises(IntegrityError):
        records.unpack(shared_reference_bomb(), "png")


def test_an_identity_section_that_inflates_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_RECORD", 1 << 20)
    bomb = zlib.compress(canonical.dumps(["x.png", bytes(32), bytes(1 << 20)]), 9)
    assert len(bomb) < 1 << 11
    for origin in (bomb, b"", b"no stream", zlib.compress(_PNG), _ORIGIN + b"more", _ORIGIN[:-1]):
        with pytest.raises(IntegrityError):
            opened(honest(), Bucket.of(80, 96), origin=origin)


def test_a_file_that_would_not_open_is_not_packed(monkeypatch):
    monkeypatch.setattr(packing, "MAX_FILE", 900)
    ring = KeyRing.whole({0: EpochKeys.fresh()})
    plan = packing.PackingPlan(
        bytes(16), 0, Sealed(), PROFILE, (Tier.DIAGNOSTIC,), (64, 128), False, bytes(32), ring
    )  # fmt: skip
    origin = Origin("x", bytes(32))
    package = packing.pack_attachment(bytes(900), origin, plan)
    assert unpacking.open_identity(package, ring) == (origin, bytes(900))
    with pytest.raises(UnsupportedInputError):
        packing.pack_attachment(bytes(901), origin, plan)


@pytest.mark.parametrize(
    "changes",
    [
        {"protection": "none"},
        {"protection": "sealed\nok     verified"},
        {"protection": ["sealed"]},
        {"created": "\x1b[2J\x1b]0;own\x07"},
        {"created": "2026-01-01\n"},
        {"created": "٢٠٢٦-01-01"},
        {"created": 20260101},
        {"profile": ["../weights", 4000, 0, 0, b""]},
        {"profile": ["Lapped", 4000, 0, 0, b""]},
        {"profile": ["", 4000, 0, 0, b""]},
        {"profile": ["x" * 33, 4000, 0, 0, b""]},
        {"profile": [b"lapped", 4000, 0, 0, b""]},
        {"profile": ["lapped", 4000, 1 << 20, 0, b""]},
        {"profile": ["lapped", 4000, 0, 2, b""]},
        {"profile": ["lapped", 4000, 0, 0, b"short"]},
        {"profile": ["lapped", -1, 0, 0, b""]},
        {"grids": [64]},
        {"grids": [64, -1]},
        {"epoch": True},
        {"sequence": -1},
        {"hybrid": 1},
        {"owner": b"k" * 31},
        {"tiers": ["best"]},
        {"tiers": []},
        {"tiers": ["exact"]},
        {"tiers": ["diagnostic", "exact"]},
        {"tiers": ["diagnostic", "diagnostic"]},
        {"shared": [["../../x", 0, bytes(32)]]},
        {"shared": [["identity.0.dict", 1, bytes(32)]]},
        {"shared": [["identity.00.dict", 0, bytes(32)]]},
        {"shared": [["identity.0.dict", 0, bytes(32)], ["identity.0.dict", 0, bytes(32)]]},
        {"shared": [["weights/x.0.sealed", 0, bytes(32)]]},
        {"weights": [b"../x"]},
        {"links": [[0, [bytes(48)] * 4]]},
        {"links": [[1, [bytes(48)] * 4]]},
        {"packages": [[]]},
        {"packages": [[b"p" * 16, 1 << 40, bytes(32), []]]},
        {"packages": [[b"../../etc/passwd", 100, bytes(31), []]]},
        {"extra": 1},
    ],
)
def test_signed_nonsense_is_refused(release, people, changes):
    forgery.change_manifest(release, people["owner"])
    states.load(release)
    forgery.change_manifest(release, people["owner"], **changes)
    with pytest.raises(IntegrityError, match="fields of format 1"):
        states.load(release)


_LINK = [bytes(48)] * 4


@pytest.mark.parametrize(
    "links",
    [
        [[2, _LINK[:3]]],
        [[2, [bytes(47)] * 4]],
        [[2, _LINK], [1, _LINK]],
        [[1, _LINK]],
        [[2, _LINK], [2, _LINK]],
        [[0, _LINK], [1, _LINK], [2, _LINK]],
    ],
)
def test_links_lead_back_from_the_current_epoch_without_a_gap(release, links):
    fields = forgery.read_manifest(release) | {"epoch": 2}
    for good in ([[1, _LINK], [2, _LINK]], [[2, _LINK]], []):
        assert len(manifests.parse(canonical.dumps(fields | {"links": good})).links) == len(good)
    with pytest.raises(IntegrityError, match="fields of format 1"):
        manifests.parse(canonical.dumps(fields | {"links": links}))


@pytest.mark.parametrize("changes", [{"format": True}, {"format": 1.0}, {"suite": True}, {"suite": 1.0}])
def test_a_manifest_says_its_format_in_one_way(release, changes):
    """True and 1.0 equal 1 in Python, and another reader may take them for something else."""
    fields = forgery.read_manifest(release)
    assert manifests.parse(canonical.dumps(fields)).packages
    with pytest.raises(IntegrityError, match="which format"):
        manifests.parse(canonical.dumps(fields | changes))


BOMBS = {
    "shared": shared_reference_bomb(),
    "deep": b"\x81" * 3_000_000,
    "long": b"\x9b\x00\x00\x00\x10\x00\x00\x00\x00",
    "empty lists": b"\x98\xff" + b"\x80" * 255,
    "bigfloat": cbor2.dumps(cbor2.CBORTag(5, [10**9, 3])),
    "many": b"\x9a\x00\x20\x00\x00" + b"\x80" * (1 << 21),  # two bytes of file would be a hundred of memory
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("name", ["manifest.cbor", "manifest.cbor.next"])
def test_a_manifest_is_no_bomb(release, people, name, data):
    """Neither one that somebody put there, nor one that the owner signed."""
    original = (release / "manifest.cbor").read_bytes()
    (release / "manifest.cbor").unlink()
    (release / name).write_bytes(data)
    with pytest.raises((IntegrityError, FormatVersionError)):
        states.load(release)
    (release / name).unlink()
    (release / "manifest.cbor").write_bytes(original)
    states.load(release)
    forgery.write_manifest(release, data, people["owner"])
    os.replace(release / "manifest.cbor", release / name)
    with pytest.raises((IntegrityError, FormatVersionError)):
        states.load(release)


@pytest.mark.parametrize("name", ["manifest.cbor", "manifest.sig", "manifest.cbor.next", "manifest.sig.next"])
def test_a_manifest_is_a_regular_file_of_bounded_length(release, name):
    path = release / name
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(6 << 30)
    with pytest.raises(IntegrityError, match=f"{name} is longer"):
        states.load(release)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        with pytest.raises(IntegrityError, match=f"{name} is not a regular file"):
            states.load(release)


def test_a_manifest_that_nobody_could_read_is_not_written(release, pictures, settings, people, monkeypatch):
    before = {path: path.read_bytes() for path in release.rglob("*") if path.is_file()}
    Picture.fromarray(picture(9)).save(pictures / "new.png")
    monkeypatch.setattr(manifests, "MAX_MANIFEST", len((release / "manifest.cbor").read_bytes()))
    adding = dataclasses.replace(settings, to=(), identity=(), add=True)
    with pytest.raises(UsageError, match="packages"):
        share([pictures], release, adding, owner=people["owner"])
    assert {path: path.read_bytes() for path in release.rglob("*") if path.is_file()} == before


def test_a_package_is_a_regular_file_of_the_stated_length(release):
    manifest = states.load(release).manifest
    entry = manifest.packages[0]
    path = release / entry.path
    os.truncate(path, 6 << 30)
    with pytest.raises(IntegrityError, match="longer"):
        load_package(release, entry, manifest)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        with pytest.raises(IntegrityError, match="not a regular file"):
            load_package(release, entry, manifest)


@pytest.mark.parametrize("protected", [True, False])
def test_a_signed_codec_name_is_never_a_path(tmp_path, monkeypatch, protected):
    (tmp_path / "codec").mkdir()
    (tmp_path / "codec" / "model.safetensors").write_bytes(b"evil")
    monkeypatch.chdir(tmp_path)

    def fail(folder):
        raise AssertionError("a folder was read")

    monkeypatch.setattr(registry, "_from_folder", fail)
    for name in ("codec", str(tmp_path / "codec"), "./codec", ""):
        with pytest.raises(UsageError, match="not installed"):
            registry.codec_of_profile(Profile(name, 4000, weights=bytes(32) if protected else b""), None)


def test_the_codec_of_an_honest_profile_is_found():
    assert registry.codec_of_profile(PROFILE, None).name == "lapped"


def test_a_grant_is_no_bomb(people):
    for body in (shared_reference_bomb(), canonical.dumps([shared_reference_bomb(), bytes(64), b""]), b"\x80" * 1000):
        with pytest.raises(MedveilError):
            open_grant(people, wrap(body, people["alice"].recipient))


def test_a_grant_that_its_owner_signed_is_no_bomb(people):
    for payload in (*BOMBS.values(), canonical.dumps([[], [], [[]] * 50_000, []])):
        signature = people["owner"].sign(b"medveil/v1/grant", payload)
        with pytest.raises(MedveilError):
            open_grant(people, wrap(canonical.dumps([payload, signature, b""]), people["alice"].recipient))


def open_grant(people, data):
    return grants.open_grant(data, people["alice"], [people["owner"].recipient.verify_key])


def test_paths_digests_and_depths_out_of_range_are_refused():
    """A path of a quarter of a gigabyte takes minutes and gigabytes to be made safe, and deflates to nothing."""
    for origin in (Origin("a/" * (1 << 14) + "x", bytes(32)), Origin("x.png", bytes(31))):
        with pytest.raises(IntegrityError):
            opened(honest(), Bucket.of(80, 96), origin=pack_identity(origin, b"", b""))
    for bits in (-1, 0, 7, 17, 1 << 40):
        image = canonical.dumps(["png", bits, records.pack("png", {"depth": 8, "density": b""})])
        with pytest.raises(IntegrityError):
            opened(honest(), Bucket.of(80, 96), image=image)


def test_packages_without_what_an_image_needs_are_refused():
    ring = KeyRing.whole({0: EpochKeys.fresh()})
    image = padding.to_grid(_PNG, 64, TAG_BYTES)
    for plain in ({}, {Section.IMAGE: image}, {Section.CODE: padding.to_steps(honest())}):
        package = package_of(plain, Bucket.of(80, 96), ring)
        with pytest.raises(IntegrityError):
            image_of(package, ring, "encrypted")
    package = package_of({Section.IMAGE: image}, Bucket(64, 64), ring)
    entry = packing.entry_of(package, ring)
    unpacking.check_commitments(package, entry, ring)
    for commitments in ((), (bytes(32),)):
        with pytest.raises(IntegrityError):
            unpacking.check_commitments(package, dataclasses.replace(entry, commitments=commitments), ring)


def test_an_exact_section_is_coded_beside_what_every_machine_decodes_alike():
    class Floating:
        reproducible = False

    pixels, image = picture(1, 80, 96), Image.of_pixels(picture(1, 80, 96), 8, Source(FileKind.PNG, b"", b""))
    profile, bucket = preview_profile(PROFILE), Bucket.of(80, 96)
    preview = preview_codec().encode(image, profile, None)
    shown = preview_codec().decode(preview, profile, bucket)
    assert Coding(registry.get_codec("lapped"), PROFILE).exact_base(pixels, preview, bucket) is pixels
    assert np.array_equal(Coding(Floating(), PROFILE).exact_base(pixels, preview, bucket), shown)
    assert not Coding(Floating(), PROFILE).exact_base(pixels, None, bucket).any()


def test_an_obfuscated_package_has_no_preview_and_needs_the_key_of_its_support():
    ring = KeyRing.whole({0: EpochKeys.fresh()})
    plain = {Section.SUPPORT: padding.to_steps(b"\0"), Section.IMAGE: padding.to_grid(_PNG, 64, TAG_BYTES)}
    for section in (Section.PREVIEW, Section.CODE):
        package = package_of({section: honest(), **plain}, Bucket.of(80, 96), ring)
        package.sections[section] = honest()
        some = {(package.header.package, each): bytes(32) for each in (section, Section.IMAGE)}
        for each in (ring, ring.lowered(Tier.PREVIEW), KeyRing(Tier.DIAGNOSTIC, False, sections=some)):
            with pytest.raises(IntegrityError):
                image_of(package, each, "obfuscated")
