"""Oddities of DICOM files: read where one reading is left, with a warning; else refused with tag and place.

Every row of ../shared/dicom/odd/cases.csv has a test, and the main kinds have invented twins, so that the suite shows
them without those files.
"""

import csv
import io
import re
import struct

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import RLELossless
from tests import image_files
from tests.images import odd_dicom
from tests.images.odd_dicom import (
    BYTES,
    ICON,
    ODD,
    PIXEL_DATA,
    PIXELS,
    PRIVATE,
    REFUSALS,
    compressed,
    element,
    encapsulated,
    icon,
    item,
)

from medveil import images
from medveil.errors import InputError, UnreadableInputError, UnsupportedInputError
from medveil.images.lossy_marking import Loss

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it finds the files odd, too
PLACED = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\) at byte \d+")


def _elements(data):
    """The elements of a file as they stand in it, read by pydicom: VR and value by tag, items as such lists."""
    return _listed(pydicom.dcmread(io.BytesIO(data), force=True))


def _listed(dataset):
    found = {}
    for one in dataset:
        value = [_listed(inner) for inner in one.value] if one.VR == "SQ" else dataset.get_item(one.tag).value
        found[int(one.tag)] = value
    return {tag: value for tag, value in found.items() if tag & 0xFFFF}


@pytest.fixture
def opened(travel, write):
    """The file of an image, opened by somebody with or without identity, at the exact tier or with a loss."""

    def _file(image, *, identity, loss=None):
        return write(travel(image, identity=identity), loss=loss)

    return _file


# ---- the files of cases.csv ----------------------------------------------------------------------------------------

# file -> (what the warnings say, or the error; None: no warning)
READ = {
    "ge_private_implicit_bigendian_pixels.dcm": "big endian",
    "icon_encapsulated.dcm": "comes back native",
    "seqdelim_missing_eof.dcm": "end of items",
    "seqdelim_zero_tail.dcm": None,
    "command_group0000.dcm": "group 0000",
    "vr_lowercase_ox.dcm": "none of DICOM's",
    "vr_spaces.dcm": "none of DICOM's",
    "implicit_el_inside_explicit.dcm": "without a VR",
    "UN_undefined_implicit_inside.dcm": None,
    "UN_undefined_explicit_inside.dcm": "unknown VR",
    "trailing_text.dcm": "only with the kept file",
    "trailing_nonzero_garbage.dcm": "only with the kept file",
    "pixel_excess_nonzero.dcm": "longer than the header states",
    "meta_no_tsyntax.dcm": "states no transfer syntax",
    "photometric_lowercase.dcm": "capital letters",
    "pixeldata_VR_UN.dcm": "unknown VR",
    "overlay_in_bit12.dcm": "bits of the pixel cells",
    "dup_sop_a.dcm": None,
    "dup_sop_b_other_patient.dcm": None,
    "charset_japanese.dcm": None,
    "charset_none_cp1251_bytes.dcm": None,
    "private_csa.dcm": None,
    "no_meta_explicit.dcm": "states no transfer syntax",
    "preamble_missing_DICM_at_0.dcm": None,
    "ds_nan.dcm": None,
}
OTHER_PIXELS = {  # they hold another picture than grey.npy
    "highbit15_stored12_lowbits.dcm": "bits of the pixel cells",
    "signed12_padding_needs_bits.dcm": None,
    "unsigned12_padding63536.dcm": "bits of the pixel cells",
}
REFUSED = {
    "sq_vr_but_text.dcm": r"\(0040,0275\) at byte 836: .* not made of items",
    "pixel_truncated_short.dcm": "shorter than the header states",
    "file_truncated.dcm": r"\(7FE0,0010\) at byte 836: .* end of the file",
    "bitsstored7_of_8.dcm": "7 bits stored in cells of 8",
    "mask_8alloc_1stored.dcm": "1 bits stored in cells of 8",
    "bit1_packed.dcm": "1 bits stored in cells of 1",
    "alloc32.dcm": "32 bits stored in cells of 32",
    "frames_3.dcm": "several frames",
    "enhanced_one_frame.dcm": "enhanced",
}


@pytest.fixture(scope="module")
def odd(shared):
    folder = shared / "dicom" / "odd"
    if not (folder / "cases.csv").is_file():
        pytest.skip(f"needs the odd DICOM files in {folder}")
    return folder


