"""Text that stands anywhere in a file but in its pixels is found nowhere in what a recipient without identity gets.

A marker is planted in every range of bytes of every header, in every element, chunk, segment and tag, as ASCII, as
UTF-16, as 16-bit values of either order and as numbers whose bytes are text; where the file can still be read, neither
the pixel record nor the files that are written without identity hold six letters of it.
"""

from __future__ import annotations

import io
import struct
import zlib
from itertools import islice

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests import image_files
from tests.images.conftest import TAG_KEY, UID_KEY

from medveil import images
from medveil.errors import InputError
from medveil.images import png, tiff_directory
from medveil.images.dicom import acquisition, attributes
from medveil.images.dicom.elements import Element, encode
from medveil.images.dicom.parser import parse
from medveil.images.tiff_directory import Entry

nibabel = pytest.importorskip("nibabel", reason="needs nibabel to write NIfTI files")

_NAME = "JOHNDOE7MRN12345"
# As numbers of 4 and 8 bytes, of either order, these are of a size that a spacing or a position can have.
_NUMBERS = ("JOHADOEBMRNA123B", "AJOHBDOEAMRNB123", "JOHNDOE@MRN1234@", "@EJOHNDO@EMRN123")
_WINDOW = 6
_PIXELS = (np.arange(24 * 20).reshape(24, 20) * 9 % 251).astype(np.uint8)
_DEEP = (_PIXELS.astype(np.uint16) * 16) - 5


def _forms(text):
    plain = text.encode()
    swapped = b"".join(plain[at : at + 2][::-1] for at in range(0, len(plain), 2))
    return [plain, swapped, text.encode("utf-16-le"), text.encode("utf-16-be")]


_MARKERS = [form for text in (_NAME, *_NUMBERS) for form in _forms(text)]
_PLAIN = [_NAME.encode(), *(text.encode() for text in _NUMBERS)]
_PIECES = {
    form[at : at + _WINDOW * wide]
    for text in (_NAME, *_NUMBERS)
    for form, wide in zip(_forms(text), (1, 1, 2, 2), strict=True)
    for at in range(0, len(form) - _WINDOW * wide + 1, wide)
}


def _tells(data):
    """Whether six letters of a marker stand in these bytes."""
    return any(piece in data for piece in _PIECES)


def _unpacked(data):
    return zlib.decompress(data, 31) if data[:2] == b"\x1f\x8b" else data


def _bare(image):
    """What a recipient without identity has: the record, and the files of an exact and of a lossy image."""
    pixel_record, identity_record = images.records(image, TAG_KEY, pseudonyms=True)
    found = images.restore(image.pixels, image.bits_stored, image.source.kind, pixel_record, b"")
    lossy = images.Loss(3.0, "MEDVEIL_LAPPED")
    files = [
        images.to_file_bytes(found, loss=loss, uid_key=UID_KEY, tier=tier)
        for loss, tier in ((None, "exact"), (lossy, "diagnostic"))
    ]
    whole = images.restore(image.pixels, image.bits_stored, image.source.kind, pixel_record, identity_record)
    back = images.to_file_bytes(whole, loss=None, uid_key=UID_KEY, tier="exact")
    return [pixel_record, *map(_unpacked, files)], _unpacked(back)


def _check(planted):
    """Every file of (place, bytes) that can be read gives nothing away; at least some are read and planted well."""
    read = kept = 0
    told = []
    for place, data in planted:
        try:
            image = images.read_bytes(data)
        except InputError:
            continue
        read += 1
        bare, back = _bare(image)
        kept += _tells(back)
        told += [place for part in bare if _tells(part)]
    assert told == []
    return read, kept


def _overwritten(data, ranges, markers, step):
    for start, end in ranges:
        for marker in markers:
            for at in range(start, end, step):
                yield (at, marker), (data[:at] + marker[: end - at] + data[at + len(marker[: end - at]) :])


