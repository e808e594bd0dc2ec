"""Targets: files of every kind as an owner gets them, without the wall that turns any error into medveil's own."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image as Picture
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tests import image_files as make
from tests.fuzz import cast
from tests.fuzz.target import Bound, Target

from medveil import images
from medveil.images import kinds
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
        *(make.tiff(grey.convert(mode)) for mode in ("RGB", "1", "F")),
        b"II+\0" + bytes(20),
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
    found += [
        make.dicom(signed, bits_stored=12, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990),
        make.dicom(twelve | 0x4000, bits_stored=12), make.dicom(signed, bits_stored=12, PixelRepresentation=1),
        make.dicom(twelve, bits_stored=12, HighBit=13), make.dicom(eight, PhotometricInterpretation="RGB"),
        make.dicom(eight, NumberOfFrames="3"),
    ]  # fmt: skip
    return (*found, found[0][132:], found[1][132:], found[1][128 + 4 + _meta_length(found[1]) :])


def _meta_length(data: bytes) -> int:
    """Of the file meta information, whose first element states it."""
    return 12 + int.from_bytes(data[140:144], "little")


def _read(data: bytes, bound: Bound) -> None:
    """Whatever its beginning says that it is; what was read is written again, with and without identity."""
    bound.pixels = MAX_PIXELS  # the file is asked, and these are as many as it may have
    image = kinds._read(data)
    _ = images.suffix(image), images.warnings(image), images.colour_profile(image)
    pixel_record, identity_record = images.records(image, cast.key("tags"))
    for identity in (identity_record, b""):
        again = images.restore(image.pixels, image.bits_stored, image.source.kind, pixel_record, identity)
        cast.write_again(again)


def _seeds(kind: FileKind) -> list[bytes]:
    made: dict[FileKind, Callable[[], list[bytes]]] = {
        FileKind.PNG: _pngs, FileKind.JPEG: _jpegs, FileKind.TIFF: _tiffs, FileKind.NIFTI: _niftis,
        FileKind.DICOM: lambda: list(_dicoms()),
    }  # fmt: skip
    return made[kind]()


TARGETS = tuple(
    Target(f"file of {kind.value}", _read, lambda kind=kind: _seeds(kind), is_record=False, share=2)
    for kind in FileKind
)