def test_every_case_has_a_test(odd):
    with (odd / "cases.csv").open() as table:
        assert {row["file"] for row in csv.DictReader(table)} == {*READ, *OTHER_PIXELS, *REFUSED}


@pytest.mark.parametrize("name", READ | OTHER_PIXELS)
def test_a_case_that_is_read(odd, read, opened, name):
    data = (odd / name).read_bytes()
    image = read(data)
    if name in READ:
        assert np.array_equal(image.pixels, np.load(odd / "grey.npy"))
    expected = (READ | OTHER_PIXELS)[name]
    assert [expected in warning for warning in images.warnings(image)] == ([True] if expected else [])
    whole, bare = opened(image, identity=True), opened(image, identity=False)
    for file in (whole, bare):
        assert np.array_equal(read(file).pixels, image.pixels)
    _check_same_elements(name, data, whole)
    for planted in (b"Test^Anna", b"T-1", b"hello", b"VENDOR", b"abcd"):
        assert planted not in bare


def _check_same_elements(name, data, whole):
    """With exact and identity every element comes back, but for what the warning says."""
    before, after = _elements(_understood_by_pydicom(name, data)), _elements(whole)
    if name.startswith("seqdelim") or name == "icon_encapsulated.dcm":
        before.pop(PIXEL_DATA, None), after.pop(PIXEL_DATA)  # compressed, comes back native
    if name.startswith("ge_private"):
        before[PIXEL_DATA] = np.frombuffer(before[PIXEL_DATA], ">u2").astype("<u2").tobytes()
    if name.startswith("vr_"):
        assert after.pop(0x00291010) == b"abcd"
    if name == "icon_encapsulated.dcm":
        (before_icon,), (native,) = before.pop(0x00880200), after.pop(0x00880200)
        inside = pydicom.dcmread(io.BytesIO(data)).IconImageSequence[0]
        before_icon[PIXEL_DATA] = _icon_pixels(inside).tobytes()
        assert before_icon == native
    assert before == after


def _understood_by_pydicom(name, data):
    """The file without the oddity that pydicom reads otherwise."""
    if name.startswith("preamble"):
        return bytes(128) + data
    if name.startswith("trailing"):
        return data[:19280]
    if name == "seqdelim_missing_eof.dcm":
        return data + odd_dicom.SEQUENCE_END
    if name.startswith("vr_"):
        at = data.index(b"\x29\x00\x10\x10")
        return data[:at] + data[at + 16 :]
    return data


def _icon_pixels(icon):
    """The pixels of an RLE compressed icon of bytes, by pydicom."""
    frame = next(generate_frames(icon.PixelData, number_of_frames=1))
    options = {"rows": icon.Rows, "columns": icon.Columns, "bits_allocated": 8, "bits_stored": 8}
    options |= {"samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2", "pixel_representation": 0}
    options |= {"number_of_frames": 1, "pixel_keyword": "PixelData"}
    return get_decoder(RLELossless).as_array(encapsulate([frame]), index=0, decoding_plugin="pydicom", **options)[0]


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_that_is_refused(odd, read, name):
    with pytest.raises(InputError, match=REFUSED[name]):
        read((odd / name).read_bytes())


# ---- invented twins ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ODD)
def test_an_oddity_is_read_and_said(read, opened, kind):
    data, warning, elements = ODD[kind]
    image = read(data)
    assert np.array_equal(image.pixels, PIXELS)
    said = images.warnings(image)
    assert any(warning in one for one in said)
    assert len(said) == (2 if kind in ("implicit command", "big endian pixels of an odd length") else 1)
    assert "Planted" not in " ".join(said)
    for identity in (True, False):
        assert np.array_equal(read(opened(image, identity=identity)).pixels, PIXELS)
    whole = _elements(opened(image, identity=True))
    assert {tag: whole[tag] for tag in elements} == elements
    assert whole[0x00100010] == "Planted^Name"


def test_commands_stay_out_without_identity(read, opened):
    image = read(ODD["command"][0])
    assert not [tag for tag in _elements(opened(image, identity=False)) if tag >> 16 == 0]


