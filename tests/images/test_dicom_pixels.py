"""DICOM pixels of every transfer syntax, depth and layout."""

import hashlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from tests import image_files
from tests.images import odd_dicom

from medveil import images
from medveil.errors import MissingDependencyError, UnreadableInputError, UnsupportedInputError

FILES = Path(pydicom.data.__file__).parent / "test_files"
GDCM = [JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit]
needs_gdcm = pytest.mark.skipif(importlib.util.find_spec("gdcm") is None, reason="needs python-gdcm")
TWELVE_BIT = "d30242775a414c01d616447854ebe3f2b20259822894bcd6891f879bcdcbf313"
J2K = {"level": 0, "reversible": True, "bitspersample": None}
DEPTHS = [(8, False), (12, False), (12, True), (16, False), (16, True)]


def _syntaxes(syntaxes):
    return [pytest.param(one, id=one.name, marks=[needs_gdcm] if one in GDCM else []) for one in syntaxes]


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("syntax", _syntaxes(image_files.NATIVE + image_files.LOSSLESS))
def test_lossless_syntaxes_give_the_very_pixels(read, smooth, syntax, bits, signed):
    pixels = smooth(bits, signed=signed)
    image = read(image_files.dicom(pixels, syntax, bits_stored=bits))
    assert np.array_equal(image.pixels, pixels)
    assert (image.pixels.dtype, image.bits_stored, image.signed) == (pixels.dtype, bits, signed)
    assert image.pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("syntax", "bits", "signed", "error"),
    [
        pytest.param(JPEGBaseline8Bit, 8, False, 5, id="baseline"),
        pytest.param(JPEGExtended12Bit, 8, False, 5, id="extended 8", marks=needs_gdcm),
        pytest.param(JPEGExtended12Bit, 12, False, 5, id="extended 12", marks=needs_gdcm),
        pytest.param(JPEGLSNearLossless, 8, False, 2, id="near lossless 8"),
        pytest.param(JPEGLSNearLossless, 12, True, 2, id="near lossless 12 signed"),
        pytest.param(JPEG2000, 8, False, 30, id="JPEG 2000 8"),
        pytest.param(JPEG2000, 16, True, 300, id="JPEG 2000 16 signed"),
    ],
)
def test_lossy_syntaxes_come_close(read, smooth, syntax, bits, signed, error):
    pixels = smooth(bits, signed=signed)
    image = read(image_files.dicom(pixels, syntax, bits_stored=bits))
    assert image.bits_stored == bits
    assert np.abs(image.pixels.astype(int) - pixels).max() <= error


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 4001)])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    ("syntax", "encoder", "options"),
    [
        pytest.param(JPEGLosslessSV1, "ljpeg_encode", {"bitspersample": None}, id="JPEG lossless", marks=needs_gdcm),
        pytest.param(JPEG2000Lossless, "jpeg2k_encode", {**J2K, "codecformat": "j2k"}, id="JPEG 2000"),
        pytest.param(JPEG2000Lossless, "jpeg2k_encode", {**J2K, "codecformat": "jp2"}, id="JPEG 2000 in a file box"),
        pytest.param(HTJ2KLossless, "htj2k_encode", {"reversible": True}, id="high-throughput JPEG 2000"),
        pytest.param(JPEGLSLossless, "jpegls_encode", {}, id="JPEG-LS"),
    ],
)
def test_frames_of_another_encoder(read, ramp, syntax, encoder, options, bits, size):
    imagecodecs = pytest.importorskip("imagecodecs", reason="needs imagecodecs, the second encoder")
    pixels = ramp(*size, bits=bits)
    if encoder == "jpegls_encode" and size[0] * size[1] > 10_000 and bits != 12:
        pytest.skip("imagecodecs' JPEG-LS does not write noise: its buffer is too small")
    given = {name: bits if name == "bitspersample" else value for name, value in options.items()}
    frame = getattr(imagecodecs, encoder)(pixels, **given)
    image = read(image_files.encapsulated(pixels, bytes(frame), syntax, bits_stored=bits))
    assert np.array_equal(image.pixels, pixels)


@pytest.mark.parametrize("syntax", _syntaxes([*image_files.NATIVE, RLELossless, JPEGLosslessSV1]))
@pytest.mark.parametrize("size", [(1, 1), (17, 401), (3, 5)])
def test_odd_sizes(read, ramp, syntax, size):
    if syntax == JPEGLosslessSV1 and size[0] * size[1] % 2:
        pytest.skip("gdcm does not write 8-bit images with an odd number of pixels")
    pixels = ramp(*size)
    assert np.array_equal(read(image_files.dicom(pixels, syntax)).pixels, pixels)


