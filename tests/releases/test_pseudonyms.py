"""Which images are of one patient: what who sees no identity learns, unless the owner withholds it."""

import dataclasses
import json

import numpy as np
import pydicom
import pytest
from PIL import Image as Picture
from tests import image_files
from tests.pictures import picture
from typer.testing import CliRunner

from medveil.errors import TargetExistsError
from medveil.keys.identity import generate
from medveil.keys.tiers import Tier
from medveil.releases import sharing
from medveil.releases.opening import open_release
from medveil.releases.records.owner_records import OwnerBook
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

UID = "1.2.3.4"


def slice_of(folder, patient, study, number):
    folder.mkdir(parents=True, exist_ok=True)
    data = image_files.dicom(
        picture(number, 40, 48, bits=12),
        bits_stored=12,
        PatientID=patient,
        PatientName=f"Name^{patient}",
        StudyInstanceUID=f"{UID}.{study}",
        SOPInstanceUID=f"{UID}.{study}.{number}",
        InstanceNumber=number,
    )
    (folder / f"{patient}-{study}-{number}.dcm").write_bytes(data)


def opened(release, folder, identity, tier=None):
    """PatientID -> instance numbers, of what comes out."""
    open_release(release, folder, identity=identity, tier=tier, jobs=1)
    found = {}
    for path in folder.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        assert data.PatientName == data.PatientID
        found.setdefault(data.PatientID, set()).add(int(data.InstanceNumber))
    return found


@pytest.fixture
def wanted(people):
    alice, mallory = people["alice"].recipient, people["mallory"].recipient
    return ShareSettings(to=(alice, mallory), at={alice: Tier.EXACT}, protection="encrypted", jobs=1)


@pytest.fixture
def studies(tmp_path):
    """Two studies of one patient, one of another."""
    for patient, study, number in (("P1", 1, 1), ("P1", 2, 2), ("P2", 3, 3)):
        slice_of(tmp_path / "in", patient, study, number)
    return tmp_path / "in"


def test_patients_stay_apart_over_adding_and_rotating(tmp_path, studies, wanted, people):
    release, alice = tmp_path / "release", people["alice"]
    share([studies], release, wanted, owner=people["owner"])
    first = opened(release, tmp_path / "1", alice)
    assert sorted(map(sorted, first.values())) == [[1, 2], [3]]
    assert opened(release, tmp_path / "2", alice, Tier.DIAGNOSTIC) == first
    other = opened(release, tmp_path / "3", people["mallory"])
    assert sorted(map(sorted, other.values())) == [[1, 2], [3]]
    assert not set(first) & set(other)
    slice_of(tmp_path / "more", "P2", 9, 4)
    share([tmp_path / "more"], release, ShareSettings(add=True, jobs=1), owner=people["owner"])
    rotate(release, people["owner"], jobs=1)
    later = opened(release, tmp_path / "4", alice)
    assert set(later) == set(first)
    assert sorted(map(sorted, later.values())) == [[1, 2], [3, 4]]


def test_pseudonyms_can_be_withheld_and_stay_withheld(tmp_path, studies, people, monkeypatch):
    from medveil.cli.main import app

    monkeypatch.chdir(tmp_path)
    owner, alice = (generate(tmp_path / f"{name}.key") for name in ("o", "a"))
    Picture.fromarray(np.zeros((8, 8), np.uint8)).save(studies / "p.png")
    share_them = f"share {studies} -i o.key --to a.pub -o release -j 1 --json --protection encrypted".split()
    share_them.append("--mixed-depth")
    assert CliRunner().invoke(app, [*share_them, "--no-pseudonyms"]).exit_code == 0
    assert opened(tmp_path / "release", tmp_path / "1", alice) == {"": {1, 2, 3}}
    again = CliRunner().invoke(app, [*share_them, "--no-pseudonyms"])
    assert json.loads(again.stdout)["unchanged"] == 4
    refused = CliRunner().invoke(app, share_them)
    assert refused.exit_code == 1
    assert "other settings (pseudonyms)" in refused.output
    slice_of(tmp_path / "more", "P2", 9, 4)
    share([tmp_path / "more"], tmp_path / "release", ShareSettings(add=True, jobs=1), owner=owner)
    assert opened(tmp_path / "release", tmp_path / "2", alice) == {"": {1, 2, 3, 4}}


def test_what_was_shared_with_pseudonyms_goes_on_with_them(tmp_path, studies, wanted, people):
    release = tmp_path / "release"
    share([studies], release, wanted, owner=people["owner"])
    with pytest.raises(TargetExistsError, match="pseudonyms"):
        share([studies], release, ShareSettings(add=True, pseudonyms=False, jobs=1), owner=people["owner"])


def test_a_release_made_before_there_were_any_stays_without(tmp_path, studies, wanted, people, monkeypatch):
    """Its notes say nothing of pseudonyms: either command is the same as before, and what is added gets none."""
    release = tmp_path / "release"

    def before(manifest, key, settings, *others):
        return OwnerBook(manifest, key, {k: v for k, v in settings.items() if k != "pseudonyms"}, *others)

    with monkeypatch.context() as patch:
        patch.setattr(sharing, "OwnerBook", before)
        share([studies], release, wanted, owner=people["owner"])
    for asked in (wanted, dataclasses.replace(wanted, pseudonyms=False)):
        assert share([studies], release, asked, owner=people["owner"]).unchanged == 3
    slice_of(tmp_path / "more", "P2", 9, 4)
    share([tmp_path / "more"], release, ShareSettings(add=True, jobs=1), owner=people["owner"])
    assert opened(release, tmp_path / "1", people["alice"]) == {"": {1, 2, 3, 4}}


def test_lengths_say_nothing_of_what_travels(tmp_path, people, wanted):
    """A scan with every attribute and one with none: one length, with and without pseudonyms."""
    rich = {
        "ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP"], "MRAcquisitionType": "3D", "KVP": 120,
        "RepetitionTime": 2530, "EchoTime": "3.3900000", "InversionTime": 1100, "FlipAngle": 7, "ScanOptions": "PFP",
        "MagneticFieldStrength": 3, "ImagedNucleus": "1H", "DiffusionGradientOrientation": [0.5, -0.5, 0.7071],
        "Manufacturer": "Siemens Healthineers", "PatientPosition": "HFS", "PixelBandwidth": 220, "SAR": "0.0312",
        "ConvolutionKernel": "Br40d", "ExposureTime": 500, "XRayTubeCurrent": 200, "SpiralPitchFactor": 0.9,
    }  # fmt: skip
    lengths = set()
    for number, (attributes, pseudonyms) in enumerate([(rich, True), ({}, True), (rich, False), ({}, False)]):
        folder = tmp_path / f"in{number}"
        folder.mkdir()
        pixels = picture(number, 40, 48, bits=12)
        (folder / "a.dcm").write_bytes(image_files.dicom(pixels, bits_stored=12, **attributes))
        settings = dataclasses.replace(wanted, at={}, protection="sealed", quality=40.0, pseudonyms=pseudonyms)
        share([folder], tmp_path / f"release{number}", settings, owner=people["owner"])
        lengths.update(entry.length for entry in Release(tmp_path / f"release{number}").manifest.packages)
    assert len(lengths) == 1
