"""Targets: files of every kind as an owner gets them, without the wall that turns any error into medveil's own."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tests import image_files as make
from tests.fuzz import cast
from tests.fuzz.target import Bound, Target
from tests.images import odd_dicom

from medveil import images
from medveil.images import compressed_headers, formats
from medveil.images.bounds import MAX_PIXELS
from medveil.images.image import FileKind


def _pngs() -> list[bytes]:
    eight, sixteen = cast.picture(9, 11, 8), cast.picture(9, 11, 16)
    grey = Picture.fromarray(eight)
    profile = {"icc_profile": b"a profile", "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}
    plain = make.png(sixteen)
    end = plain.index(b"IDAT") - 4
    interlaced = struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 1)
    return [
        make.png(eight, texts=[("Patient", "Ada"), ("Comment", "x" * 40)], dpi=(100, 120), **profile),
        plain,
        plain[:end] + _chunk(b"pHYs", struct.pack(">IIB", 0, 5, 1)) + plain[end:],
        plain[:-12] + _chunk(b"tEXt", b"after\0the picture") + plain[-12:],
        make.png_of(interlaced, _deflated(bytes(1 + 1) + bytes(1 + 2) + bytes(1 + 1) + bytes(1 + 3))),
        *(make.png(grey.convert(mode)) for mode in ("RGB", "RGBA", "LA", "P", "1")),
        make.png(grey.convert("RGB"), transparency=(3, 3, 3)),
        make.png(grey.quantize(4), transparency=b"\xff\0"),
        make.png_of(struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0), _deflated((b"\0" + bytes(12)) * 2)),
        make.png_of(struct.pack(">IIBBBBB", 2, 2, 8, 5, 0, 0, 0), _deflated(bytes(6))),
        make.png(grey, transparency=3),
        make.png(grey, save_all=True, append_images=[grey]),
    ]


def _chunk(name: bytes, data: bytes) -> bytes:
    import zlib

    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _deflated(data: bytes) -> bytes:
    import zlib

    return zlib.compress(data)


def _jpegs() -> list[bytes]:
    eight = cast.picture(16, 24, 8)
    grey = Picture.fromarray(eight)
    exif = Picture.Exif()
    exif[274] = 6
    plain = make.jpeg(eight, quality=90, dpi=(72, 72), comment=b"Ada")
    told = make.jpeg(eight, exif=exif, icc_profile=b"a profile", progressive=True, xmp=b"<x/>")
    segments = [
        b"\xff\xff\xed" + struct.pack(">H", 9) + b"adobe!!", b"\xff\xe1" + struct.pack(">H", 6) + b"what",
        b"\xff\xfe" + struct.pack(">H", 4) + b"\xe4!",
    ]  # fmt: skip
    per_cm, no_unit, no_density = (
        plain[:13] + bytes([unit]) + struct.pack(">HH", across, 40) + plain[18:]
        for unit, across in ((2, 40), (0, 1), (1, 0))
    )
    return [
        plain,
        told,
        plain[:2] + b"".join(segments) + plain[2:],
        per_cm,
        no_unit,
        no_density,
        make.jpeg(grey.convert("RGB")),
        b"\xff\xd8\xff\xc0\0\x0b\x0c\0\x08\0\x08\1\0\x11\0",
    ]


def _tiffs() -> list[bytes]:
    eight, sixteen = cast.picture(9, 11, 8), cast.picture(9, 11, 16)
    grey = Picture.fromarray(eight)
    fields = ImageFileDirectory_v2()
    fields[274], fields[282], fields[283], fields[296], fields[65000] = 6, 2.5, 2.5, 3, "secret"
    fields[34665], fields[34853] = {0x9286: b"comment"}, {1: "N"}
    return [
        make.tiff(eight, compression="tiff_deflate", resolution=80.0, description="Ada", resolution_unit=2),
        make.tiff(sixteen, tiffinfo=fields), make.tiff(eight, compression="tiff_lzw"),
        make.tiff(eight, compression="packbits"), make.tiff(sixteen, tiffinfo={339: 2}),
        make.big_endian_tiff(sixteen, "Ada"),
        make.tiff(grey, save_all=True, append_images=[grey]),
        *(make.tiff(grey.convert(mode)) for mode in ("RGB", "RGBA", "LA", "P", "1", "F", "CMYK")),
        *(
            make.channelled_tiff(np.repeat(sixteen[..., None], 3, axis=2), order, compressed=packed, tile=tile)
            for order, packed, tile in (("<", True, None), (">", True, 16), (">", False, None))
        ),
        b"II+\0" + bytes(20), make.tiff(eight, compression="jpeg"), make.tiff(eight, tiffinfo={266: 2}),
        make.tiff(sixteen, tiffinfo={282: 0.0, 283: 0.0, 296: 2}), make.tiff(eight, tiffinfo={322: 60000, 323: 60000}),
    ]  # fmt: skip


def _niftis() -> list[bytes]:
    import nibabel

    eight, sixteen = cast.picture(9, 11, 8), cast.picture(9, 11, 16, signed=True)
    found = []
    for form in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        for pixels in (eight, sixteen, sixteen.astype(np.uint16), (eight >> 1).astype(np.int8)):
            image = form(pixels.T[:, :, None], np.diag([0.5, 0.5, 2, 1]), dtype=pixels.dtype)
            image.header["descrip"] = b"Ada"
            found.append(image.to_bytes())
        scaled = form(sixteen.T, None)
        scaled.header.set_slope_inter(2.0, -1024)
        scaled.header.set_xyzt_units("meter")
        found.append(scaled.to_bytes())
        found.append(form(np.zeros((4, 5, 3), np.int16), None).to_bytes())
        found.append(form(np.zeros((4, 5), np.float32), None).to_bytes())
    swapped = nibabel.Nifti1Image(sixteen.T, None, nibabel.Nifti1Header(endianness=">")).to_bytes()
    return [*found, swapped, *(gzip.compress(each, mtime=0) for each in (found[0], swapped)), gzip.compress(b"text")]


@cache
def _dicoms() -> tuple[bytes, ...]:
    eight, twelve, signed = cast.picture(6, 8, 8), cast.picture(6, 8, 12), cast.picture(6, 8, 12, signed=True)
    coded = (*make.NATIVE, make.RLELossless, make.JPEGLSLossless)
    found = [make.dicom(twelve, syntax, bits_stored=12) for syntax in coded]
    found.append(make.dicom(cast.picture(40, 48, 12), make.JPEG2000Lossless, bits_stored=12))
    found += [make.dicom(eight, syntax) for syntax in (make.JPEGBaseline8Bit, make.RLELossless)]
    found += [*_told(eight), *_odd_sequences(eight), make.dicom(eight, make.JPEGLosslessSV1), _deflated_and_long()]
    found += [
        make.dicom(signed, bits_stored=12, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990),
        make.dicom(twelve | 0x4000, bits_stored=12), make.dicom(signed, bits_stored=12, PixelRepresentation=1),
        make.dicom(twelve, bits_stored=12, HighBit=13), make.dicom(eight, PhotometricInterpretation="RGB"),
        make.dicom(eight, NumberOfFrames="3"),
    ]  # fmt: skip
    found += [
        odd_dicom.everything(),
        *odd_dicom.padded(),
        *(data for data, *_ in (*odd_dicom.ODD.values(), *odd_dicom.REFUSALS.values())),
    ]
    found += [
        make.encapsulated(eight, frame, syntax, bits_stored=8)
        for frame, syntax in (
            (make.jpeg(Picture.new("RGB", (8, 6))), make.JPEGBaseline8Bit),
            (make.jpeg(eight[:4]), make.JPEGBaseline8Bit), (make.jpeg(eight)[:-2], make.JPEGBaseline8Bit),
            (_j2k(8, 6, precision=12), make.JPEG2000Lossless),
            (_j2k(8, 6) + b"more", make.JPEG2000Lossless),
        )
    ]  # fmt: skip
    return (*found, found[0][132:], found[1][132:], found[1][128 + 4 + _meta_length(found[1]) :])


def _told(pixels: NDArray[np.generic]) -> list[bytes]:
    """Files with attributes that travel in a form of their own, as they should be and as they should not."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    def item(**values: Any) -> Dataset:
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    lut = item(LUTDescriptor=[2, 0, 16], LUTData=b"\0\0\1\0", LUTExplanation="for Ada", ModalityLUTType="Ada")
    lut["LUTData"].VR = "OW"
    chest = item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Ada's chest")
    private = item(CodeValue="ADA", CodingSchemeDesignator="99X", CodeMeaning="Ada")
    view = item(CodeValue="399352003", CodingSchemeDesignator="SCT", CodeMeaning="Ada")
    attributes: list[dict[str, Any]] = [
        {"ModalityLUTSequence": Sequence([lut]), "VOILUTSequence": Sequence([lut, lut]), "BurnedInAnnotation": "NO"},
        {"ModalityLUTSequence": Sequence([item(LUTExplanation="Ada")]), "BurnedInAnnotation": "YES"},
        {"AnatomicRegionSequence": Sequence([private, chest]), "ViewCodeSequence": Sequence([view])},
        {"AnatomicRegionSequence": Sequence([private]), "PatientOrientation": ["L", "F"], "BodyPartExamined": "ADA"},
        {"PixelIntensityRelationshipSign": -1, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"SharedFunctionalGroupsSequence": Sequence([item()])}, {"FloatPixelData": b"\0" * 4},
        {"PatientOrientation": "X"}, {"BitsStored": 7}, {"HighBit": 3}, {"Rows": 0}, {"Columns": [8, 8]},
        {"SmallestImagePixelValue": 0, "PixelPaddingValue": 0}, {"PhotometricInterpretation": "MONOCHROME1"},
    ]  # fmt: skip
    return [make.dicom(pixels, **each) for each in attributes]


