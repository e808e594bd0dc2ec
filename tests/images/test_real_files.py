"""The shared real images: every one is read, and comes back from its records."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow

from medveil import images


@pytest.mark.parametrize("folder", ["images", "full"])
def test_chest_radiographs(shared, travel, write, folder):
    paths = sorted((shared / "cxr" / folder).glob("*.png"))[:: 40 if folder == "images" else 9]
    assert paths
    for path in paths:
        image = images.read(path)
        assert np.array_equal(image.pixels, np.asarray(Pillow.open(path)))
        again = Pillow.open(io.BytesIO(write(travel(image, identity=False))))
        assert np.array_equal(np.asarray(again), image.pixels)


def test_dicom_files(shared, travel, write):
    paths = sorted((shared / "volumes" / "dicom").rglob("*.dcm"))
    assert len(paths) == 16
    for path in paths:
        original, image = pydicom.dcmread(path), images.read(path)
        assert np.array_equal(image.pixels, original.pixel_array)
        assert image.spacing_mm == pytest.approx([float(side) for side in original.PixelSpacing])
        whole = pydicom.dcmread(io.BytesIO(write(travel(image, identity=True))))
        names = [element.tag for element in original if element.tag.element]
        assert [tag for tag in names if tag not in whole or whole[tag].value != original[tag].value] == []
        bare = write(travel(image, identity=False))
        ours = {"REMOVED", "TOSHIBA"}  # of times, a declaration; a maker, whose name MR_small has as hospital too
        for keyword in ("PatientName", "PatientID", "InstitutionName", "StudyDate", "SOPInstanceUID"):
            value = str(original.get(keyword, ""))
            assert len(value) < 4 or value in ours or value.encode() not in bare, keyword


def test_ct_head_keeps_its_order_in_space(shared, travel, write):
    """New UIDs, and still one series with every slice in its place."""
    paths = sorted((shared / "volumes" / "dicom" / "ct_head").glob("*.dcm"))
    outs = [pydicom.dcmread(io.BytesIO(write(travel(images.read(path), identity=False)))) for path in paths]
    originals = [pydicom.dcmread(path) for path in paths]
    assert len({out.SeriesInstanceUID for out in outs}) == len({one.SeriesInstanceUID for one in originals})
    assert len({out.SOPInstanceUID for out in outs}) == len(outs)
    assert [out.ImagePositionPatient for out in outs] == [one.ImagePositionPatient for one in originals]


def test_volumes_are_refused(shared):
    from medveil.errors import UnsupportedInputError

    for path in sorted((shared / "volumes").rglob("*.nii.gz"))[:3]:
        with pytest.raises(UnsupportedInputError):
            images.read(path)
