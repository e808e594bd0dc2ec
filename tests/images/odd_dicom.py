"""Invented DICOM files with one oddity each, built from elements so that nothing sets them right."""

from __future__ import annotations

import struct

import numpy as np

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
DEFLATED, GE_BIG_PIXELS = "1.2.840.10008.1.2.1.99", "1.2.840.113619.5.2"
RLE, JPEG = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
PIXEL_DATA = 0x7FE00010
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
PIXELS = (np.indices((20, 24)).sum(axis=0) * 29 % 1500).astype(np.uint16)
BYTES = (PIXELS % 251).astype(np.uint8)
_LONG = {"OB", "OW", "SQ", "UN", "ox", "  "}


def element(tag, vr, value, *, length=None):
    """One element in Explicit VR Little Endian."""
    value += b"\0" * (len(value) % 2)
    stated = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return head + (struct.pack("<HI", 0, stated) if vr in _LONG else struct.pack("<H", stated)) + value


def implicit(tag, value, *, odd=False):
    """One element in Implicit VR Little Endian."""
    value += b"" if odd else b"\0" * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def item(content, *, undefined=False):
    if undefined:
        return b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0\0\0\0\0"
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content


def encapsulated(*frames):
    """The value of compressed pixel data, without the end of its sequence."""
    return item(b"") + b"".join(item(frame + b"\0" * (len(frame) % 2)) for frame in frames)


def rle(pixels):
    """One RLE frame (PS3.5 annex G), all literal runs; words as two segments, the high bytes first."""
    data = np.ascontiguousarray(pixels).tobytes()
    width = pixels.dtype.itemsize
    segments = []
    for plane in range(width - 1, -1, -1):
        raw = data[plane::width]
        runs = (raw[at : at + 128] for at in range(0, len(raw), 128))
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + b"\0" * (len(segment) % 2))
    offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    header = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


def module(pixels, *, stored=None, high=None, signed=0, photometric=b"MONOCHROME2"):
    """The elements of the Image Pixel module, by tag: VR and value."""
    allocated = 8 * pixels.dtype.itemsize
    stored = stored or allocated
    words = {0x00280010: pixels.shape[0], 0x00280011: pixels.shape[1], 0x00280100: allocated, 0x00280101: stored}
    words |= {0x00280102: stored - 1 if high is None else high, 0x00280103: signed, 0x00280002: 1}
    found = {tag: ("US", struct.pack("<H", number)) for tag, number in words.items()}
    return found | {0x00280004: ("CS", photometric)}


def file(
    pixels=PIXELS,
    syntax=EXPLICIT,
    *,
    extra=b"",
    before=b"",
    behind=b"",
    pixel_data=None,
    prefix=bytes(128) + b"DICM",
    changes=(),
    **options,
):
    """A CT image.

    Args:
        extra: encoded elements right before the pixel data.
        before: bytes between the file meta information and the data set.
        behind: bytes behind the pixel data.
        pixel_data: the whole encoded element of the pixel data.
        changes: elements by tag, VR and value, or None to leave one out.
    """
    options.setdefault("stored", 12 if pixels.dtype.itemsize == 2 else 8)
    elements = {
        0x00080008: ("CS", b"ORIGINAL\\PRIMARY\\AXIAL "),
        0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.2"),
        0x00080018: ("UI", b"1.2.3.4.5"),
        0x00100010: ("PN", b"Planted^Name"),
        **module(pixels, **options),
        **dict(changes),
    }
    known = sorted((tag, one) for tag, one in elements.items() if one is not None)
    if syntax in (IMPLICIT, GE_BIG_PIXELS):
        body = b"".join(implicit(tag, value) for tag, (_, value) in known)
    else:
        body = b"".join(element(tag, vr, value) for tag, (vr, value) in known)
    if pixel_data is None:
        raw = np.ascontiguousarray(pixels).tobytes()
        without_vr = syntax in (IMPLICIT, GE_BIG_PIXELS)
        pixel_data = implicit(PIXEL_DATA, raw) if without_vr else element(PIXEL_DATA, "OW", raw)
    meta = element(0x00020010, "UI", syntax.encode()) if syntax else element(0x00020012, "UI", b"1.2.3")
    meta = element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta
    return prefix + meta + before + body + extra + pixel_data + behind


