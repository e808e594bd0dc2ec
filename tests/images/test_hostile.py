"""Broken, foreign and hostile files: one clear error each, without a word from the file, in little memory."""

import gzip
import io
import os
import pickle
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)
from tests import image_files
from tests.images import odd_dicom

from medveil import images
from medveil.errors import InputError, UnreadableInputError, UnsupportedInputError

PLANTED = "MUELLERZOE4711"
PIXELS = (np.indices((40, 36)).sum(axis=0) * 5 % 251).astype(np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257
SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEG2000Lossless,
]


def _nifti(pixels):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 2, *pixels.shape[::-1], 1, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 512, 16)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352)
    header[148 : 148 + len(PLANTED)] = PLANTED.encode()
    header[344:348] = b"n+1\0"
    return bytes(header) + pixels.astype("<u2").tobytes()


def _planted(syntax=None):
    options = {"PatientName": PLANTED, "PatientID": PLANTED, "BodyPartExamined": PLANTED}
    return image_files.dicom(PIXELS, syntax, **options) if syntax else image_files.dicom(PIXELS, **options)


FILES = {
    "png": image_files.png(PIXELS, texts=[("Patient", PLANTED)], dpi=(100, 100)),
    "png16": image_files.png(DEEP),
    "jpeg": image_files.jpeg(PIXELS, comment=PLANTED),
    "tiff": image_files.tiff(DEEP, description=PLANTED),
    "tiff deflate": image_files.tiff(DEEP, compression="tiff_adobe_deflate", description=PLANTED),
    "tiff lzw": image_files.tiff(DEEP, compression="tiff_lzw", description=PLANTED),
    "png colour": image_files.png(Pillow.fromarray(PIXELS).convert("RGB"), texts=[("Patient", PLANTED)]),
    "png palette": image_files.png(Pillow.fromarray(PIXELS).quantize(16)),
    "tiff colour": image_files.tiff(Pillow.fromarray(PIXELS).convert("RGB"), compression="tiff_lzw"),
    "nifti": _nifti(DEEP),
    "nifti gzip": gzip.compress(_nifti(DEEP)),
    "dicom": _planted(),
    "dicom odd": odd_dicom.everything(),
    **{syntax.name: _planted(syntax) for syntax in SYNTAXES},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / f"{PLANTED}.dcm"


def _try(place, data):
    """Read; the image or the error, which must be a good one."""
    place.write_bytes(data)
    error = None
    try:
        return images.read(place)
    except InputError as raised:
        error = raised
    assert PLANTED not in f"{error} {error.hint}"
    assert str(place.parent) not in f"{error} {error.hint}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert type(pickle.loads(pickle.dumps(error))) is type(error)
    return error


def test_all_of_them_are_sound(place):
    for name, data in FILES.items():
        assert not isinstance(_try(place, data), Exception), name


@pytest.mark.parametrize("name", FILES)
def test_truncated_files(place, name, capfd):
    data = FILES[name]
    for length in sorted({*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 8, len(data))}):
        found = _try(place, data[:length])
        if isinstance(found, images.Image):  # an end marker or padding that carries nothing may lack
            assert len(data) - length <= 8
            assert np.array_equal(found.pixels, _try(place, data).pixels)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("name", FILES)
def test_mutated_files(place, name, data):
    """An image or an error of ours; an image is then one that can be written and read again."""
    changed = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.sampled_from([0, 1, 127, 128, 254, 255]))
    found = _try(place, bytes(changed))
    if isinstance(found, images.Image):
        low, high = found.value_range
        assert low <= found.pixels.min() <= found.pixels.max() <= high
        again = _try(place, images.to_file_bytes(found, loss=None, uid_key=b"u" * 32, tier="exact"))
        assert np.array_equal(again.pixels, found.pixels)


@given(st.binary(max_size=300))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize(
    "start", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"\x1f\x8b", bytes(128) + b"DICM"]
)
def test_noise(place, start, rest):
    assert isinstance(_try(place, start + rest), InputError)


