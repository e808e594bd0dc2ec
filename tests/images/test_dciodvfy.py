"""What another program says of opened DICOM files: dciodvfy (dicom3tools) finds no error that the original has not."""

import re
import shutil
import subprocess
from pathlib import Path

import pydicom.data
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from tests import image_files
from tests.images.test_dicom_acquisition import CT, MR, NUCLEAR, XRAY

from medveil import images

pytestmark = pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dciodvfy (Debian package dicom3tools)")

FILES = Path(pydicom.data.__file__).parent / "test_files"
CLASS = "1.2.840.10008.5.1.4.1.1."
EVERY = {**CT, **MR, **XRAY, **NUCLEAR}
INVENTED = {"CT": "2", "MR": "4", "CR": "1", "DX": "1.1", "MG": "1.2", "OT": "7", "PT": "128", "XA": "12.1"}
REAL = [
    "volumes/dicom/ct_head/15.dcm",
    "dicom/files/016-ransferSyntax_1.2.840.10008.1.2.4.50.dcm",
    "dicom/files/029-RG1_J2KI.dcm",
    "dicom/files/034-dx_image.dcm",
    "dicom/files/054-3.dcm",
    "dicom/files/090-JLSL_16_15_1_1F.dcm",
    "dicom/studies/A-dcmqi-ct-seg-legacy/0000-IMG0001.dcm",
    "dicom/studies/D-mr-philips-fmri-4d/0000-IM-0001-0050-0001.dcm",
    "dicom/studies/H-torchio-dicom-series/0000-IMG0001.dcm",
]


def errors(path):
    """Its complaints, without the values in them: a new UID is as long as an old one is wrong."""
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace", check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return {re.sub(r"<[0-9.]+>", "<…>", line).strip() for line in lines if re.search(r"(^| )Error - ", line)}


def new_errors(path, folder):
    """Errors of what is opened of a file, which it has not itself: (tier, with identity, error)."""
    image, known, found = images.read(path), errors(path), set()
    pixel_record, identity_record = images.records(image, b"k" * 32)
    for sees in (False, True):
        back = images.restore(
            image.pixels, image.bits_stored, image.source.kind, pixel_record, identity_record if sees else b""
        )
        for tier in ("exact", "diagnostic", "preview"):
            loss = None if tier == "exact" else images.Loss(ratio=9.5, method="MEDVEIL_LAPPED")
            out = folder / f"{tier}-{sees}.dcm"
            out.write_bytes(images.to_file_bytes(back, loss=loss, uid_key=b"u" * 32, tier=tier))
            found |= {(tier, sees, error) for error in errors(out) - known}
    return found


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "JPEG2000.dcm"])
def test_published_files(tmp_path, name):
    assert new_errors(FILES / name, tmp_path) == set()


@pytest.mark.parametrize("attributes", [{}, EVERY], ids=["plain", "every attribute"])
@pytest.mark.parametrize("modality", INVENTED)
def test_invented_files(tmp_path, ramp, modality, attributes):
    data = image_files.dataset(
        ramp(bits=12), bits_stored=12, SOPClassUID=CLASS + INVENTED[modality], Modality=modality, **attributes
    )
    (tmp_path / "original.dcm").write_bytes(image_files.encoded(data, ExplicitVRLittleEndian))
    assert new_errors(tmp_path / "original.dcm", tmp_path) == set()


@pytest.mark.parametrize("name", REAL)
def test_real_files(shared, tmp_path, name):
    assert new_errors(shared / name, tmp_path) == set()


def test_the_check_itself_finds_what_lacks(tmp_path, ramp, monkeypatch):
    """The control: a file that lacks what the standard requires has an error that its original has not."""
    from medveil.images.dicom import type2_attributes

    data = image_files.dicom(ramp(bits=12), bits_stored=12)
    (tmp_path / "original.dcm").write_bytes(data)
    monkeypatch.setattr(type2_attributes, "_ALWAYS", {})
    assert any("PatientSex" in error for _, _, error in new_errors(tmp_path / "original.dcm", tmp_path))