def test_more_pixel_data_comes_back_with_exact_and_identity_only(read, opened):
    image = read(ODD["more pixel data"][0])
    loss = Loss(9.0, "TEST")
    assert _elements(opened(image, identity=True, loss=loss))[PIXEL_DATA] == PIXELS.tobytes()
    assert _elements(opened(image, identity=False))[PIXEL_DATA] == PIXELS.tobytes()


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_is_refused_names_the_place(read, kind):
    data, reason = REFUSALS[kind]
    with pytest.raises(UnreadableInputError, match=reason) as caught:
        read(data)
    place = PLACED.match(str(caught.value))
    assert place is not None
    tag = int(place[0][1:5] + place[0][6:10], 16)
    at = int(place[0].split()[-1])
    assert data[at : at + 4] == struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    assert "Name" not in str(caught.value)


def test_a_deflated_data_set(read):
    """What stands behind it is said; a place is one in the inflated data set."""
    import zlib

    plain = odd_dicom.file(syntax=odd_dicom.DEFLATED)
    start = plain.index(b"\x08\0\x08\0CS")
    meta, body = plain[:start], plain[start:]

    def deflated(content):
        deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return meta + deflater.compress(content) + deflater.flush()

    for behind, warned in ((b"", 0), (b"\0", 0), (b"more", 1)):
        image = read(deflated(body) + behind)
        assert np.array_equal(image.pixels, PIXELS)
        assert ["kept file" in warning for warning in images.warnings(image)] == [True] * warned
    with pytest.raises(UnreadableInputError, match=r"\(7FE0,0010\) at byte \d+ of the inflated data set"):
        read(deflated(body[:-9]))
    with pytest.raises(UnreadableInputError, match="deflate"):
        read(plain)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({0x00280004: ("CS", b"RGB ")}, "neither MONOCHROME1 nor MONOCHROME2"),
        ({0x00280004: ("CS", b"PALETTE COLOR ")}, "colour"),
        ({0x00280002: ("US", b"\3\0")}, "colour"),
        ({0x00280004: None}, r"\(0028,0004\) Photometric Interpretation is missing"),
        ({0x00280008: ("IS", b"Name")}, r"\(0028,0008\) Number of Frames is not a number"),
        ({0x00280008: ("IS", b"2 ")}, "several frames"),
        ({0x00280010: None}, r"\(0028,0010\) Rows is missing"),
        ({0x00280010: ("US", b"\1\0\2\0")}, r"\(0028,0010\) Rows is not one number"),
        ({0x00280102: ("US", b"\7\0")}, "contradict"),
        ({0x00280103: ("US", b"\2\0")}, r"\(0028,0103\) Pixel Representation: neither 0 nor 1"),
    ],
)
def test_a_refusal_names_its_true_reason(read, changes, reason):
    with pytest.raises(InputError, match=reason):
        read(odd_dicom.file(changes=changes.items()))


def test_file_meta_information_inside_the_data_set(read):
    with pytest.raises(UnreadableInputError, match=r"\(0002,0016\) .* inside the data set"):
        read(odd_dicom.file(extra=element(0x00020016, "AE", b"HERE")))


# ---- transfer syntaxes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "named"),
    [
        ("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
        ("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian"),
        ("1.3.46.670589.33.1.4.1", "1.3.46.670589.33.1.4.1"),
    ],
)
def test_other_transfer_syntaxes_are_refused_by_name(read, syntax, named):
    with pytest.raises(UnsupportedInputError) as caught:
        read(odd_dicom.file(syntax=syntax))
    assert named in str(caught.value)
    assert syntax in str(caught.value)


@pytest.mark.parametrize("syntax", ["Planted^Name", "1.2.Planted", "1.02.3", "1." * 40 + "1", "1..2"])
def test_what_is_no_uid_is_not_printed(read, syntax):
    with pytest.raises(UnreadableInputError) as caught:
        read(odd_dicom.file(syntax=syntax))
    assert syntax not in str(caught.value)


def test_every_public_transfer_syntax_is_read_or_refused_by_name(read):
    from pydicom._uid_dict import UID_dictionary

    refused = 0
    for uid, (name, kind, *_) in UID_dictionary.items():
        if kind != "Transfer Syntax" or uid == "1.2.840.10008.1.2.1.99":  # this file is not deflated
            continue
        try:
            assert np.array_equal(read(odd_dicom.file(syntax=uid)).pixels, PIXELS)
        except UnsupportedInputError as error:
            refused += 1
            said = str(error)
            assert (uid in said, name in said) == (True, True)
    assert refused > 30


def test_big_endian_pixels_of_bytes_have_two_readings(read):
    with pytest.raises(UnsupportedInputError, match=r"1\.2\.840\.113619\.5\.2"):
        read(odd_dicom.file(BYTES, odd_dicom.GE_BIG_PIXELS))


