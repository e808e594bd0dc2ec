"""What comes out at each tier: preview, diagnostic, exact, and the very file."""

import dataclasses

import numpy as np
import pydicom
import pytest
from PIL import Image as Picture
from tests import image_files
from tests.pictures import picture
from tests.releases.looks import ring_of

from medveil import images
from medveil.errors import NoFittingKeyError
from medveil.keys.tiers import Section, Tier
from medveil.metrics.image_quality import psnr
from medveil.releases.opening import open_release
from medveil.releases.packages.package import load_package
from medveil.releases.release import Release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

_SIDE = (160, 160)


@pytest.fixture(scope="module")
def shared_at(tmp_path_factory, people):
    """Originals of 8 and 16 bits by name, and the same release of them under two protections."""
    root = tmp_path_factory.mktemp("at")
    originals = {"deep.png": picture(3, *_SIDE, bits=12), "plain.png": picture(4, *_SIDE)}
    (root / "in").mkdir()
    for name, pixels in originals.items():
        Picture.fromarray(pixels).save(root / "in" / name)
    names = {"mallory": Tier.PREVIEW, "alice": Tier.DIAGNOSTIC, "ida": Tier.EXACT}
    to = {people[name].recipient: tier for name, tier in names.items()}
    wanted = ShareSettings(to=tuple(to), at=to, identity=tuple(to), keep_file=True, jobs=1, mixed_depth=True)
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        for protection in ("sealed", "encrypted"):
            made[protection] = root / protection
            settings = dataclasses.replace(wanted, protection=protection)
            share([root / "in" / name for name in originals], made[protection], settings, owner=people["owner"])
    return root / "in", originals, made


def quality(originals, release, identity, **more):
    """PSNR by bits stored of what an identity gets."""
    by_dtype = {pixels.dtype: pixels for pixels in originals.values()}
    found = {}
    for image in Release(release, pin=False).open(identity, **more):
        original = by_dtype[image.pixels.dtype]
        assert image.pixels.shape == original.shape
        found[image.bits_stored] = psnr(original, image.pixels, data_range=float((1 << image.bits_stored) - 1))
    return found


@pytest.mark.parametrize("protection", ["sealed", "encrypted"])
def test_each_tier_is_better_than_the_one_below(shared_at, people, protection):
    _, originals, made = shared_at
    preview = quality(originals, made[protection], people["mallory"])
    diagnostic = quality(originals, made[protection], people["alice"])
    exact = quality(originals, made[protection], people["ida"])
    assert preview.keys() == diagnostic.keys() == exact.keys()
    assert len(preview) == 2
    for bits in preview:
        assert 15 < preview[bits] < diagnostic[bits] - 2, (preview, diagnostic)
        assert diagnostic[bits] > 33
        assert exact[bits] == np.inf


def test_a_better_key_opens_at_a_lower_tier_when_asked(shared_at, people):
    _, originals, made = shared_at
    for tier, name in ((Tier.PREVIEW, "mallory"), (Tier.DIAGNOSTIC, "alice")):
        lowered = quality(originals, made["sealed"], people["ida"], tier=tier)
        assert lowered == quality(originals, made["sealed"], people[name])
    with pytest.raises(NoFittingKeyError, match="up to tier preview, not exact"):
        quality(originals, made["sealed"], people["mallory"], tier=Tier.EXACT)


@pytest.mark.parametrize("protection", ["sealed", "encrypted"])
def test_the_very_file_comes_out_at_exact_with_names_alone(tmp_path, shared_at, people, protection):
    folder, originals, made = shared_at
    for name, same in (("ida", True), ("alice", False), ("mallory", False)):
        result = open_release(made[protection], tmp_path / name, identity=people[name], jobs=1)
        assert (result.done, result.failed) == (2, [])
        for file in originals:
            assert ((tmp_path / name / file).read_bytes() == (folder / file).read_bytes()) is same
    open_release(made[protection], tmp_path / "low", identity=people["ida"], tier=Tier.DIAGNOSTIC, jobs=1)
    for file in originals:
        assert (tmp_path / "low" / file).read_bytes() == (tmp_path / "alice" / file).read_bytes()


