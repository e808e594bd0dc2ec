"""How long the sections of a package are: of one length a size class, whatever the image, or said to depend on it."""

import csv
import dataclasses

import numpy as np
import pytest
from PIL import Image as Picture
from tests.pictures import picture

from medveil.codecs.code import Bucket, Profile
from medveil.codecs.coding import Coding
from medveil.codecs.entropy import pack
from medveil.codecs.registry import get_codec
from medveil.images.image import FileKind, Image, Source
from medveil.keys.tiers import Section, Tier
from medveil.protection.levels import Encrypted
from medveil.releases.packages.package import load_package
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

SIDE = (40, 56)
LAPPED = get_codec("lapped")
EVEN = ShareSettings(protection="encrypted", tiers=tuple(Tier), keep_file=True, padding="bucket", jobs=1)


def plain_and_busy(bits=8):
    """Pictures of one size that need very different lengths: even grey, one like a photograph, and noise."""
    top = (1 << bits) - 1
    dtype = np.uint8 if bits == 8 else np.uint16
    noise = np.random.default_rng(1).integers(0, top, SIDE, endpoint=True, dtype=dtype)
    return {"even": np.full(SIDE, top // 3, dtype), "smooth": picture(2, *SIDE, bits=bits), "noise": noise}


@pytest.fixture
def originals(tmp_path):
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, pixels in plain_and_busy().items():
        Picture.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def lengths(release):
    """For each section the lengths that it has among the packages."""
    opened, found = Release(release, pin=False), {}
    for entry in opened.manifest.packages:
        for section, length in load_package(opened.folder, entry, opened.manifest).header.sections:
            found.setdefault(section, set()).add(length)
    return found


def test_packages_of_a_size_class_have_one_length_over_add_and_rotate(tmp_path, originals, people):
    release, owner = tmp_path / "release", people["owner"]
    assert share([originals / "even.png", originals / "smooth.png"], release, EVEN, owner=owner).varying == set()
    assert share([originals], release, dataclasses.replace(EVEN, add=True), owner=owner).varying == set()
    before = lengths(release)
    assert set(before) == set(Section) - {Section.SUPPORT, Section.ATTACHMENT}
    assert {len(each) for each in before.values()} == {1}
    rotate(release, owner=owner, jobs=1)
    assert lengths(release) == before
    opened = {image.pixels.tobytes() for image in Release(release, pin=False).open(owner)}
    assert opened == {pixels.tobytes() for pixels in plain_and_busy().values()}  # exact all the same


def test_padding_in_steps_tells_of_exact_sections_and_kept_files(tmp_path, originals, people):
    settings = dataclasses.replace(EVEN, padding=None)
    result = share([originals], tmp_path / "release", settings, owner=people["owner"])
    assert result.varying == {Section.EXACT, Section.FILE}
    found = lengths(tmp_path / "release")
    assert len(found[Section.CODE]) == len(found[Section.PREVIEW]) == 1
    assert len(found[Section.EXACT]) > 1


@pytest.mark.parametrize(("bits", "preview"), [(8, False), (8, True), (12, True)])
def test_an_encrypted_code_has_the_length_of_its_bucket_and_uses_it(bits, preview):
    coding = Coding(LAPPED, Profile("lapped", 4000, deep=int(bits > 8)))
    level, bucket = Encrypted(), Bucket.of(*SIDE)
    room = level.budget(coding, bucket)
    for name, pixels in plain_and_busy(bits).items():
        image, base = Image.of_pixels(pixels, bits, Source(FileKind.PNG, b"")), None
        if preview:
            base = coding.preview.encode(image, level.budget(coding.preview, bucket))
            assert len(pack(base)) <= level.budget(coding.preview, bucket)
        size = len(pack(coding.encode(image, room, base)))
        assert size <= room
        assert name != "smooth" or size > 0.95 * room
        assert len(level.padded(bytes(size), coding, bucket)) == room + 1


def test_the_length_grows_with_bucket_and_quality_alone():
    level = Encrypted()
    for deep in (0, 1):
        by_quality = [level.budget(Coding(LAPPED, Profile("lapped", q, deep=deep)), Bucket(512, 448))
                      for q in range(2000, 7000, 250)]  # fmt: skip
        by_area = [level.budget(Coding(LAPPED, Profile("lapped", 4000, deep=deep)), Bucket(side, 64))
                   for side in (64, 128, 1024, 1 << 16)]  # fmt: skip
        assert by_quality == sorted(by_quality)
        assert by_area == sorted(set(by_area))


@pytest.mark.slow
def test_lengths_link_no_two_images_of_one_person(tmp_path, shared, people):
    """Real patients with several images: within a size class, no length tells one of another."""
    with (shared / "cxr" / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "test" and int(row["images_of_patient"]) > 1]
    paths = [shared / "cxr" / row["image"] for row in rows[::3]]
    settings = ShareSettings(protection="encrypted", tiers=(Tier.PREVIEW,), jobs=1)
    assert share(paths, tmp_path / "release", settings, owner=people["owner"]).varying == set()
    release, sizes = Release(tmp_path / "release", pin=False), {}
    for entry in release.manifest.packages:
        header = load_package(release.folder, entry, release.manifest).header
        sizes.setdefault(header.bucket, set()).add(header.sections)
    assert len(sizes) > 3
    assert {len(each) for each in sizes.values()} == {1}
