"""Records come back only if medveil wrote them."""

import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import image_files

from medveil import images
from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.images import FileKind, record
from medveil.images.dicom.pixels import Layout, Unused, to_cells

PIXELS = (np.indices((12, 9)).sum(axis=0)).astype(np.uint8)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Pixels, depth and both records of one image of each kind."""
    place = tmp_path_factory.mktemp("records") / "image"
    result = {}
    for kind, data in {
        FileKind.PNG: image_files.png(PIXELS, texts=[("a", "b")]),
        FileKind.JPEG: image_files.jpeg(PIXELS, comment="c"),
        FileKind.TIFF: image_files.tiff(PIXELS, description="d"),
        FileKind.DICOM: image_files.dicom(PIXELS),
    }.items():
        place.write_bytes(data)
        image = images.read(place)
        result[kind] = (image.pixels, image.bits_stored, *images.records(image, b"k" * 32))
    return result


KINDS = [FileKind.PNG, FileKind.JPEG, FileKind.TIFF, FileKind.DICOM]


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_stable(sealed, kind):
    pixels, bits, pixel_record, identity_record = sealed[kind]
    image = images.restore(pixels, bits, kind, pixel_record, identity_record)
    assert images.records(image, b"other key".ljust(32)) == (pixel_record, identity_record)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_must_fit_the_record(sealed, kind):
    pixels, bits, pixel_record, identity_record = sealed[kind]
    wrong_depth = (pixels.astype(np.uint16), 16)
    for other, depth in [wrong_depth, (pixels, 9), *([(pixels[1:], bits)] if kind is FileKind.DICOM else [])]:
        with pytest.raises(IntegrityError):
            images.restore(other, depth, kind, pixel_record, identity_record)


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_another_kind_or_place_are_refused(sealed, kind):
    pixels, bits, pixel_record, identity_record = sealed[kind]
    other = sealed[FileKind.PNG if kind is not FileKind.PNG else FileKind.TIFF]
    for records in ((other[2], identity_record), (pixel_record, other[3]), (identity_record, b""), (b"", b"")):
        with pytest.raises(IntegrityError):
            images.restore(pixels, bits, kind, *records)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_records(sealed, kind, data):
    pixels, bits, *records = sealed[kind]
    which = data.draw(st.integers(0, 1))
    changed = bytearray(records[which])
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    records[which] = bytes(changed)
    try:
        image = images.restore(pixels, bits, kind, *records)
        images.to_file_bytes(image, loss=images.Loss(3, "x"), uid_key=b"u" * 32, tier="preview")
        images.warnings(image)
        images.suffix(image)
    except IntegrityError:
        pass


@given(st.binary(max_size=60))
@settings(max_examples=150)
def test_noise_is_refused(noise):
    for kind in FileKind:
        with pytest.raises(IntegrityError):
            images.restore(PIXELS, 8, kind, noise, b"")


@pytest.mark.parametrize("extra", [{"more": [[[[[[[[[1]]]]]]]]]}, {"elements": b"\x10\x00\x10\x00PN\x04\x00Jane"}])
def test_a_pixel_record_cannot_smuggle(sealed, extra):
    """Not even the owner's own software can put identity among the attributes that every recipient gets."""
    pixels, bits, pixel_record, _ = sealed[FileKind.DICOM]
    fields = canonical.loads(pixel_record, what="record")
    fields.update({key: fields.get(key, b"") + value if key == "elements" else value for key, value in extra.items()})
    with pytest.raises(IntegrityError):
        images.restore(pixels, bits, FileKind.DICOM, canonical.dumps(fields), b"")


def test_too_long_a_record(sealed):
    with pytest.raises(IntegrityError):
        images.restore(PIXELS, 8, FileKind.PNG, bytes(100 << 20), b"")


def test_unused_bits_are_one_zlib_stream():
    layout = Layout(2, 2, 16, 12, 11, False)
    bits = zlib.compress(np.full(4, 1 << 15, "<u2").tobytes())
    pixels = np.zeros((2, 2), np.uint16)
    assert to_cells(pixels, layout, Unused(2, bits)).tolist() == [[1 << 15] * 2] * 2
    for wrong in (bits + b"x", bits[:-2], b""):
        with pytest.raises(IntegrityError):
            to_cells(pixels, layout, Unused(2, wrong))


def test_a_record_of_many_long_fields_is_written_in_time():
    """Quadratic copying would take minutes."""
    pixels = np.zeros((8, 8), np.uint8)
    known = {"depth": 8, "signed": 0, "photometric": 1, "compression": 1, "orientation": 1}
    rows = [[60000 + number % 4000, 7, bytes(16000)] for number in range(4000)]
    inner = [[34665, 13, [[1 + number, 7, bytes(100)] for number in range(4000)]]]
    started = time.process_time()
    image = images.restore(
        pixels, 8, FileKind.TIFF, record.pack("tiff", known), record.pack("tiff", {"fields": rows[:3999] + inner})
    )
    assert len(images.to_file_bytes(image, loss=None, uid_key=bytes(32), tier="exact")) > 64_000_000
    assert time.process_time() - started < 10


def test_a_record_nested_deeper_than_any_image_has_is_refused():
    deep = []
    for _ in range(9):
        deep = [deep]
    with pytest.raises(IntegrityError):
        record.unpack(record.pack("png", {"depth": deep}), "png")
    for fields in (
        {"chunks": 7},
        {"chunks": [[b"teXt", b""]]},
        {"chunks": [[b"teXt", b"", 1]]},
        {"chunks": [[b"te", b"", True]]},
    ):
        pixels = np.zeros((2, 2), np.uint8)
        with pytest.raises(IntegrityError):
            images.restore(
                pixels, 8, FileKind.PNG, record.pack("png", {"depth": 8, "density": b""}), record.pack("png", fields)
            )
    with pytest.raises(IntegrityError):
        record.Fields({"uids": []}).mapping("uids")


def test_what_a_public_file_tells_beside_its_pixels_is_told_in_words_and_without_identity():
    pixels = np.full((8, 8), 7, np.uint16)
    found = images.read_bytes(
        image_files.dicom(pixels, bits_stored=12, PatientName="Doe", Modality="DX", ViewPosition="PA")
    )
    told = images.public_words(images.public(found))
    assert (told["kind"], told["00080060"], told["00185101"]) == ("dicom", "DX", "PA")
    assert not any("Doe" in value for value in told.values())
    assert "00280010" not in told  # rows: sizes are told as numbers
    png = images.read_bytes(image_files.png(np.zeros((4, 4), np.uint8)))
    assert images.public_words(png) == {"kind": "png"}