def test_the_result_counts_images_by_tier(tmp_path, shared_at, people):
    _, _, made = shared_at
    for name, tier in (("ida", Tier.EXACT), ("alice", Tier.DIAGNOSTIC), ("mallory", Tier.PREVIEW)):
        assert open_release(made["sealed"], tmp_path / name, identity=people[name], jobs=1).tiers == {tier: 2}


def test_a_key_of_a_tier_has_no_key_of_a_better_section(shared_at, people):
    _, _, made = shared_at
    release = Release(made["sealed"], pin=False)
    better = {"mallory": {Section.CODE, Section.EXACT, Section.FILE}, "alice": {Section.EXACT, Section.FILE}}
    for entry in release.manifest.packages:
        header = load_package(release.folder, entry, release.manifest).header
        assert [section for section, _ in header.sections] == [
            Section.PREVIEW, Section.CODE, Section.EXACT, Section.IMAGE, Section.FILE, Section.IDENTITY,
        ]  # fmt: skip
        for name, sections in better.items():
            ring = ring_of(release.folder, people[name])
            closed = {section for section, _ in header.sections if ring.find(header.place(section)) is None}
            assert closed == sections


def test_a_release_of_the_plain_kind_has_one_tier(release):
    release = Release(release)
    assert release.manifest.tiers == (Tier.DIAGNOSTIC,)
    header = load_package(release.folder, release.manifest.packages[0], release.manifest).header
    assert [section for section, _ in header.sections] == [Section.CODE, Section.IMAGE, Section.IDENTITY]


@pytest.mark.parametrize("tiers", [(Tier.EXACT,), (Tier.PREVIEW,), (Tier.PREVIEW, Tier.EXACT)])
def test_tiers_can_be_made_before_anybody_has_them(tmp_path, pictures, people, tiers):
    wanted = ShareSettings(tiers=tiers, jobs=1)
    share([pictures / "a"], tmp_path / "release", wanted, owner=people["owner"])
    assert set(Release(tmp_path / "release").manifest.tiers) == {Tier.DIAGNOSTIC, *tiers}
    (image,) = Release(tmp_path / "release").open(people["owner"])
    original = np.asarray(Picture.open(pictures / "a" / "IM1.png"))
    assert np.array_equal(image.pixels, original) is (Tier.EXACT in tiers)


def test_odd_pictures_open_at_every_tier(tmp_path, people):
    """Eight bits in words, which nobody could open, with foreign bits above them; and grey in the form of colour."""
    pixels = picture(5, 40, 48)
    words = pixels.astype(np.uint16) | 0x5A00
    files = {
        "words.dcm": image_files.dicom(words, bits_stored=8),
        "turned.png": image_files.png(Picture.fromarray(pixels).convert("RGB"), exif=_turned()),
    }
    (tmp_path / "in").mkdir()
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    names = {"mallory": Tier.PREVIEW, "alice": Tier.EXACT, "ida": Tier.EXACT, "deputy": Tier.DIAGNOSTIC}
    to = {people[name].recipient: tier for name, tier in names.items()}
    wanted = ShareSettings(
        to=tuple(to), at=to, identity=(people["ida"].recipient,), protection="encrypted", jobs=1
    )  # fmt: skip
    result = share([tmp_path / "in"], tmp_path / "out", wanted, owner=people["owner"])
    assert (result.done, result.failed) == (2, [])
    for name, tier in names.items():
        folder = tmp_path / name
        opened = open_release(tmp_path / "out", folder, identity=people[name], jobs=1)
        assert (opened.done, opened.failed) == (2, []), name
        found = [images.read(path) for path in folder.rglob("*") if path.is_file()]
        assert {image.pixels.dtype for image in found} == {np.dtype(np.uint8)}
        if tier is Tier.EXACT:
            assert all(np.array_equal(image.pixels, pixels) for image in found)
    stored = pydicom.dcmread(next((tmp_path / "ida").rglob("*.dcm")))
    assert stored.PixelData == words.tobytes()
    assert pydicom.dcmread(next((tmp_path / "alice").rglob("*.dcm"))).PixelData == pixels.astype(np.uint16).tobytes()
    whole, plain = (Picture.open(next((tmp_path / name).rglob("*.png"))) for name in ("ida", "alice"))
    assert (whole.mode, plain.mode) == ("RGB", "L")
    assert whole.getexif()[0x0112] == plain.getexif()[0x0112] == 6


def _turned():
    exif = Picture.Exif()
    exif[0x0112] = 6
    return exif