@pytest.mark.parametrize(
    ("pixels", "vr", "is_read"),
    [(PIXELS, "OW", True), (BYTES, "OW", True), (BYTES, "OB", True)]
    + [(PIXELS, vr, False) for vr in ("OB", "UN", "US", "OL", "OD", "UT")]
    + [(BYTES, vr, False) for vr in ("UN", "OL")],
)
@pytest.mark.parametrize("inside", [False, True])
def test_big_endian_pixels_are_read_right_or_refused(read, pixels, vr, is_read, inside):
    """Where the VR does not say what is swapped, pydicom, gdcm and dcmtk don't agree. Also of a picture in an item."""
    icons = ((pixels, vr),) if inside else ()
    data = odd_dicom.big_endian(*((PIXELS, "OW") if inside else (pixels, vr)), icons=icons)
    if is_read:
        assert np.array_equal(read(data).pixels, PIXELS if inside else pixels)
        assert images.warnings(read(data)) == []
    else:
        with pytest.raises(UnreadableInputError, match=r"\(7FE0,0010\) at byte \d+: big endian pixel data whose VR"):
            read(data)


def test_pixels_are_not_swapped_twice(read):
    """A big endian data set whose transfer syntax says that only its pixels are big endian."""
    data = odd_dicom.big_endian(PIXELS, "OW", syntax=odd_dicom.GE_BIG_PIXELS)
    assert np.array_equal(read(data).pixels, PIXELS)


def _odd_lengths():
    """Pixel data that ends behind its pixels, with an odd or even number of bytes too many or too few."""
    odd = BYTES[:19, :23]
    for pixels, name in ((PIXELS, "words"), (BYTES, "bytes"), (odd, "odd")):
        for behind in (b"", b"\0", b"\7", b"\0\0", b"\7\0", b"\0\0\0", b"\1\2\3"):
            for vr in ("OB", "OW", "UN"):
                yield pytest.param(pixels, vr, behind, id=f"{name} {vr} {behind.hex()}")


@pytest.mark.parametrize(("pixels", "vr", "behind"), [*_odd_lengths()])
def test_pixel_data_of_an_odd_length_comes_back(read, opened, pixels, vr, behind):
    """`share` opens what it sealed and compares: the record is that of the written file, whose lengths are even."""
    value = pixels.tobytes() + behind
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, vr.encode(), 0, len(value))
    image = read(odd_dicom.file(pixels, pixel_data=head + value))
    again = read(opened(image, identity=True))
    assert np.array_equal(again.pixels, pixels)
    assert images.same_attributes(again, image)
    assert _elements(opened(image, identity=True))[PIXEL_DATA] == value + b"\0" * (len(value) % 2)


def test_uncompressed_pixels_in_fragments(read):
    data = compressed(PIXELS.tobytes())
    image = read(odd_dicom.file(syntax="1.2.840.10008.1.2.1.98", pixel_data=data))
    assert np.array_equal(image.pixels, PIXELS)
    assert images.warnings(image) == []
    longer = read(odd_dicom.file(syntax="1.2.840.10008.1.2.1.98", pixel_data=compressed(PIXELS.tobytes() + b"more")))
    assert np.array_equal(longer.pixels, PIXELS)
    assert ["kept file" in warning for warning in images.warnings(longer)] == [True]


@pytest.mark.parametrize("syntax", [odd_dicom.EXPLICIT, ""])
def test_compressed_pixels_without_a_compressed_transfer_syntax(read, syntax):
    with pytest.raises(UnreadableInputError, match="transfer syntax"):
        read(odd_dicom.file(syntax=syntax, pixel_data=compressed(odd_dicom.rle(PIXELS))))


# ---- padding of compressed frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [b" ", b"\0", b"\0\0\0", b"  ", b"\xff", b"\r\n"])
def test_a_jpeg_frame_may_be_padded(read, padding):
    pixels = np.full((16, 16), 77, np.uint8)
    frame = image_files.jpeg(pixels, quality=95)
    image = read(odd_dicom.file(pixels, odd_dicom.JPEG, pixel_data=compressed(frame + padding)))
    assert np.array_equal(image.pixels, read(frame).pixels)
    assert len(images.warnings(image)) == bool(padding.strip(b"\0 \xff"))