@pytest.mark.parametrize("codes", [0, 1])
@pytest.mark.parametrize(
    ("kind", "order", "length"), [("1", "<", 348), ("1", ">", 348), ("2", "<", 540), ("2", ">", 540)]
)
def test_nifti(kind, order, length, codes):
    made = nibabel.Nifti1Image if kind == "1" else nibabel.Nifti2Image
    header = made.header_class(endianness=order)
    header.set_data_dtype(f"{order}u2")
    image = made(_DEEP[:, :, None], np.diag([0.5, 0.25, 2, 1]), header)
    image.header.set_qform(image.affine, code=codes)
    image.header.set_sform(image.affine, code=codes)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", _NAME.encode()))
    data = image.to_bytes()
    read, kept = _check(_overwritten(data, [(0, length)], _PLAIN + _forms(_NAME)[1:3], 11 if kind == "2" else 5))
    assert read > 60
    assert kept == read  # with identity all of it comes back


def test_nifti_geometry_that_is_in_use_travels():
    affine = np.array([[0, -0.5, 0, 7.3], [0.48828125, 0, 0, -103.7], [0, 0, 2.5, 1.1], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(_DEEP[:, :, None], affine)
    image.header.set_qform(affine, code=2)
    image.header["cal_max"], image.header["cal_min"] = 1200.0, -300.0
    image.header["descrip"] = _NAME.encode()
    data = bytearray(image.to_bytes())
    data[112:120] = struct.pack("<2f", 2.0, -1024.0)
    (_, exact, _), _ = _bare(images.read_bytes(bytes(data)))
    again = nibabel.Nifti1Image.from_bytes(exact).header
    assert np.array_equal(again.get_sform(coded=True)[0], image.header.get_sform())
    assert np.array_equal(again.get_qform(coded=True)[0], image.header.get_qform())
    assert (again["qform_code"], again["sform_code"]) == (2, 2)
    assert struct.unpack("<2f", exact[112:120]) == (2.0, -1024.0)
    assert (again["cal_max"], again["cal_min"]) == (1200.0, -300.0)
    assert again["descrip"] == b""


def test_records_of_earlier_versions_are_read_and_cleaned_when_written():
    """The pixel record of a NIfTI file held its header with text in unused fields; such a release still opens."""
    from medveil.images import nifti, record

    data = bytearray(nibabel.Nifti1Image(_DEEP[:, :, None], None).to_bytes())
    data[48:56], data[124:132] = b"JOHNDOE7", b"MRN12345"
    header = nifti._parsed(bytes(data[:348]))
    old = record.pack("nifti", {"header": nifti._bare(header), "gzip": 0})
    assert _tells(old)
    opened = images.restore(_DEEP.T.copy(), 16, images.FileKind.NIFTI, old)
    assert not _tells(images.to_file_bytes(opened, loss=None, uid_key=UID_KEY, tier="exact"))
    known = record.pack("nifti", {"header": header.raw, "between": bytes(4)})
    whole = images.restore(_DEEP.T.copy(), 16, images.FileKind.NIFTI, old, known)
    assert images.to_file_bytes(whole, loss=None, uid_key=UID_KEY, tier="exact") == bytes(data)


def test_png():
    names = "tEXt zTXt iTXt eXIf iCCP pHYs gAMA cHRM sRGB bKGD hIST tIME sPLT oFFs pCAL sCAL sBIT vpAg prVt IEND IDAT"
    plain = image_files.png(_PIXELS)
    chunks, body = png._split(plain)

    def planted():
        for name in names.encode().split():
            for marker in _MARKERS:
                for size in (len(marker), 9) if name == b"pHYs" or marker in _forms(_NAME) else ():
                    for behind in (False, True):
                        one = [png.Chunk(name, marker[:size])]
                        yield (name, size, behind), png._file([*chunks, *one * (not behind)], body, one * behind)
        for marker in _MARKERS:
            yield "trailer", plain + marker
            yield "behind the pixels", png._file(chunks, body + marker, [])

    read, kept = _check(planted())
    assert read > 300
    assert kept > 200


def test_jpeg():
    plain = image_files.jpeg(_PIXELS, quality=90, dpi=(300, 300))
    scan = plain.index(b"\xff\xda")

    def planted():
        for marker in _MARKERS:
            for segment in (0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE):
                for head in (b"", b"JFIF\0\1\1", b"JFXX\0", b"Exif\0\0", b"ICC_PROFILE\0\1\1", b"Adobe\0"):
                    content = head + marker
                    extra = bytes([0xFF, segment]) + (len(content) + 2).to_bytes(2, "big") + content
                    yield (segment, head), plain[:2] + extra + plain[2:]
            yield "trailer", plain + marker
        yield from _overwritten(plain, [(2, scan)], _PLAIN, 3)

    read, kept = _check(planted())
    assert read > 500
    assert kept > 100  # segments that PNG has no chunk for come back as hexadecimal text


def test_tiff():
    def made(extra, order="<"):
        strip = _PIXELS.tobytes()
        known = {256: 20, 257: 24, 258: 8, 259: 1, 262: 1, 277: 1, 278: 24, 279: len(strip)}
        entries = {tag: Entry(tag, 4, struct.pack("<I", value)) for tag, value in known.items()}
        return tiff_directory.write([*(entries | {one.tag: one for one in extra}).values()], 273, strip)

    def planted():
        for marker in _MARKERS:
            padded = marker + b" " * (-len(marker) % 16)
            for tag in (*range(254, 350), 700, 33432, 34665, 34675, 37724, 42112, 65000):
                if tag not in (256, 257, 258, 259, 262, 273, 277, 278, 279) and marker in _forms(_NAME)[:3]:
                    for kind in (2, 3, 5, 12):
                        yield (tag, kind), made([Entry(tag, kind, padded)])
            for both in (padded[:16], padded[4:8] * 4, padded[:4] + b"\1\0\0\0" + padded[4:8] + b"\1\0\0\0"):
                for unit in (1, 2, int.from_bytes(padded[:2], "little")):
                    rational = [
                        Entry(282, 5, both[:8]),
                        Entry(283, 5, both[8:]),
                        Entry(296, 3, struct.pack("<H", unit)),
                    ]
                    yield ("resolution", unit), made(rational)
            yield "trailer", made([]) + marker
        plain = image_files.tiff(_PIXELS, dpi=(300, 300))
        yield from _overwritten(plain, [(8, plain.index(_PIXELS.tobytes()))], _PLAIN, 2)

    read, kept = _check(planted())
    assert read > 500
    assert kept > 300


def _dicom(elements, *, preamble=bytes(128), behind=b""):
    from medveil.images.dicom.elements import Element as One

    body = encode([One(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")])
    head = encode([One(0x00020000, "UL", struct.pack("<I", len(body)))])
    return preamble + b"DICM" + head + body + encode(elements) + behind


def _base():
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    data = image_files.dataset(_DEEP, bits_stored=12, PixelPaddingValue=0)
    data.add_new(0x00280106, "US", int(_DEEP.min()))
    data.add_new(0x00280107, "US", int(_DEEP.max()))
    for tag in (0x00283000, 0x00283010):
        data.add_new(tag, "SQ", Sequence([_table(range(0, 4096, 64))]))
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data)
    return parse(stream.getvalue())


def _table(entries):
    item = Dataset()
    item.add_new(0x00283002, "US", [len(entries), 0, 12])
    item.add_new(0x00283003, "LO", "explained")
    item.add_new(0x00283004, "LO", "HU")
    item.add_new(0x00283006, "OW", struct.pack(f"<{len(entries)}H", *entries))
    return item


def _replaced(element, marker):
    """The element with the marker for its value, and with each of its inner elements so in turn."""
    padded = marker + b" " * (len(marker) % 2)
    if not element.items:
        yield Element(element.tag, element.vr, padded)
        yield Element(element.tag, element.vr, element.data + padded)
        yield Element(element.tag, element.vr, padded + element.data)
        return
    for number, item in enumerate(element.items):
        for place, inner in enumerate(item):
            for other in _replaced(inner, marker):
                changed = (*item[:place], other, *item[place + 1 :])
                yield Element(element.tag, "SQ", (*element.items[:number], changed, *element.items[number + 1 :]))
        yield Element(element.tag, "SQ", (*element.items, (Element(0x00283003, "LO", padded),)))


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_dicom_elements(step):
    base = _base()
    shape = {attributes.ROWS, attributes.COLUMNS, attributes.BITS_ALLOCATED, attributes.BITS_STORED, 0x7FE00010}

    def planted():
        for marker in _forms(_NAME):
            for tag, element in base.items():
                if tag not in shape:
                    for other in islice(_replaced(element, marker), None if marker == _NAME.encode() else 1):
                        yield hex(tag), _dicom([*(base | {tag: other}).values()])
            for tag, (vrs, _) in attributes._TRAVELLING.items():
                if tag not in shape:
                    for vr in (*vrs.split(), "UN"):
                        yield (hex(tag), vr), _dicom([*(base | {tag: Element(tag, vr, marker)}).values()])
            for tag in (0x60003000, 0x00091001, 0x00280A04, 0x00102000, 0x50003000, 0x00104000, 0x00204000):
                yield hex(tag), _dicom([*(base | {tag: Element(tag, "OB", marker)}).values()])
            yield "preamble", _dicom(base.values(), preamble=(marker * 8)[:128])
            yield "trailer", _dicom(base.values(), behind=marker)
            pixels = Element(0x7FE00010, "OW", base[0x7FE00010].data + marker)
            yield "excess", _dicom([*(base | {0x7FE00010: pixels}).values()])

    read, kept = _check(islice(planted(), 0, None, step))
    assert read > 600 // step
    assert kept > 400 // step


@pytest.mark.parametrize("words", [_NAME.encode(), *_forms(_NAME)[2:]])
def test_dicom_lookup_tables(words):
    """2 kB of text stood behind the entries that the descriptor counts, and travelled; or in place of the entries."""
    text = words * 128
    for tag, count, data in (
        (0x00283000, 64, struct.pack("<64H", *range(0, 4096, 64)) + text),
        (0x00283010, len(text) // 2, text),
        (0x00283010, 0, text + bytes(2 << 16)),
        (0x00283000, len(text) // 2 + 1, text),
    ):
        item = _table(range(64))
        item.add_new(0x00283002, "US", [count, 0, 16])
        item.add_new(0x00283006, "OW", data)
        file = image_files.dicom(_DEEP, bits_stored=12, **{
            "ModalityLUTSequence" if tag == 0x00283000 else "VOILUTSequence": Sequence([item])
        })  # fmt: skip
        assert _check([(tag, file)]) == (1, 1)
    image = images.read_bytes(image_files.dicom(_DEEP, bits_stored=12, VOILUTSequence=Sequence([item])))
    assert any("lookup table" in note for note in images.warnings(image))


def test_dicom_tables_and_values_in_use_travel():
    import pydicom

    values = {"VOILUTSequence": Sequence([_table(range(0, 4096, 16))]), "PixelPaddingValue": int(_DEEP[0, 3])}
    file = image_files.dicom(_DEEP, bits_stored=12, SmallestImagePixelValue=int(_DEEP.min()), **values)
    (_, exact, _), _ = _bare(images.read_bytes(file))
    again = pydicom.dcmread(io.BytesIO(exact))
    assert list(again.VOILUTSequence[0].LUTDescriptor) == [256, 0, 12]
    assert again.PixelPaddingValue == _DEEP[0, 3]
    assert again.SmallestImagePixelValue == _DEEP.min()
    long = image_files.dicom(_DEEP, bits_stored=12)
    long = long.replace(b"DS\x04\x002.5 ", b"DS\x14\x002.500000000000000001")
    (_, exact, _), back = _bare(images.read_bytes(long))
    assert pydicom.dcmread(io.BytesIO(exact)).SliceThickness == 2.5
    assert b"2.500000000000000001" in back
    assert b"2.500000000000000001" not in exact
    assert acquisition.travelling({}) == []
