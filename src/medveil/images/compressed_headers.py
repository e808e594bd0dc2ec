"""What a compressed picture states about itself, read before a decoder may allocate for it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from medveil.errors import UnreadableInputError, UnsupportedInputError
from medveil.images.bounds import DAMAGED

JPEG_START = b"\xff\xd8\xff"
J2K_START = b"\xff\x4f\xff\x51"
_CODING_STYLE, _TILE_PART = 0xFF52, 0xFF90
_END_OF_CODESTREAM = b"\xff\xd9"
_J2K_BOXED = b"\0\0\0\x0cjP  "
_MAX_TILES = 65535
_MAX_PRECINCTS = 1 << 20
_FRAME_HEADERS = frozenset([*range(0xC0, 0xD0), 0xF7]) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset([0x01, *range(0xD0, 0xD9)])
_END, _SCAN = 0xD9, 0xDA
# Behind FF in a scan: 00 (JPEG) and 01-7F (JPEG-LS) belong to the data, D0-D7 restart it, FF fills.
_MARKER_IN_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_MAX_SEGMENTS = 1 << 16
_MAX_TILE_PARTS = 255  # of one tile
_RLE_HEADER_BYTES, _MAX_RLE_SEGMENTS = 64, 15
# Bytes of a run, its first one included, and the bytes that it decodes to, by that one (PS3.5 G.3); 128 does nothing.
_RLE_STEPS = (*range(2, 130), 1, *[2] * 127)
_RLE_DECODED = (*range(1, 129), 0, *range(128, 1, -1))
PADDING = b"\0 "  # what writers make lengths even with


@dataclass(frozen=True)
class Stated:
    """Size, depth and number of components that a compressed picture states."""

    height: int
    width: int
    precision: int
    components: int


def jpeg(frame: bytes) -> Stated:
    """The frame header of JPEG, JPEG lossless or JPEG-LS.

    Raises:
        UnreadableInputError: there is none before the first scan.
    """
    if frame[:2] != b"\xff\xd8":
        raise UnreadableInputError(DAMAGED)
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = MARKER.match(frame, position)
        if found is None:
            break
        marker, position = found[1][0], found.end()
        if marker in _STANDALONE:
            continue
        if marker in (_END, _SCAN):
            break
        if marker in _FRAME_HEADERS and position + 8 <= len(frame):
            precision, height, width, components = struct.unpack_from(">BHHB", frame, position + 2)
            return Stated(height, width, precision, components)
        position += max(int.from_bytes(frame[position : position + 2], "big"), 2)
    raise UnreadableInputError(DAMAGED)


def jpeg_end(frame: bytes) -> int:
    """Where a JPEG or JPEG-LS picture ends: behind its end marker, or -1 where that is missing.

    Decoders fill in for what a truncated picture lacks, so it is looked for: markers of other segments are skipped with
    their content, and in the scans only what is a marker there counts.
    """
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = MARKER.match(frame, position)
        if found is None:
            return -1
        marker, position = found[1][0], found.end()
        if marker == _END:
            return position
        if marker in _STANDALONE:
            continue
        position += max(int.from_bytes(frame[position : position + 2], "big"), 2)
        if marker == _SCAN:
            following = _MARKER_IN_SCAN.search(frame, position)
            if following is None:
                return -1
            position = following.start()
    return -1


def jpeg_2000(frame: bytes) -> tuple[Stated, bytes]:
    """The size of a JPEG 2000 codestream, and the codestream without the file boxes that some writers leave around it,
    and without what stands behind its end.

    Raises:
        UnreadableInputError: no codestream, or one that contradicts itself.
        UnsupportedInputError: more tiles or precincts than an honest encoder makes.
    """
    if frame.startswith(_J2K_BOXED):
        start = frame.find(J2K_START)
        frame = frame[start:] if start >= 0 else b""
    if not frame.startswith(J2K_START) or len(frame) < 45:
        raise UnreadableInputError(DAMAGED)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = struct.unpack_from(
        ">8IH", frame, 8
    )
    precision, across, down = frame[42], frame[43], frame[44]
    if not (left < right and top < bottom and tile_left <= left and tile_top <= top and tile_width and tile_height):
        raise UnreadableInputError(DAMAGED)
    if (across, down) != (1, 1) or components != 1:
        raise UnsupportedInputError("a colour or subsampled JPEG 2000 picture; medveil takes grey images")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    precincts = _precincts_of_a_tile(frame, min(tile_width, right - left), min(tile_height, bottom - top))
    if tiles > _MAX_TILES or tiles * precincts > _MAX_PRECINCTS:
        raise UnsupportedInputError("more tiles or precincts than medveil takes in a JPEG 2000 picture")
    end = _end_of_tile_parts(frame, tiles)
    return Stated(bottom - top, right - left, (precision & 0x7F) + 1, components), frame[:end]


def _end_of_tile_parts(frame: bytes, tiles: int) -> int:
    """Where the codestream ends. Every tile is there, and every tile-part as long as it says: decoders accept pictures
    that lack some.
    """
    seen = set()
    position = frame.find(_TILE_PART.to_bytes(2, "big") + b"\0\x0a")
    for _ in range(_MAX_TILE_PARTS * tiles):
        if frame[position : position + 2] != _TILE_PART.to_bytes(2, "big"):
            break
        seen.add(frame[position + 4 : position + 6])
        length = int.from_bytes(frame[position + 6 : position + 10], "big")
        if length == 0:  # to the end
            position = len(frame.rstrip(PADDING)) - len(_END_OF_CODESTREAM)
            break
        if length < 14 or position + length > len(frame):
            raise UnreadableInputError(DAMAGED)
        position += length
    if len(seen) != tiles or frame[position : position + 2] != _END_OF_CODESTREAM:
        raise UnreadableInputError(DAMAGED)
    return position + 2


def _precincts_of_a_tile(frame: bytes, width: int, height: int) -> int:
    """Upper bound of the precincts of a tile at all its resolutions, from the default coding style."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        if position + 14 > len(frame):
            break
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == _CODING_STYLE:
            if not frame[position + 4] & 1:
                return 1
            levels = frame[position + 9]
            sizes = frame[position + 14 : position + 15 + levels]
            return sum(
                ((width >> levels - level >> (size & 15)) + 2) * ((height >> levels - level >> (size >> 4)) + 2)
                for level, size in enumerate(sizes)
            )
        if marker == _TILE_PART or length < 2:
            break
        position += 2 + length
    return 1


def rle_end(frame: bytes, pixels: int) -> int:
    """Where the last segment of an RLE frame ends, which is of so many pixels; -1 if it is not whole."""
    count = int.from_bytes(frame[:4], "little")
    if not 1 <= count <= _MAX_RLE_SEGMENTS or len(frame) < _RLE_HEADER_BYTES:
        return -1
    position, decoded = int.from_bytes(frame[4 * count : 4 * count + 4], "little"), 0
    for _ in range(2 * pixels):  # runs that do nothing are not without end
        if decoded >= pixels or position >= len(frame):
            break
        run = frame[position]
        position, decoded = position + _RLE_STEPS[run], decoded + _RLE_DECODED[run]
    return position if decoded == pixels and position <= len(frame) else -1