def big_endian(pixels, vr, *, icons=(), syntax="1.2.840.10008.1.2.2"):
    """A CT image in Explicit VR Big Endian; words lie as OW has them, whatever the VR of the pixel data says.

    Args:
        pixels: the pixels.
        vr: of the pixel data.
        icons: pixels and VR of pictures inside an Icon Image Sequence.
        syntax: what the file states.
    """

    def one(tag, kind, value):
        head = struct.pack(">HH", tag >> 16, tag & 0xFFFF) + kind.encode()
        return head + (struct.pack(">HI", 0, len(value)) if kind in long else struct.pack(">H", len(value))) + value

    def picture(cells, kind):
        raw = cells.tobytes() if kind == "OB" and cells.itemsize == 1 else cells.view("<u2").astype(">u2").tobytes()
        words = {tag: (form, value[::-1] if form == "US" else value) for tag, (form, value) in module(cells).items()}
        found = {tag: one(tag, form, value + b" " * (len(value) % 2)) for tag, (form, value) in words.items()}
        return found | {PIXEL_DATA: one(PIXEL_DATA, kind, raw)}

    long = _LONG | {"OD", "OL", "UT"}
    elements = {0x00080016: one(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"), **picture(pixels, vr)}
    inside = [b"".join(found for _, found in sorted(picture(*icon).items())) for icon in icons]
    if icons:
        items = b"".join(struct.pack(">HHI", 0xFFFE, 0xE000, len(part)) + part for part in inside)
        elements[0x00880200] = one(0x00880200, "SQ", items)
    meta = element(0x00020010, "UI", syntax.encode())
    meta = element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta
    return bytes(128) + b"DICM" + meta + b"".join(found for _, found in sorted(elements.items()))


def icon(pixels, frame=None, *, sequence=0x00880200):
    """An Icon Image Sequence with this compressed frame, or these pixels as RLE."""
    parts = sorted(module(pixels).items())
    inside = b"".join(element(tag, vr, value) for tag, (vr, value) in parts)
    inside += compressed(rle(pixels) if frame is None else frame)
    return element(sequence, "SQ", item(inside))


def compressed(frame, *, end=SEQUENCE_END):
    """Pixel data of one compressed frame."""
    return element(PIXEL_DATA, "OB", encapsulated(frame) + end, length=0xFFFFFFFF)


def padded():
    """Compressed frames with something behind them."""
    bare = "1.2.840.10008.1.2.1.98"
    return [
        file(syntax=RLE, pixel_data=compressed(rle(PIXELS) + b" ")),
        file(syntax=RLE, pixel_data=compressed(rle(PIXELS)[:-40] + b" ")),
        file(syntax=bare, pixel_data=compressed(PIXELS.tobytes() + b"more")),
        file(syntax=JPEG, pixel_data=compressed(b"\xff\xd8\xff\xd9\xff\xd8\xff")),
    ]


def everything():
    """A file with all the oddities that leave something in its records: commands, icons, bits and bytes too many."""
    command = element(0x00000100, "US", b"\1\0")
    icons = icon(BYTES) + element(0x00880906, "ox", b"text") + icon(BYTES, b"no RLE", sequence=0x00891010)
    pixels = PIXELS | np.uint16(0x8000)
    data = element(PIXEL_DATA, "OW", pixels.tobytes() + b"more")
    options = {"pixel_data": data, "behind": b"trailer", "photometric": b"monochrome2"}
    return file(pixels, RLE, before=command, extra=icons, **options)


PRIVATE = 0x00291010


ICON = (np.indices((9, 11)).sum(axis=0) * 12).astype(np.uint8)
# what is odd -> (the file, what the warning says, elements that come back with exact and identity)
ODD = {
    "big endian pixels": (file(PIXELS.byteswap(), GE_BIG_PIXELS), "big endian", {}),
    "big endian pixels of an odd length": (
        file(PIXELS, GE_BIG_PIXELS, pixel_data=implicit(PIXEL_DATA, PIXELS.byteswap().tobytes() + b"x", odd=True)),
        "big endian",
        {PIXEL_DATA: PIXELS.tobytes() + b"x\0"},
    ),
    "no end of items": (
        file(syntax=RLE, pixel_data=compressed(rle(PIXELS), end=b"")),
        "end of items",
        {},
    ),
    "half an end of items": (
        file(syntax=RLE, pixel_data=compressed(rle(PIXELS), end=b"\xfe\xff\xdd\xe0\0")),
        "end of items",
        {},
    ),
    "no end of a sequence behind the pixels": (
        file(behind=element(0x7FE11010, "SQ", item(b"", undefined=True), length=0xFFFFFFFF)),
        "end of items",
        {0x7FE11010: [{}]},
    ),
    "command": (
        file(before=element(0x00000002, "UI", b"1.2") + element(0x00000100, "US", b"\1\0")),
        "group 0000",
        {0x00000002: "1.2", 0x00000100: 1},
    ),
    "implicit command": (file(before=implicit(0x00000100, b"\1\0")), "without a VR", {0x00000100: 1}),
    "lower case VR": (file(extra=element(PRIVATE, "ox", b"abcd")), "none of DICOM's", {PRIVATE: b"abcd"}),
    "lower case VR, short": (file(extra=element(PRIVATE, "lo", b"abcd")), "none of", {PRIVATE: b"abcd"}),
    "blank VR": (file(extra=element(PRIVATE, "  ", b"abcd")), "none of DICOM's", {PRIVATE: b"abcd"}),
    "VR of zeros": (file(extra=b"\x29\0\x10\x10\0\0\0\0\4\0\0\0abcd"), "none of", {PRIVATE: b"abcd"}),
    "implicit inside": (file(extra=implicit(0x00204000, b"hello ")), "without a VR", {0x00204000: "hello"}),
    "explicit inside UN": (
        file(
            extra=element(
                0x20019000,
                "UN",
                item(element(0x00080016, "UI", b"1.2.3"), undefined=True) + SEQUENCE_END,
                length=0xFFFFFFFF,
            )
        ),
        "unknown VR",
        {0x20019000: [{0x00080016: "1.2.3"}]},
    ),
    "text behind": (file(behind=b"VENDOR TRAILER v1.0 "), "kept file", {}),
    "garbage behind": (file(behind=b"\r\n"), "kept file", {}),
    "text behind an implicit one": (
        file(syntax=IMPLICIT, behind=b"the end of it"),
        "kept file",
        {},
    ),
    "more pixel data": (
        file(pixel_data=element(PIXEL_DATA, "OW", PIXELS.tobytes() + b"\0\1\2\3")),
        "longer than",
        {PIXEL_DATA: PIXELS.tobytes() + b"\0\1\2\3"},
    ),
    "no transfer syntax": (file(syntax=""), "states no transfer syntax", {}),
    "another transfer syntax": (
        file(pixel_data=element(PIXEL_DATA, "OW", PIXELS.tobytes())).replace(b"2.1\0", b"2.2\0", 1),
        "not encoded as",
        {},
    ),
    "lower case photometric": (
        file(photometric=b"monochrome2"),
        "capital letters",
        {0x00280004: "monochrome2"},
    ),
    "pixel data of unknown VR": (
        file(pixel_data=element(PIXEL_DATA, "UN", PIXELS.tobytes())),
        "unknown VR",
        {PIXEL_DATA: PIXELS.tobytes()},
    ),
    "pixels that are not compressed": (file(syntax=RLE), "not compressed", {}),
    "bits above": (
        file(pixel_data=element(PIXEL_DATA, "OW", (PIXELS | 0x8000).tobytes())),
        "bits of the pixel cells",
        {PIXEL_DATA: (PIXELS | 0x8000).tobytes()},
    ),
}
REFUSALS = {
    "text in a sequence": (file(extra=element(0x00400275, "SQ", b"ABCDEF")), r"not made of items"),
    "an element twice": (file(extra=element(0x00100010, "PN", b"Other^Name")), "twice"),
    "an item outside": (file(extra=item(b"")), "where an element should stand"),
    "beyond the file": (file(extra=element(PRIVATE, "OB", b"abcd", length=9999)), "end of the file"),
    "beyond its item": (
        file(extra=element(0x00400275, "SQ", item(element(PRIVATE, "OB", b"abcd", length=99)))),
        "sequence or item",
    ),
    "no VR and no reading": (file(extra=b"\x29\0\x10\x10\xff\xff\2\0ab"), "no VR"),
    "cut inside the element behind": (file(behind=element(0xFFFCFFFC, "OB", b"ab", length=90)), "end of the"),
}