def test_mutations_are_silent(place, capfd, caplog, recwarn):
    generator = np.random.default_rng(3)
    for data in FILES.values():
        for _ in range(12):
            changed = bytearray(data)
            for position in generator.integers(len(changed) // 2, len(changed), 6):
                changed[position] ^= 1 << generator.integers(8)
            _try(place, bytes(changed))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not list(recwarn)


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7", b"GIF89a", b"PK\3\4", b"<html>", b"plain words", gzip.compress(b"words", mtime=0)]
)
def test_foreign_files(place, content):
    assert isinstance(_try(place, content * 40), UnsupportedInputError | UnreadableInputError)


def test_empty_missing_and_special_files(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "missing", "pipe", "."):
        with pytest.raises(UnreadableInputError) as caught:
            images.read(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


def _peak(place, data):
    place.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            images.read(place)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _deflated(count):
    """`count` MiB of zeros, deflated."""
    deflater = zlib.compressobj(9)
    return b"".join(deflater.compress(bytes(1 << 20)) for _ in range(count)) + deflater.flush()


def _header(width, height, depth=16):
    return struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)


def test_png_bombs(place):
    small = 8 << 20
    assert _peak(place, image_files.png_of(_header(1_000_000, 1_000_000), zlib.compress(b""))) < small
    assert _peak(place, image_files.png_of(_header(1 << 16, 1 << 12), zlib.compress(b"\0" * 100))) < small
    assert _peak(place, image_files.png_of(_header(8, 8), _deflated(80))) < small


def test_nifti_bombs(place):
    small = 8 << 20
    huge = bytearray(_nifti(DEEP))
    struct.pack_into("<8h", huge, 40, 2, 32767, 32767, 1, 1, 1, 1, 1)
    assert _peak(place, bytes(huge)) < small
    assert _peak(place, gzip.compress(bytes(huge))) < small
    assert _peak(place, gzip.compress(_nifti(DEEP) + bytes(100 << 20))) < small
    far = bytearray(_nifti(DEEP))
    struct.pack_into("<f", far, 108, float("nan"))
    assert _peak(place, bytes(far)) < small


def test_tiff_and_jpeg_bombs(place):
    small = 8 << 20
    tiff = image_files.tiff(DEEP)
    for tag, kind in ((256, 4), (257, 4)):
        place_of = tiff.index(struct.pack("<HHI", tag, kind, 1)) + 8
        tiff = tiff[:place_of] + struct.pack("<I", 1_000_000) + tiff[place_of + 4 :]
    assert _peak(place, tiff) < small
    jpeg = bytearray(image_files.jpeg(PIXELS))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    assert _peak(place, bytes(jpeg)) < small


def _with(syntax=None, **changes):
    data = image_files.dataset(PIXELS)
    raw = pydicom.dcmread(
        io.BytesIO(
            image_files.encoded(data, syntax, PIXELS)
            if syntax
            else image_files.encoded(data, pydicom.uid.ExplicitVRLittleEndian)
        )
    )
    for keyword, value in changes.items():
        setattr(raw, keyword, value)
    buffer = io.BytesIO()
    raw.save_as(buffer)
    return buffer.getvalue()


def test_dicom_headers_that_promise_too_much(place):
    small = 8 << 20
    assert _peak(place, _with(Rows=65535, Columns=65535)) < small
    assert _peak(place, _with(Rows=16000, Columns=16000)) < small
    for syntax in (RLELossless, JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless):
        assert _peak(place, _with(syntax, Rows=16000, Columns=16000)) < (600 << 20 if syntax == RLELossless else small)


def test_a_codestream_larger_than_the_header_says(place):
    for syntax, marker, at in ((JPEG2000Lossless, b"\xff\x4f\xff\x51", 8), (JPEGBaseline8Bit, b"\xff\xc0", 5)):
        data = bytearray(_with(syntax))
        start = data.index(marker) + at
        data[start : start + 4] = b"\x3f\xff\x3f\xff"
        assert _peak(place, bytes(data)) < 8 << 20