def _odd_sequences(pixels: NDArray[np.generic]) -> list[bytes]:
    """Data sets whose elements are written by hand, behind the file meta information of an honest file."""
    whole = make.dicom(pixels)
    start = 132 + _meta_length(whole)
    head, rest = whole[:start], whole[start:]

    def long(tag: tuple[int, int], vr: bytes, length: int, content: bytes) -> bytes:
        return struct.pack("<HH2sHI", *tag, vr, 0, length) + content

    def inner(content: bytes, length: int = 0xFFFFFFFF) -> bytes:
        return struct.pack("<HHI", 0xFFFE, 0xE000, length) + content

    none, end = 0xFFFFFFFF, struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    value = struct.pack("<HH2sH", 0x0008, 0x0100, b"SH", 2) + b"A "
    implicit = struct.pack("<HHI", 0x0028, 0x0106, 2) + b"\1\0"
    deep = b"".join(long((0x0009, 0x1001), b"SQ", none, inner(b"")) for _ in range(26)) + end * 26
    at = (0x0009, 0x1001)
    elements = [
        long(at, b"SQ", none, inner(value) + end), long(at, b"UN", none, inner(implicit) + end), deep,
        long(at, b"SQ", none, inner(value + value) + end), long(at, b"SQ", 18, inner(value, 10)),
        long(at, b"SQ", 18, inner(value, 9)), long(at, b"SQ", 17, inner(value, 10)), long(at, b"SQ", none, value),
        long(at, b"OB", none, inner(b"ab", 2) + end[8:]), long(at, b"OB", none, value), end[:8],
        long(at, b"ZZ", 2, b"ab"), long(at, b"UT", 70_000, bytes(70_000)), struct.pack("<HHI", 0, 0, 0) + value,
    ]  # fmt: skip
    found = [head + each + rest for each in elements]
    found += [head + rest + bytes(20), head + rest + b"more", whole[: len(whole) - 10], head + rest + rest[-60:]]
    directory = head.replace(b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.1.3.10\0\0\0\0\0")
    unknown = make.dicom(pixels, make.RLELossless).replace(b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.9")
    high = make.dicom(pixels.astype(np.uint16), make.RLELossless, bits_stored=8)
    high = high.replace(
        struct.pack("<HH2sHH", 0x28, 0x102, b"US", 2, 7), struct.pack("<HH2sHH", 0x28, 0x102, b"US", 2, 9)
    )
    return [*found, directory + rest, unknown, high]


@cache
def _deflated_and_long() -> bytes:
    """A deflated data set whose pixels go beyond the 16 MiB that are inflated before its header is looked at."""
    import zlib

    pixels = cast.picture(6, 8, 8)
    deflated = make.dicom(pixels, make.DeflatedExplicitVRLittleEndian)
    start = 132 + _meta_length(deflated)
    plain = zlib.decompress(deflated[start:], -zlib.MAX_WBITS)
    at = plain.index(struct.pack("<HH", 0x0029, 0x0010))
    size = ((16 << 20) - 44 - plain.index(struct.pack("<HH", 0x7FE0, 0x0010))) // 2 * 2  # its value begins before them
    filled = plain[:at] + struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, size) + bytes(size) + plain[at:]
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflated[:start] + deflater.compress(filled) + deflater.flush()


def _codestream_seeds() -> list[bytes]:
    """A byte that says which reader, and the beginning of a JPEG, JPEG-LS or JPEG 2000 picture."""
    small, tiles = _j2k(8, 6), _j2k(8, 6, tile=(4, 4), parts=((0, 14), (1, 14), (2, 14), (3, 0)))
    boxed = b"\0\0\0\x0cjP  \r\n\x87\n" + small
    found = [
        small,
        tiles,
        boxed,
        b"\0\0\0\x0cjP  ",
        _j2k(8, 6, components=3),
        _j2k(8, 6, step=2),
        _j2k(0, 6),
        small[:40],
    ]
    found += [_j2k(4096, 4096, tile=(8, 8)), _j2k(4096, 4096, sizes=bytes(6)), _j2k(8, 6, sizes=b"\x88" * 6)]
    found += [_j2k(8, 6, parts=((0, 9999),)), _j2k(8, 6, parts=((0, 13),)), small[:-2], small[:51] + b"\xff\x90"]
    coded = [
        make.jpeg(cast.picture(8, 8, 8)),
        b"\xff\xd8\xff\xff\x01\xff\xd0\xff\xd9",
        b"\xff\xd8\xff\xda\0\4xxxx",
        b"\0",
    ]
    runs = [odd_dicom.rle(cast.picture(8, 8, bits)) for bits in (8, 12)]
    runs.append(runs[0][:64] + b"\x80\xc1\7" + bytes([255, 1]))
    return [bytes([1]) + each for each in found] + [b"\0" + each for each in coded] + [b"\2" + each for each in runs]


def _j2k(
    width: int,
    height: int,
    *,
    tile: tuple[int, int] | None = None,
    components: int = 1,
    step: int = 1,
    precision: int = 8,
    sizes: bytes = b"",
    parts: tuple[tuple[int, int], ...] = ((0, 14),),
) -> bytes:
    """The markers of a JPEG 2000 picture: tile-parts are (tile, stated length), and each is 14 bytes long."""
    across, down = tile or (max(width, 1), max(height, 1))
    size = struct.pack(">HHH8IH", 0xFF51, 41, 0, width, height, 0, 0, across, down, 0, 0, components)
    style = struct.pack(">HHBBHBBBBBB", 0xFF52, 12 + len(sizes), bool(sizes), 0, 1, 0, 5, 4, 4, 0, 0) + sizes
    found = b"\xff\x4f" + size + bytes([precision - 1, step, step]) + style
    for number, length in parts:
        found += struct.pack(">HHHIBB", 0xFF90, 10, number, length, 0, 1) + b"\xff\x93"
    return found + b"\xff\xd9"


def _codestream(data: bytes, bound: Bound) -> None:
    if data[:1] == b"\2":
        compressed_headers.rle_end(data[1:], 64)
    elif data[:1] == b"\0":
        compressed_headers.jpeg_end(data[1:])
        compressed_headers.jpeg(data[1:])
    else:
        compressed_headers.jpeg_2000(data[1:])


def _meta_length(data: bytes) -> int:
    """Of the file meta information, whose first element states it."""
    return 12 + int.from_bytes(data[140:144], "little")


def _read(data: bytes, bound: Bound) -> None:
    """Whatever its beginning says that it is; what was read is written again, with and without identity."""
    bound.pixels = MAX_PIXELS  # the file is asked, and these are as many as it may have
    image = formats._read(data)
    _ = images.suffix(image), images.warnings(image), images.colour_profile(image)
    pixel_record, identity_record = images.records(image, cast.key("tags"))
    for identity in (identity_record, b""):
        again = images.restore(image.pixels, image.bits_stored, image.source.kind, pixel_record, identity)
        cast.write_again(again)


def seeds(kind: FileKind) -> list[bytes]:
    """Files of this kind, those that are refused included."""
    made: dict[FileKind, Callable[[], list[bytes]]] = {
        FileKind.PNG: _pngs, FileKind.JPEG: _jpegs, FileKind.TIFF: _tiffs, FileKind.NIFTI: _niftis,
        FileKind.DICOM: lambda: list(_dicoms()),
    }  # fmt: skip
    return made[kind]()


TARGETS = (
    *(
        Target(f"file of {kind.value}", _read, lambda kind=kind: seeds(kind), is_record=False, share=3)
        for kind in FileKind
    ),
    Target("compressed picture", _codestream, _codestream_seeds, is_record=False),
)
