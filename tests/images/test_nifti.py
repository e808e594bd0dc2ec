"""NIfTI slices: pixels, geometry and header texts; nibabel is the reference."""

import gzip
import math

import numpy as np
import pytest

from medveil import images
from medveil.errors import UnreadableInputError, UnsupportedInputError

nibabel = pytest.importorskip("nibabel", reason="needs nibabel to write and check NIfTI files")

SECRET = "Jane Smith"
AFFINE = np.array([[0, -0.5, 0, 7], [0.25, 0, 0, -3], [0, 0, 2, 1], [0, 0, 0, 1]], float)


def _file(array, *, kind=nibabel.Nifti1Image, zipped=False):
    image = kind(array, AFFINE)
    image.header["descrip"] = SECRET
    image.header["aux_file"] = "smith.txt"
    image.header.set_xyzt_units("mm")
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", SECRET.encode()))
    data = image.to_bytes()
    return gzip.compress(data) if zipped else data


def _opened(data, kind=nibabel.Nifti1Image):
    return kind.from_bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", "<u2"])
@pytest.mark.parametrize("zipped", [False, True])
def test_round_trip(read, travel, write, kind, dtype, zipped):
    array = np.arange(6 * 4).reshape(6, 4, 1).astype(dtype) * 5 - (40 if dtype in ("i1", "<i2") else 0)
    data = _file(array.astype(dtype), kind=kind, zipped=zipped)
    image = read(data)
    assert np.array_equal(image.pixels, array[:, :, 0].T)
    assert image.bits_stored == 8 * np.dtype(dtype).itemsize
    assert image.spacing_mm == (0.5, 0.25)
    assert images.suffix(image) == (".nii.gz" if zipped else ".nii")
    whole, bare = write(travel(image, identity=True)), write(travel(image, identity=False))
    plain = gzip.decompress(whole) if zipped else whole
    assert plain == (gzip.decompress(data) if zipped else data)
    again = _opened(bare, kind)
    assert np.array_equal(again.get_fdata(), array)
    assert np.array_equal(again.affine, AFFINE)
    assert again.header.get_xyzt_units()[0] == "mm"
    assert again.header["descrip"] == b""
    assert not again.header.extensions
    assert SECRET.encode() not in (gzip.decompress(bare) if zipped else bare)
    assert SECRET.encode() not in image.source.pixel_record


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_what_everybody_may_have_says_how_large_voxels_are_and_not_where_they_lay(read, write, kind):
    array = np.arange(24, dtype="<i2").reshape(6, 4, 1)
    data = kind(array, AFFINE)
    data.header["cal_max"] = 17
    found = images.public(read(data.to_bytes()))
    again = _opened(write(found), kind)
    assert np.array_equal(again.get_fdata(), array)
    assert (again.header["qform_code"], again.header["sform_code"], again.header["cal_max"]) == (0, 0, 0)
    assert not again.header["srow_x"].any()
    assert not any(again.header[f"qoffset_{axis}"] for axis in "xyz")
    assert list(again.header.get_zooms()) == [0.25, 0.5, 2]
    assert images.public_words(found) == {"kind": "nifti", "spacing": "0.5 0.25"}


def test_plain_slice_big_endian_and_scaling(read, travel, write):
    array = np.arange(12, dtype=">i2").reshape(3, 4)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    image = nibabel.Nifti1Image(array, AFFINE, header)
    data = bytearray(image.to_bytes())
    data[112:120] = np.array([2.0, -7.0], ">f4").tobytes()
    ours = read(bytes(data))
    assert ours.rescale == (2.0, -7.0)
    assert np.array_equal(_opened(write(travel(ours, identity=False))).get_fdata(), 2.0 * array - 7)


def test_unusable_scale_and_spacing_mean_none(read):
    data = bytearray(_file(np.zeros((3, 4), "<i2")))
    data[112:120] = np.array([math.nan, 0], "<f4").tobytes()
    data[80:88] = np.array([math.nan, math.inf], "<f4").tobytes()
    image = read(bytes(data))
    assert image.rescale == (1.0, 0.0)
    assert image.spacing_mm is None


def test_units_other_than_millimetres(read):
    data = bytearray(_file(np.zeros((3, 4), "<i2")))
    data[123] = 3  # micrometres
    assert read(bytes(data)).spacing_mm == pytest.approx((0.0005, 0.00025))


@pytest.mark.parametrize("shape", [(4, 4, 2), (4, 4, 1, 3), (5,)])
def test_volumes_series_and_vectors_are_refused(read, shape):
    with pytest.raises((UnsupportedInputError, UnreadableInputError)):
        read(_file(np.zeros(shape, "<i2")))


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i4", "<u4", "<c8"])
def test_other_types_are_refused(read, dtype):
    with pytest.raises(UnsupportedInputError):
        read(_file(np.full((4, 4), math.nan if dtype[1] in "fc" else 1).astype(dtype)))


def test_a_header_without_its_pixels_is_refused(read):
    data = bytearray(_file(np.zeros((3, 4), "<i2")))
    data[344:348] = b"ni1\0"
    with pytest.raises(UnsupportedInputError):
        read(bytes(data))


def test_lengths_must_fit(read):
    data = _file(np.ones((30, 40), "<i2"))
    for broken in (data[:-1], data[:400], gzip.compress(data[:-1]), gzip.compress(data)[:-9]):
        with pytest.raises(UnreadableInputError):
            read(broken)
    for longer in (data + b"x", gzip.compress(data + b"x")):
        with pytest.raises((UnreadableInputError, UnsupportedInputError)):
            read(longer)
    assert read(data + bytes(3)).pixels.shape == (40, 30)
