"""Images of more than 8 bits: they are not mixed with others unasked, and come back within an error that is stated."""

import dataclasses

import numpy as np
import pytest
from PIL import Image as Picture
from tests import image_files
from tests.pictures import picture

from medveil.errors import TargetExistsError, UsageError
from medveil.releases.release import Release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.writing.depth import QUALITY_CLASSES, Depth

PLAIN = ShareSettings(jobs=1)
_ROWS, _COLUMNS = np.mgrid[:48, :56] / 9
QUIET = (1200 + 300 * np.sin(_ROWS) * np.cos(_COLUMNS)).astype(np.uint16)
NOISY = (QUIET + np.random.default_rng(0).normal(0, 30, QUIET.shape)).astype(np.uint16)


def ct(folder, name, pixels):
    """A CT slice of 12 bits, in a file of a folder that there may be."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(image_files.dicom(pixels, bits_stored=12, Modality="CT", BurnedInAnnotation="NO"))
    return folder / name


@pytest.fixture
def mixed(tmp_path):
    folder = tmp_path / "mixed"
    ct(folder, "slice.dcm", QUIET)
    Picture.fromarray(picture(2, 48, 56)).save(folder / "photograph.png")
    return folder


def depths(release):
    manifest = Release(release, pin=False).manifest
    return manifest.profile.deep, len(manifest.packages)


def test_mixed_depths_are_refused_with_the_cost_and_two_commands_that_do_it(tmp_path, mixed, people):
    for settings in (PLAIN, dataclasses.replace(PLAIN, dry_run=True)):
        with pytest.raises(UsageError, match=r"1 of the images are of 8 bits .* up to \d+ times the bytes") as caught:
            share([mixed], tmp_path / "release", settings, owner=people["owner"])
        assert caught.value.exit_code == 2
    assert not (tmp_path / "release").exists()
    for depth, deep in ((Depth.SHALLOW, 0), (Depth.DEEP, 1)):
        assert f"--depth {depth} -o" in caught.value.hint
        settings = dataclasses.replace(PLAIN, depth=depth)
        for unchanged in (0, 1):  # the same command again does nothing
            result = share([mixed], tmp_path / depth, settings, owner=people["owner"])
            assert (result.done, result.unchanged, result.other_depth) == (1 - unchanged, unchanged, 1)
        assert depths(tmp_path / depth) == (deep, 1)
        add = dataclasses.replace(PLAIN, add=True)
        with pytest.raises(UsageError, match="1 of these are not"):
            share([mixed], tmp_path / depth, add, owner=people["owner"])
        share([mixed], tmp_path / depth, dataclasses.replace(add, mixed_depth=True), owner=people["owner"])
        assert depths(tmp_path / depth) == (deep, 2)


def test_they_are_mixed_for_who_asks_for_it(tmp_path, mixed, people):
    share([mixed], tmp_path / "release", dataclasses.replace(PLAIN, mixed_depth=True), owner=people["owner"])
    assert depths(tmp_path / "release") == (1, 2)


@pytest.mark.parametrize("protection", ["sealed", "encrypted"])
def test_the_budget_of_ct_is_one_of_a_few_for_three_hounsfield_units(tmp_path, people, protection):
    found, said = {}, []
    for name, pixels in (("quiet", QUIET), ("noisy", NOISY)):
        given, release = ct(tmp_path / name, "slice.dcm", pixels), tmp_path / f"{name} release"
        settings = dataclasses.replace(PLAIN, protection=protection)
        result = share([given], release, settings, owner=people["owner"], announce=lambda *what: said.append(what))
        quality = Release(release, pin=False).manifest.profile.quality_centidb
        assert quality in QUALITY_CLASSES
        assert (result.error, result.quality, result.coarse) == (3.0, quality / 100, [])
        assert 0 < result.fidelity[1].rmse_modality <= 3.0
        assert result.fidelity[1].unit == "HU"
        found[name] = quality, result.bytes
        assert share([given], release, settings, owner=people["owner"]).unchanged == 1
        with pytest.raises(TargetExistsError, match="rmse"):
            share([given], release, dataclasses.replace(settings, rmse=9.0), owner=people["owner"])
    assert found["quiet"] < found["noisy"]
    assert [("about 3 HU" in text, grave) for text, grave in said] == [(True, False)] * 2


def test_the_error_can_be_chosen_and_the_quality_too(tmp_path, people):
    given = ct(tmp_path / "in", "slice.dcm", NOISY)
    rough = share([given], tmp_path / "rough", dataclasses.replace(PLAIN, rmse=40.0), owner=people["owner"])
    assert 3.0 < rough.fidelity[1].rmse_modality <= 40.0
    result = share([given], tmp_path / "by quality", dataclasses.replace(PLAIN, quality=33.0), owner=people["owner"])
    assert (result.error, result.quality) == (None, 33.0)
    for wrong in ({"rmse": 0.0}, {"rmse": 3.0, "quality": 40.0}):
        with pytest.raises(UsageError, match="--rmse"):
            share([given], tmp_path / "wrong", dataclasses.replace(PLAIN, **wrong), owner=people["owner"])


def test_a_codec_that_chooses_no_error_is_warned_of_before_and_after(tmp_path, people):
    given, said = ct(tmp_path / "in", "slice.dcm", NOISY), []
    settings = dataclasses.replace(PLAIN, codec="primis", protection="encrypted")
    result = share(
        [given], tmp_path / "release", settings, owner=people["owner"],
        announce=lambda *what: said.append(what), progress=lambda *_: said.append("coded"),
    )  # fmt: skip
    assert [what if what == "coded" else (what[0][:35], what[1]) for what in said] == [
        ("codec primis chooses no error above", True), "coded",
    ]  # fmt: skip
    assert result.coarse == [(1, result.fidelity[1].rmse_modality)]
    with pytest.raises(UsageError, match="--rmse"):
        share([given], tmp_path / "other", dataclasses.replace(settings, rmse=3.0), owner=people["owner"])
