"""Releases by somebody who means harm: small files that would take hours or gigabytes, or lead a reader astray."""

import os
import secrets
import time

import cbor2
import pytest
from tests.files.test_canonical import shared_reference_bomb
from tests.pictures import picture

from medveil.codecs import entropy, registry
from medveil.codecs.code import Bucket, Profile
from medveil.codecs.varints import varint
from medveil.errors import FormatVersionError, IntegrityError, MedveilError, UnsupportedInputError, UsageError
from medveil.files import canonical
from medveil.images import record as records
from medveil.images.image import FileKind, Image, Source
from medveil.keys import grants
from medveil.keys.tiers import ReleaseKeys, Section, Tier, section_key
from medveil.protection import padding
from medveil.protection.encrypting import TAG_BYTES, encrypt
from medveil.releases import manifest as manifests
from medveil.releases import packing
from medveil.releases.package import Package, PackageHeader, parse_header
from medveil.releases.stored import load_package

PROFILE = Profile("lapped", 4000)
_PNG = canonical.dumps(["png", 8, records.pack("png", {"depth": 8, "density": b""})])
_ORIGIN = canonical.dumps(["x.png", bytes(32), b""])


@pytest.fixture(autouse=True)
def _quick():
    """Whatever it is that is wrong is found at once."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 20


def header_of(bucket, **sections):
    lengths = tuple((Section(name), length) for name, length in sections.items())
    return PackageHeader(
        bytes(16), 0, secrets.token_bytes(16), secrets.token_bytes(16), Tier.DIAGNOSTIC, bucket, lengths
    )


def package_of(plain, bucket, keys):
    """A package as an owner could make it by hand, its sections encrypted and authentic."""
    header = header_of(bucket, **{section.value: len(data) + TAG_BYTES for section, data in plain.items()})
    sealed = {
        section: encrypt(data, section_key(keys, header.place(section)), header.associated_data(section))
        for section, data in plain.items()
    }
    return Package(header, sealed)


def opened(code, bucket, *, image=_PNG, origin=_ORIGIN, protection="encrypted"):
    keys = ReleaseKeys.fresh()
    inner = {Section.IMAGE: padding.to_grid(image, 64, TAG_BYTES), Section.IDENTITY: padding.to_grid(origin, 128)}
    if protection == "encrypted":
        package = package_of({Section.CODE: padding.to_steps(code), **inner}, bucket, keys)
    else:
        package = package_of({Section.SUPPORT: padding.to_steps(b"\x00"), **inner}, bucket, keys)
        package.sections[Section.CODE] = code
    return packing.unpack_image(package, keys, PROFILE, protection, registry.get_codec("lapped"))


@pytest.mark.parametrize("protection", ["encrypted", "obfuscated"])
def test_a_small_image_cannot_state_a_billion_cells(protection):
    code = varint(1) + varint(1 << 30) + varint(1 << 29) + varint(0) + bytes(8)
    with pytest.raises(IntegrityError, match="more cells"):
        opened(code, Bucket(64, 64), protection=protection)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 200), (512, 40)])
def test_every_honest_code_is_below_the_limit_of_cells(size):
    pixels = picture(1, max(size[0], 20), max(size[1], 20))[: size[0], : size[1]]
    image = Image(pixels, 8, Source(FileKind.PNG, b"", b""))
    code = registry.get_codec("lapped").encode(image, PROFILE, None)
    cells = sum(entry.cells for entry in code.maps)
    limit = packing.max_cells(Bucket.of(*pixels.shape))
    assert 4 * cells <= limit
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


@pytest.mark.parametrize("where", ["image", "origin"])
def test_sealed_records_hold_no_bombs(where):
    for bomb in (shared_reference_bomb(), b"\x83" + b"\x80" * 3, canonical.dumps([["png"], 8, b""]), b"\x80" * 9):
        with pytest.raises(IntegrityError):
            opened(b"\x00", Bucket(64, 64), **{where: bomb})
    with pytest.raises(IntegrityError):
        opened(b"\x00", Bucket(64, 64), image=canonical.dumps(["png", "8", b""]))
    with pytest.raises(IntegrityError):
        records.unpack(shared_reference_bomb(), "png")


def test_an_attachment_that_would_not_open_is_not_packed(monkeypatch):
    monkeypatch.setattr(packing, "_MAX_RECORD", 5000)
    plan = packing.PackingPlan(bytes(16), 0, "sealed", PROFILE, (64, 128), 0, ReleaseKeys.fresh())
    origin = packing.Origin("x", bytes(32))
    package = packing.pack_attachment(bytes(900), origin, plan)
    assert packing.open_identity(package, plan.keys) == (origin, bytes(900))
    with pytest.raises(UnsupportedInputError):
        packing.pack_attachment(bytes(1000), origin, plan)


def resigned(folder, owner, **changes):
    """Change fields of the manifest and sign it again, as its owner can."""
    value = canonical.loads((folder / "manifest.cbor").read_bytes(), what="manifest") | changes
    data = canonical.dumps(value)
    (folder / "manifest.cbor").write_bytes(data)
    (folder / "manifest.sig").write_bytes(owner.sign(b"medveil/v1/manifest", data))


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
        {"recipient": "age1\x1b[2J"},
        {"grids": [64]},
        {"epoch": True},
        {"packages": [[]]},
        {"extra": 1},
    ],
)
def test_signed_nonsense_is_refused(release, people, changes):
    resigned(release, people["owner"])
    manifests.load(release)
    resigned(release, people["owner"], **changes)
    with pytest.raises(IntegrityError, match="fields of format 1"):
        manifests.load(release)


@pytest.mark.parametrize(
    "data",
    [
        shared_reference_bomb(),
        b"\x81" * 3_000_000,
        b"\x9b\x00\x00\x00\x10\x00\x00\x00\x00",
        b"\x98\xff" + b"\x80" * 255,
        cbor2.dumps(cbor2.CBORTag(5, [10**9, 3])),
        b"\x9a\x00\x20\x00\x00" + b"\x80" * (1 << 21),  # two bytes of file would be a hundred of memory
    ],
    ids=["shared", "deep", "long", "empty lists", "bigfloat", "many"],
)
@pytest.mark.parametrize("name", ["manifest.cbor", "manifest.cbor.next"])
def test_a_manifest_is_no_bomb(release, name, data):
    if name.endswith(".next"):
        (release / "manifest.cbor").unlink()
    (release / name).write_bytes(data)
    with pytest.raises((IntegrityError, FormatVersionError)):
        manifests.load(release)


@pytest.mark.parametrize("name", ["manifest.cbor", "manifest.sig", "manifest.cbor.next", "manifest.sig.next"])
def test_a_manifest_is_a_regular_file_of_bounded_length(release, name):
    path = release / name
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(6 << 30)
    with pytest.raises(IntegrityError, match=f"{name} is longer"):
        manifests.load(release)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        with pytest.raises(IntegrityError, match=f"{name} is not a regular file"):
            manifests.load(release)


def test_a_manifest_that_nobody_could_read_is_not_written(release, people, monkeypatch):
    manifest = manifests.load(release).manifest
    before = (release / "manifest.cbor").read_bytes()
    monkeypatch.setattr(manifests, "_MAX_MANIFEST", len(before) - 1)
    with pytest.raises(UsageError, match="packages"):
        manifests.save(release, manifest, people["owner"])
    assert (release / "manifest.cbor").read_bytes() == before


def test_a_package_is_a_regular_file_of_the_stated_length(release):
    manifest = manifests.load(release).manifest
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


def fields_of(people):
    keys = ReleaseKeys.fresh()
    return [bytes(16), 0, bytes(16), "exact", keys.tier_key, keys.identity_key, people["alice"].recipient.age.encode()]


def signed_grant(people, fields, *, signature=None):
    payload = cbor2.dumps(fields, canonical=True)
    if signature is None:
        signature = people["owner"].sign(b"medveil/v1/grant", payload)
    return grants.wrap(cbor2.dumps([payload, signature, b""], canonical=True), people["alice"].recipient)


def open_grant(people, data):
    return grants.open_grant(data, people["alice"], people["owner"].recipient.verify_key)


def test_grants_of_other_types_are_refused(people):
    good = fields_of(people)
    assert open_grant(people, signed_grant(people, good)).keys.tier_key == good[4]
    for index, wrong in [(0, "r" * 16), (0, b""), (1, True), (1, -1), (1, 0.0), (1, 1 << 40), (2, list(range(16))),
                         (3, "best"), (3, ["exact"]), (4, "k" * 32), (5, b"k"), (5, None), (6, b"age1")]:  # fmt: skip
        with pytest.raises(IntegrityError):
            open_grant(people, signed_grant(people, [*good[:index], wrong, *good[index + 1 :]]))
    for signature in (5, "s" * 64, b"", bytes(64), [b"s"], {}):
        with pytest.raises(IntegrityError):
            open_grant(people, signed_grant(people, good, signature=signature))
    for fields in (good[:-1], {}, 5, b"x", cbor2.CBORTag(28, good)):
        with pytest.raises(IntegrityError):
            open_grant(people, signed_grant(people, fields))


def test_a_grant_is_no_bomb(people):
    for body in (shared_reference_bomb(), canonical.dumps([shared_reference_bomb(), bytes(64)]), b"\x80" * 1000):
        with pytest.raises(MedveilError):
            open_grant(people, grants.wrap(body, people["alice"].recipient))