def test_tiny_tiles_and_precincts_are_refused(place):
    data = bytearray(_with(JPEG2000Lossless))
    start = data.index(b"\xff\x4f\xff\x51")
    data[start + 24 : start + 32] = struct.pack(">II", 1, 1)
    data[start + 8 : start + 16] = struct.pack(">II", 36, 40)
    assert isinstance(_try(place, bytes(data)), InputError)


def _deflated_dicom(body):
    meta = image_files.dicom(PIXELS, DeflatedExplicitVRLittleEndian)
    end = 132 + 12 + struct.unpack_from("<I", meta, 140)[0]
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return meta[:end] + deflater.compress(body) + deflater.flush()


def test_deflated_dicom_bombs(place):
    zeros = bytes(80 << 20)
    big_element = b"\x09\x00\x10\x10UN\0\0" + struct.pack("<I", len(zeros))
    plain = image_files.dicom(PIXELS)
    head = plain[132 + 12 + struct.unpack_from("<I", plain, 140)[0] : plain.index(b"\xe0\x7f\x10\x00")]
    pixels = head + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", len(zeros))
    for body in (zeros, big_element + zeros, pixels + zeros):
        assert _peak(place, _deflated_dicom(body)) < 64 << 20


def _bare(*parts):
    """A data set without preamble that begins with a well-formed element."""
    return b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + b"".join(parts)


@pytest.mark.parametrize("depth", [30, 1000, 200_000])
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
def test_nested_sequences(place, depth, vr):
    level = b"\x08\x00\x40\x11" + vr + b"\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    found = _try(place, _bare(level * depth))
    assert isinstance(found, UnreadableInputError)


def test_nested_sequences_of_stated_length(place):
    body = b""
    for _ in range(400):
        body = (
            b"\x08\x00\x40\x11SQ\0\0"
            + struct.pack("<I", len(body) + 8)
            + b"\xfe\xff\x00\xe0"
            + struct.pack("<I", len(body))
            + body
        )
    assert isinstance(_try(place, _bare(body)), UnreadableInputError)