@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "JPEG2000.dcm",
        "JPEGLSNearLossless_08.dcm",
        "JPEGLSNearLossless_16.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
        "examples_overlay.dcm",
        "image_dfl.dcm",
    ],
)
@pytest.mark.filterwarnings("ignore:The pixel data is:UserWarning")
def test_files_of_other_makers_agree_with_pydicom(read, name):
    path = FILES / name
    assert np.array_equal(read(path.read_bytes()).pixels, pydicom.dcmread(path).pixel_array)


@needs_gdcm
@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_twelve_bit_jpeg(read, name):
    """pydicom has no permissive decoder for it; the digest is of libjpeg-turbo's pixels (imagecodecs 2026.3.6)."""
    image = read((FILES / name).read_bytes())
    assert (image.pixels.shape, image.bits_stored) == ((1024, 256), 12)
    assert hashlib.sha256(image.pixels.astype("<u2").tobytes()).hexdigest() == TWELVE_BIT


def test_without_a_preamble_or_meta(read, ramp):
    data = image_files.dicom(ramp())
    bare = io.BytesIO()
    whole = pydicom.dcmread(io.BytesIO(data))
    pydicom.dcmwrite(bare, pydicom.Dataset(whole), implicit_vr=True, little_endian=True)
    explicit = io.BytesIO()
    pydicom.dcmwrite(explicit, pydicom.Dataset(whole), implicit_vr=False, little_endian=True)
    for form in (data[132:], bare.getvalue(), explicit.getvalue()):
        assert np.array_equal(read(form).pixels, ramp())


def test_a_preamble_of_another_format_is_still_dicom(read, ramp):
    assert np.array_equal(read(b"II*\0" + image_files.dicom(ramp())[4:]).pixels, ramp())


