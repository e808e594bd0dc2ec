"""Mutations: of bytes, and of CBOR records taken apart, with the records and zlib streams that lie inside of them.

A record that is changed as a value and encoded again stays canonical, so that it gets past the first gate; what is
signed or sealed is signed and sealed again by the target.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from typing import Any

import cbor2

from medveil.errors import IntegrityError
from medveil.files import canonical

MutateBytes = Callable[[bytes, int, random.Random], bytes]
_INTEGERS = (0, 1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 255, 256, 4095, 4096, 65535, 65536, (1 << 24) - 1, 1 << 24)
_INTEGERS += ((1 << 26) + 1, 1 << 28, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, (1 << 64) - 1)
_TEXTS = (
    "",
    "exact",
    "diagnostic",
    "preview",
    "code",
    "support",
    "image",
    "identity",
    "png",
    "dicom",
    "../x",
    "2026-01-01",
)
_ODD: tuple[Any, ...] = (None, True, False, 0.5, float("nan"), float("inf"), [], {}, b"", "", [[]], {"a": 1})
_MAX_INFLATED = 1 << 20


def random_bytes(data: bytes, longest: int, draw: random.Random) -> bytes:
    """A few changes of single bytes, runs and numbers."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        at = draw.randrange(len(out) + 1)
        kind = draw.randrange(7)
        if kind == 0:
            out[at:at] = draw.randbytes(draw.choice((1, 1, 2, 4, 16)))
        elif kind == 1:
            del out[at : at + draw.choice((1, 1, 2, 4, 64))]
        elif kind == 2 and at < len(out):
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 3 and at < len(out):
            out[at] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
        elif kind == 4:
            size = draw.choice((2, 4, 8))
            out[at : at + size] = (draw.choice(_INTEGERS) % (1 << 8 * size)).to_bytes(
                size, draw.choice(("big", "little"))
            )
        elif kind == 5:
            other = draw.randrange(len(out) + 1)
            out[at:at] = out[other : other + draw.choice((1, 4, 16, 64))]
        else:
            del out[at:]
            out += draw.randbytes(draw.choice((0, 0, 1, 4, 32)))
    return bytes(out[:longest])


def mutate_record(data: bytes, longest: int, draw: random.Random, change_bytes: MutateBytes) -> bytes:
    """A record with one to four of its values changed; bytes that are none are changed as bytes."""
    if draw.random() < 0.1:
        return change_bytes(data, longest, draw)
    try:
        value = canonical.loads(data, what="input", limit=1 << 26)  # tags would keep cbor2 busy for ever
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            value = _changed(value, draw, change_bytes)
        out = cbor2.dumps(value, canonical=True)
    except Exception:  # noqa: BLE001 - what cannot be taken apart or put together again is changed as bytes
        return change_bytes(data, longest, draw)
    return out if len(out) <= longest else change_bytes(data, longest, draw)


def _changed(value: Any, draw: random.Random, change_bytes: MutateBytes) -> Any:
    """The value with one change somewhere in it."""
    if isinstance(value, list) and value and draw.random() < 0.85:
        at = draw.randrange(len(value))
        return [*value[:at], _changed(value[at], draw, change_bytes), *value[at + 1 :]]
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        return value | {key: _changed(value[key], draw, change_bytes)}
    if draw.random() < 0.06:
        return draw.choice(_ODD)
    if isinstance(value, bytes):
        return _changed_bytes(value, draw, change_bytes)
    if isinstance(value, bool) or value is None:
        return draw.choice((True, False, None, 0, 1))
    if isinstance(value, int):
        around = (
            value + 1,
            value - 1,
            value * 2,
            value // 2,
            value ^ 1 << draw.randrange(32),
            -value,
            draw.choice(_INTEGERS),
        )
        return max(-(1 << 63), min(draw.choice(around), (1 << 64) - 1))
    if isinstance(value, float):
        return draw.choice((0.0, -0.0, 1e300, float("nan"), float("inf"), value * 2, value + 1))
    if isinstance(value, str):
        return _changed_text(value, draw)
    if isinstance(value, list):
        return _changed_list(value, draw)
    return _changed_map(value, draw) if isinstance(value, dict) else value


def _changed_bytes(value: bytes, draw: random.Random, change_bytes: MutateBytes) -> bytes:
    if draw.random() < 0.7:
        inner = _inside(value)
        if inner is not None:
            return cbor2.dumps(_changed(inner, draw, change_bytes), canonical=True)
        inflated = _inflated(value)
        if inflated is not None:
            return zlib.compress(_changed_bytes(inflated, draw, change_bytes), 1)
    kind = draw.randrange(8)
    if kind == 0:
        return draw.choice((b"", bytes(len(value)), value + b"\0", value[:-1], value * 2, draw.randbytes(len(value))))
    if kind == 1:
        return random_bytes(value, len(value) + 64, draw)
    return change_bytes(value, len(value) + 64, draw)


def _inside(value: bytes) -> Any:
    """The list or map that bytes hold, or None."""
    if not value or value[0] >> 5 not in (4, 5):
        return None
    try:
        return canonical.loads(value, what="input", limit=1 << 26)
    except IntegrityError:
        return None


def _inflated(value: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(value, _MAX_INFLATED) if value[:1] == b"x" else None
    except zlib.error:
        return None


def _changed_text(value: str, draw: random.Random) -> str | bytes:
    at = draw.randrange(len(value) + 1)
    options = (
        value[:at] + draw.choice("az09./\\\0é\u202e-_ ") + value[at:],
        value[:at],
        value[at:],
        value * 2,
        value.upper(),
    )
    return draw.choice((*options, *options, draw.choice(_TEXTS), value.encode()))


def _changed_list(value: list[Any], draw: random.Random) -> list[Any]:
    at = draw.randrange(len(value) + 1)
    kind = draw.randrange(6)
    if kind == 0:
        return value[:at] + value[at + 1 :]
    if kind == 1:
        return value[:at] + value[at : at + 1] * 2 + value[at + 1 :]
    if kind == 2:
        return [*value[:at], draw.choice((*_ODD, draw.choice(_INTEGERS), b"0" * 16, b"0" * 32)), *value[at:]]
    if kind == 3:
        return value[at:] + value[:at]
    if kind == 4:
        return value[:at]
    return value * draw.choice((2, 3, 64)) if len(value) < 64 else value[:at]


def _changed_map(value: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    keys = list(value)
    if not keys or draw.random() < 0.3:
        return value | {
            draw.choice((*_TEXTS, "format", "kind", "elements", "uids", "chunks", "fields")): draw.choice(_ODD)
        }
    key, other = draw.choice(keys), draw.choice(keys)
    if draw.random() < 0.5:
        return {name: entry for name, entry in value.items() if name != key}
    return value | {key: value[other]}