@pytest.mark.parametrize("padding", [b" ", b"\0", b"  "])
@pytest.mark.parametrize("name", ["JPEGLSLossless", "JPEG2000Lossless", "RLELossless"])
def test_other_frames_may_be_padded(read, smooth, padding, name):
    syntax, pixels = getattr(pydicom.uid, name), smooth(12)
    data = image_files.dicom(pixels, syntax, bits_stored=12)
    frame = next(generate_frames(pydicom.dcmread(io.BytesIO(data)).PixelData, number_of_frames=1))
    image = read(odd_dicom.file(pixels, str(syntax), pixel_data=compressed(frame + padding)))
    assert np.array_equal(image.pixels, pixels)
    assert images.warnings(image) == []
    if syntax != RLELossless:
        image = read(odd_dicom.file(pixels, str(syntax), pixel_data=compressed(frame + padding + b"more")))
        assert np.array_equal(image.pixels, pixels)
        assert ["kept file" in warning for warning in images.warnings(image)] == [True]


def test_a_jpeg_frame_without_its_end_or_with_another_behind(read):
    frame = image_files.jpeg(BYTES)
    for broken, error in ((frame[:-2], UnreadableInputError), (frame + frame, UnsupportedInputError)):
        with pytest.raises(error, match="compressed picture"):
            read(odd_dicom.file(BYTES, odd_dicom.JPEG, pixel_data=compressed(broken)))


# ---- compressed pictures inside sequences --------------------------------------------------------------------------


def _with_icon(*icons):
    return odd_dicom.file(syntax=odd_dicom.RLE, extra=b"".join(icons), pixel_data=compressed(odd_dicom.rle(PIXELS)))


def test_a_compressed_icon_comes_back_native(read, opened):
    image = read(_with_icon(icon(ICON)))
    (warning,) = images.warnings(image)
    assert warning.startswith("(0088,0200) Icon Image Sequence: ")
    (native,) = _elements(opened(image, identity=True))[0x00880200]
    assert native[PIXEL_DATA] == ICON.tobytes() + b"\0"
    assert (native[0x00280010], native[0x00280011]) == ICON.shape
    assert 0x00880200 not in _elements(opened(image, identity=False))


def test_an_icon_that_cannot_be_decoded_is_sealed_and_named(read, opened):
    image = read(_with_icon(icon(ICON, frame=b"no RLE at all " * 9)))
    (warning,) = images.warnings(image)
    assert "(0088,0200)" in warning
    assert "sealed under identity" in warning
    whole = opened(image, identity=True)
    assert 0x00880200 not in _elements(whole)
    assert b"no RLE at all" in image.source.identity_record
    assert b"no RLE at all" not in image.source.pixel_record
    assert np.array_equal(read(whole).pixels, PIXELS)


def test_one_item_of_several_that_cannot_be_decoded(read, opened):
    """Deeper inside: the sound item and what stands beside it come back."""
    good, bad = icon(ICON)[12:], icon(ICON, frame=b"bad")[12:]
    inner = element(0x00080016, "UI", b"1.2.3") + element(0x00880200, "SQ", good + bad)
    image = read(_with_icon(element(0x00081140, "SQ", item(inner))))
    assert len(images.warnings(image)) == 2
    (outer,) = _elements(opened(image, identity=True))[0x00081140]
    assert outer[0x00080016] == "1.2.3"
    assert [one[PIXEL_DATA][:99] for one in outer[0x00880200]] == [ICON.tobytes()]


def test_a_compressed_value_that_is_no_pixel_data(read, opened):
    value = element(PRIVATE, "OB", encapsulated(b"secret") + odd_dicom.SEQUENCE_END, length=0xFFFFFFFF)
    image = read(odd_dicom.file(extra=value))
    (warning,) = images.warnings(image)
    assert "(0029,1010)" in warning
    assert b"secret" in image.source.identity_record
    assert np.array_equal(read(opened(image, identity=True)).pixels, PIXELS)


def test_icons_are_decoded_with_bounded_effort(read):
    """Hundreds of icons, or one that claims to be huge: sealed and named, in no time."""
    from medveil.images.dicom import compressed as decoders

    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoders, "_by_pydicom", lambda *_: calls.append(1) or np.zeros((9, 11), np.uint8))
        image = read(odd_dicom.file(syntax=odd_dicom.RLE, extra=element(0x00880200, "SQ", icon(ICON)[12:] * 300)))
    assert len(calls) == 16
    assert any("sealed under identity" in warning for warning in images.warnings(image))