def test_monochrome1_is_not_inverted(read, ramp):
    image = read(image_files.dicom(ramp(), PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(image.pixels, ramp())


def _raw(cells, bits, high_bit, *, signed=False):
    data = image_files.dataset(cells, bits_stored=bits, HighBit=high_bit, PixelRepresentation=int(signed))
    return image_files.encoded(data, ExplicitVRLittleEndian)


@pytest.mark.parametrize("high_bit", [11, 13, 15])
@pytest.mark.parametrize("signed", [False, True])
def test_high_bit_and_foreign_bits(read, travel, write, ramp, high_bit, signed):
    """Old files keep overlays in the bits above or below: they are no pixels, and come back with identity only."""
    pixels = ramp(bits=12, signed=signed)
    shift = high_bit - 11
    values = (pixels.astype(np.int32) & 0xFFF).astype(np.uint16) << shift
    planes = np.random.default_rng(1).integers(0, 1 << 16, pixels.shape, dtype=np.uint16) & ~np.uint16(0xFFF << shift)
    image = read(_raw(values | planes, 12, high_bit, signed=signed))
    assert np.array_equal(image.pixels, pixels)
    whole = pydicom.dcmread(io.BytesIO(write(travel(image, identity=True))))
    assert whole.PixelData == (values | planes).tobytes()
    bare = pydicom.dcmread(io.BytesIO(write(travel(image, identity=False))))
    if high_bit == 11:
        assert np.array_equal(bare.pixel_array, pixels)
    stored = np.frombuffer(bare.PixelData, "<u2").reshape(pixels.shape)
    assert np.array_equal((stored >> shift) & 0xFFF, values >> shift)


@pytest.mark.parametrize("fill", [0, 0xF000])
def test_signed_pixels_keep_how_their_cells_were_filled(read, travel, write, ramp, fill):
    pixels = ramp(bits=12, signed=True)
    cells = pixels.view(np.uint16) if fill else pixels.view(np.uint16) & 0x0FFF
    image = read(_raw(cells, 12, 11, signed=True))
    assert np.array_equal(image.pixels, pixels)
    assert pydicom.dcmread(io.BytesIO(write(travel(image, identity=True)))).PixelData == cells.tobytes()


@pytest.mark.parametrize("high_bit", [7, 11, 15])
@pytest.mark.parametrize("foreign", [False, True])
def test_eight_bits_in_words(read, travel, write, ramp, high_bit, foreign):
    """Their pixels are bytes, as every decoder gives them; the file that comes out has words again."""
    pixels = ramp()
    cells = pixels.astype(np.uint16) << (high_bit - 7)
    if foreign:
        cells |= np.uint16(0xFFFF & ~(0xFF << (high_bit - 7)))
    image = read(_raw(cells, 8, high_bit))
    assert image.pixels.dtype == images.pixel_type(8, signed=False) == np.uint8
    assert np.array_equal(image.pixels, pixels)
    assert len(images.warnings(image)) == foreign
    for identity in (True, False):
        out = pydicom.dcmread(io.BytesIO(write(travel(image, identity=identity))))
        assert (out.BitsAllocated, out.BitsStored, out.HighBit) == (16, 8, high_bit)
        expected = cells if identity else pixels.astype(np.uint16) << (high_bit - 7)
        assert out.PixelData == expected.tobytes()


@pytest.mark.parametrize("syntax", _syntaxes([*image_files.NATIVE, *image_files.LOSSLESS]))
def test_eight_bits_in_words_of_every_syntax(read, smooth, syntax):
    pixels = smooth()
    words = pixels.astype(np.uint16)
    if syntax == RLELossless:  # pydicom's encoder halves such words
        data = odd_dicom.file(words, str(syntax), stored=8, pixel_data=odd_dicom.compressed(odd_dicom.rle(words)))
    else:
        data = image_files.dicom(words, syntax, bits_stored=8)
    image = read(data)
    assert (image.pixels.dtype, image.bits_stored) == (np.uint8, 8)
    assert np.array_equal(image.pixels, pixels)


def test_signed_bytes(read, travel, write):
    pixels = np.arange(-128, 128, dtype=np.int8).reshape(16, 16)
    image = read(image_files.dicom(pixels))
    assert (image.bits_stored, image.pixels.dtype) == (8, np.int16)
    assert np.array_equal(image.pixels, pixels)
    again = pydicom.dcmread(io.BytesIO(write(travel(image, identity=False))))
    assert (again.BitsAllocated, again.PixelRepresentation) == (8, 1)
    assert np.array_equal(again.pixel_array, pixels)


def test_big_endian_bytes_in_words(read, ramp):
    image = read(image_files.dicom(ramp(5, 7), ExplicitVRBigEndian))
    assert np.array_equal(image.pixels, ramp(5, 7))


def test_spacing_rescale_and_padding(read, ramp):
    pixels = ramp(bits=16, signed=True)
    image = read(image_files.dicom(pixels, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990))
    assert image.spacing_mm == (0.5, 0.25)
    assert image.rescale == (1.0, -1024.0)
    assert image.padding == (-2000, -1990)
    data = image_files.dataset(ramp())
    del data.PixelSpacing, data.RescaleSlope, data.RescaleIntercept
    data.ImagerPixelSpacing = [0.2, 0.1]
    image = read(image_files.encoded(data, ExplicitVRLittleEndian))
    assert (image.spacing_mm, image.rescale, image.padding) == ((0.2, 0.1), (1.0, 0.0), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"NumberOfFrames": "2"},
        {"BitsStored": 7, "HighBit": 6},
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
    ],
)
def test_other_layouts_are_unsupported(read, ramp, changes):
    with pytest.raises(UnsupportedInputError):
        read(image_files.dicom(ramp(), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"HighBit": 3},
        {"HighBit": 9},
        {"PixelRepresentation": 2},
        {"Rows": 0},
        {"BitsStored": 12, "HighBit": 11},
        {"Rows": 900},
    ],
)
def test_contradictions_are_unreadable(read, ramp, changes):
    with pytest.raises(UnreadableInputError):
        read(image_files.dicom(ramp(), **changes))


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "test-SR.dcm", "liver_1frame.dcm", "rtdose_1frame.dcm", "SC_rgb_rle.dcm"]
)
def test_other_objects_are_unsupported(read, name):
    with pytest.raises(UnsupportedInputError):
        read((FILES / name).read_bytes())


def test_float_pixels_and_dicomdir_are_unsupported(read, ramp):
    data = image_files.dataset(ramp())
    del data.PixelData
    data.FloatPixelData = bytes(4)
    directory = FILES / "dicomdirtests" / "DICOMDIR"
    for content in (image_files.encoded(data, ExplicitVRLittleEndian), directory.read_bytes()):
        with pytest.raises(UnsupportedInputError):
            read(content)


@pytest.mark.parametrize(
    ("syntax", "module"), [(JPEGLosslessSV1, "gdcm"), (JPEGLSNearLossless, "pyjpegls"), (JPEG2000Lossless, "pylibjpeg")]
)
def test_a_missing_decoder_is_named(read, smooth, monkeypatch, syntax, module):
    if module == "gdcm" and importlib.util.find_spec("gdcm") is None:
        pytest.skip("needs python-gdcm to write the file")
    data = image_files.dicom(smooth(), syntax)
    if module == "gdcm":
        from medveil.images.dicom import gdcm_process

        class Done:
            returncode, stdout = gdcm_process.MISSING, b""

        monkeypatch.setattr("subprocess.run", lambda *_, **__: Done)
    else:
        from pydicom.pixels import get_decoder

        monkeypatch.setattr(get_decoder(syntax), "_available", {})
    with pytest.raises(MissingDependencyError) as caught:
        read(data)
    assert "medveil[dicom]" in caught.value.hint