def test_more_elements_than_anybody_has(place):
    elements = b"".join(struct.pack("<HH2sH", 9, number, b"LO", 0) for number in range(0x1000, 0xFFFF)) * 4
    assert isinstance(_try(place, _bare(elements)), InputError)
    item = b"\xfe\xff\x00\xe0\0\0\0\0"
    found = _try(place, _bare(b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff", item * 300_000))
    assert isinstance(found, UnsupportedInputError)


@pytest.mark.parametrize(
    "element",
    [
        b"\x09\x00\x10\x10OB\0\0\xfe\xff\xff\xff",
        b"\x09\x00\x10\x10LO\xff\xff",
        b"\x09\x00\x10\x10\xff\xff\x02\x00ab",
        b"\xfe\xff\x00\xe0\0\0\0\0",
        b"\x08\x00\x05\x00CS\x00\x00",
        b"\x00\x00\x00\x00\x00",
        b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\x7f",
    ],
)
def test_malformed_elements(place, element):
    assert isinstance(_try(place, _bare(element, bytes(1), b"x")), InputError)


def test_long_numbers_do_not_take_long(place):
    digits = b"1" * 1_000_000 + b"x"
    slope = b"\x28\x00\x53\x10" + struct.pack("<I", len(digits)) + digits
    data = image_files.dataset(PIXELS)
    del data.RescaleSlope
    raw = image_files.encoded(data, ImplicitVRLittleEndian)
    at = raw.index(b"\xe0\x7f\x10\x00")
    assert images.Image is type(_try(place, raw[:at] + slope + raw[at:]))


def test_too_many_attributes_beside_the_pixels(place):
    raw = image_files.dicom(PIXELS)
    at = raw.index(b"\xe0\x7f\x10\x00")
    bulk = b"\x71\x00\x10\x10OB\0\0" + struct.pack("<I", 70 << 20) + bytes(70 << 20)
    assert isinstance(_try(place, raw[:at] + bulk + raw[at:]), UnsupportedInputError)


# ---- what takes longer than the file is long -----------------------------------------------------------------------


def _zeros_before_something():
    return odd_dicom.file(syntax=odd_dicom.IMPLICIT, before=bytes(400_000))


def _values_without_fragments():
    tags = [group << 16 | number for group in (0x29, 0x2B) for number in range(0x1000, 0x4000)]
    values = (odd_dicom.element(tag, "OB", odd_dicom.SEQUENCE_END, length=0xFFFFFFFF) for tag in tags)
    return odd_dicom.file(extra=b"".join(values))


def _file_meta():
    return bytes(128) + b"DICM" + b"\2\0\0\1LO\0\0" * 4_000_000


def _idle_runs():
    segments = struct.pack("<III", 2, 64, 64) + bytes(52)
    frame = odd_dicom.compressed(segments + b"\x80" * (16 << 20) + b" ")
    return odd_dicom.file(syntax=odd_dicom.RLE, pixel_data=frame)


def _chunks_of_colour():
    data = image_files.png(Pillow.fromarray(PIXELS).convert("RGB"))
    at, chunks = data.index(b"IDAT") - 4, []
    for number in range(20_000):
        content = b"bKGD" + struct.pack(">I", number)
        chunks.append(struct.pack(">I", 4) + content + struct.pack(">I", zlib.crc32(content)))
    return data[:at] + b"".join(chunks) + data[at:]


def _profiles():
    content = b"ICC_PROFILE\0\1\1" + bytes(1500)
    segment = b"\xff\xe2" + struct.pack(">H", 2 + len(content)) + content
    data = image_files.jpeg(PIXELS)
    return data[:2] + segment * 9000 + data[2:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(make, id=make.__name__)
        for make in (
            _zeros_before_something,
            _values_without_fragments,
            _file_meta,
            _idle_runs,
            _chunks_of_colour,
            _profiles,
        )
    ],
)
def test_no_file_takes_more_time_than_its_length_allows(place, data):
    content = data()
    place.write_bytes(content)
    begun = time.process_time()
    _try(place, content)
    assert time.process_time() - begun < 2


def test_zeros_where_elements_should_stand_are_refused(place):
    found = _try(place, _zeros_before_something())
    assert isinstance(found, UnreadableInputError)
    assert "(0000,0000)" in str(found)


def _directory(*entries):
    rows = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + rows + bytes(4)


def _entries_of(tiff):
    start = struct.unpack_from("<I", tiff, 4)[0]
    count = struct.unpack_from("<H", tiff, start)[0]
    return [struct.unpack_from("<HHII", tiff, start + 2 + 12 * number) for number in range(count)]


def test_tiff_directories_and_values_that_are_used_many_times_over(place):
    """Directories of directories, and fields that share one long value."""
    tiff = image_files.tiff(PIXELS) + b"\0"
    tiff += bytes(len(tiff) % 2)
    own, many = _entries_of(tiff), 90
    nested, inner = tiff, _directory(*[(1, 3, 1, 0)] * many)
    for _ in range(2):
        nested, inner = nested + inner, _directory(*[(34665, 4, 1, len(nested))] * many)
    nested, inner = nested + inner, _directory(*own, *[(34665, 4, 1, len(nested))] * many)
    shared, length = tiff + bytes(100_000), 100_000
    fields = _directory(*own, *((50_000 + number, 1, length, len(tiff)) for number in range(1000)))
    for data, directory in ((nested, inner), (shared, fields)):
        assert _peak(place, data[:4] + struct.pack("<I", len(data)) + data[8:] + directory) < 8 << 20


def test_more_png_chunks_or_jpeg_segments_than_anybody_has(place):
    png, jpeg = image_files.png(PIXELS), image_files.jpeg(PIXELS)
    at = png.index(b"IDAT") - 4
    chunks = png[:at] + struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt")) * 70_000 + png[at:]
    scan = jpeg.index(b"\xff\xda")
    for data, reason in ((chunks, "chunks"), (jpeg[:scan] + b"\xff\xfe\0\2" * 70_000 + jpeg[scan:], "segments")):
        found = _try(place, data)
        assert isinstance(found, UnsupportedInputError)
        assert reason in str(found)
