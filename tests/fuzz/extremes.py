"""Inputs made by hand to take as much memory as their reader gives them, at sizes that the fuzzer does not reach."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2
import numpy as np
from tests.fuzz import cast
from tests.fuzz.child import _forget_peak, _peak, _resident
from tests.fuzz.target import MIB, Bound

from medveil import images
from medveil.codecs import entropy
from medveil.codecs.code import Bucket, CodeMap, SparseCode
from medveil.codecs.coding import Coding
from medveil.codecs.padding_mask import find_padding, read_padding, write_padding
from medveil.codecs.residual import coder, exact, jpegls
from medveil.codecs.varints import varint
from medveil.errors import MedveilError
from medveil.files import canonical
from medveil.images import FileKind, record
from medveil.images.dicom.elements import Element, encode
from medveil.protection import ambiguation, sealing
from medveil.releases.packages.origin import unpack_identity
from medveil.releases.packages.unpacking import MAX_FILE, MAX_RECORD

SIDE = 3072
_EXACT_SIDE = 1024


@dataclass(frozen=True)
class Extreme:
    """One input, made in the process that reads it; `pixels` of the image that it states."""

    name: str
    make: Callable[[], Any]
    read: Callable[[Any], Any]
    pixels: int = 0


def measure() -> list[dict[str, Any]]:
    """Peak of resident memory while each is read, each in a process of its own."""
    return [_measured(each) for each in (*_records(), *_codes())]


def _measured(extreme: Extreme) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            json.dump(_in_this_process(extreme), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found: dict[str, Any] = json.load(pipe)
    os.waitpid(child, 0)
    return found


def _in_this_process(extreme: Extreme) -> dict[str, Any]:
    made = extreme.make()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before, start, end = _resident(), time.process_time(), "read"
    _forget_peak()
    try:
        extreme.read(made)
    except MedveilError as error:
        end = type(error).__name__
    allowed = Bound(extreme.pixels).bytes
    return {
        "input": extreme.name,
        "ended": end,
        "cpu_seconds": round(time.process_time() - start, 1),
        "peak_mib": round((_peak() - before) / MIB, 1),
        "allowed_mib": round(allowed / MIB, 1),
    }


def _records() -> list[Extreme]:
    zeros = canonical.dumps
    dicom, png = cast.read_images(FileKind.DICOM)[0], cast.read_images(FileKind.PNG)[0]

    def attributes() -> bytes:
        fields = {
            "elements": encode([Element(0x00091001, "OB", bytes(79 * MIB))]),
            "meta": b"",
            "fill": 0,
            "unused": b"",
        }
        return record.pack("dicom", {**fields, "word": 0, "compressed": 0})

    def restored(image: Any, identity: bytes) -> Any:
        pixel_record = images.records(image, cast.key("tags"))[0]
        return images.restore(image.pixels, image.bits_stored, image.source.kind, pixel_record, identity)

    return [
        Extreme(
            "a record of a million empty maps",
            lambda: b"\x9a\x00\x0f\xff\x00" + b"\xa0" * 0xFFF00,
            lambda data: canonical.loads(data, what="record"),
        ),
        Extreme(
            "an identity section of 80 MiB of zeros",
            lambda: zlib.compress(zeros(["a", bytes(32), bytes(80 * MIB)])),
            lambda data: unpack_identity(data, b"", "section", MAX_RECORD),
        ),
        Extreme(
            "an identity section of a path of 80 MiB",
            lambda: zlib.compress(cbor2.dumps(["a/" * (40 * MIB), bytes(32), b""])),
            lambda data: unpack_identity(data, b"", "section", MAX_RECORD),
        ),
        Extreme(
            "an attachment of 128 MiB of zeros",
            lambda: zlib.compress(zeros(["a", bytes(32), bytes(MAX_FILE)])),
            lambda data: unpack_identity(data, b"", "section", MAX_FILE + (1 << 16)),
        ),
        Extreme("a DICOM attribute of 79 MiB", attributes, lambda data: restored(dicom, data), dicom.pixels.size),
        Extreme(
            "65535 PNG chunks",
            lambda: record.pack("png", {"chunks": [[b"teXt", bytes(1200), False]] * 65535}),
            lambda data: restored(png, data),
            png.pixels.size,
        ),
    ]


def _codes() -> list[Extreme]:
    codec, bucket, area = cast.lapped(), Bucket.of(SIDE, SIDE), SIDE * SIDE
    limit, small = Coding(codec, cast.PROFILE).max_cells(bucket), cast.picture(_EXACT_SIDE, _EXACT_SIDE, 8)
    composition = codec.composition(cast.PROFILE, bucket)

    def honest(shape: Any = None) -> SparseCode:
        return codec.encode(cast.plain_image(SIDE, SIDE, 8), cast.PROFILE, shape)

    def full() -> SparseCode:
        code = honest()
        maps = (CodeMap(each.cells, np.arange(each.cells), np.full(each.cells, 3, np.int32)) for each in code.maps)
        return SparseCode(tuple(maps), code.side)

    def obfuscated() -> tuple[bytes, bytes]:
        maps = full().maps
        secret = b"".join(ambiguation._write_map(each, np.ones(each.cells, bool), 1) for each in maps)
        return entropy.pack(SparseCode(maps, b"")), varint(0) + secret

    def noisy() -> Any:
        return np.clip(small.astype(int) + np.random.default_rng(0).integers(0, 4, small.shape), 0, 255).astype(
            np.uint8
        )

    def padding() -> bytes:
        found = find_padding(np.random.default_rng(0).integers(0, 65535, (SIDE, SIDE)).astype(np.uint16), (0, 65535))
        assert found is not None
        return write_padding(found)

    def decoded(data: bytes) -> Any:
        return exact.decode_exact(data, small, 8, small.dtype)

    return [
        Extreme(
            "a code with every cell in use, unpacked",
            lambda: entropy.pack(full()),
            lambda data: entropy.unpack(data, limit),
            area,
        ),
        Extreme("a code, decoded", honest, lambda code: codec.decode(code, cast.PROFILE, bucket), area),
        Extreme(
            "a code with every cell in use, decoded", full, lambda code: codec.decode(code, cast.PROFILE, bucket), area
        ),
        Extreme(
            "a sealed code",
            lambda: sealing.seal(honest(composition), composition, bytes(32)).to_bytes(composition),
            lambda data: sealing.unseal(sealing.PublicCode.from_bytes(data, composition), composition, bytes(32)),
            area,
        ),
        Extreme(
            "an obfuscated code of vectors of one cell",
            obfuscated,
            lambda data: ambiguation.purify(ambiguation.AmbiguatedCode.from_bytes(data[0], limit), data[1]),
            area,
        ),
        Extreme("a padding record of noise", padding, lambda data: read_padding(data, 0, (SIDE, SIDE)), area),
        Extreme("a residual", lambda: b"\0" + coder.encode(noisy(), small, (0, 255)), decoded, small.size),
        Extreme("JPEG-LS", lambda: b"\1" + (jpegls.encode(noisy().astype(np.uint16), 8) or b""), decoded, small.size),
    ]


if __name__ == "__main__":
    print(json.dumps(measure()))
