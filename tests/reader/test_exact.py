"""The second reader opens exact sections that medveil made, and refuses what no writer writes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.codecs.exact_pictures import DEPTHS, golden_pair, pair
from tests.reader import exact
from tests.reader.refusal import RefusedError
from tests.vector_releases import VECTORS

from medveil.codecs.residual import coder, jpegls
from medveil.errors import IntegrityError


def _section(depth: int, kind: str, seed: int) -> tuple[bytes, np.ndarray, np.ndarray, int]:
    dtype, bits = DEPTHS[depth]
    pixels, base = pair(dtype, bits, (7, 9), kind, seed)
    low = -(1 << (bits - 1)) if pixels.dtype.kind == "i" else 0
    return b"\0" + coder.encode(pixels, base, (low, low + (1 << bits) - 1)), pixels, base, bits


@pytest.mark.parametrize("depth", range(len(DEPTHS)))
@pytest.mark.parametrize("kind", ["near", "noise", "far", "gaps", "flat"])
def test_every_pixel_comes_back(depth: int, kind: str) -> None:
    section, pixels, base, bits = _section(depth, kind, 7)
    found = exact.decode(section, base.tolist(), bits, signed=pixels.dtype.kind == "i")
    assert found == pixels.tolist()


@pytest.mark.parametrize(
    ("name", "bits", "signed", "flat"),
    [
        ("exact-residual-8", 8, False, False),
        ("exact-residual-16", 16, True, False),
        ("exact-jpegls-12", 12, True, True),
    ],
)
def test_a_golden_section_gives_the_pixels(name: str, bits: int, signed: bool, flat: bool) -> None:
    pixels, base = golden_pair(bits, signed, flat)
    section = (VECTORS / f"{name}.bin").read_bytes()
    assert exact.decode(section, base.tolist(), bits, signed=signed) == pixels.tolist()


@pytest.mark.parametrize("depth", range(len(DEPTHS)))
@pytest.mark.parametrize("kind", ["near", "noise", "far", "gaps", "flat"])
def test_jpeg_ls(depth: int, kind: str) -> None:
    dtype, bits = DEPTHS[depth]
    pixels, base = pair(dtype, bits, (30, 70), kind, 11)
    signed = pixels.dtype.kind == "i"
    samples = (pixels.astype(np.int32) + (1 << (bits - 1)) * signed).astype(np.uint16)
    stream = jpegls.encode(samples, bits)
    assert stream is not None
    assert exact.decode(b"\1" + stream, base.tolist(), bits, signed=signed) == pixels.tolist()
    for wrong in (stream[:-2], stream[:-3], stream + b"\0", stream[:10] + stream[11:]):
        with pytest.raises(RefusedError):
            exact.decode(b"\1" + wrong, base.tolist(), bits, signed=signed)


@pytest.mark.parametrize("kind", ["near", "gaps"])
def test_damage_is_refused_by_both(kind: str) -> None:
    section, _, base, bits = _section(2, kind, 3)
    low, high = 0, (1 << bits) - 1
    for at in range(1, len(section), 1 + len(section) // 12):
        wrong = bytearray(section)
        wrong[at] ^= 1 << at % 8
        with pytest.raises(IntegrityError):
            coder.decode(bytes(wrong[1:]), base, (low, high))
        with pytest.raises(RefusedError):
            exact.decode(bytes(wrong), base.tolist(), bits, signed=False)
    for wrong in (section[:-1], section + b"\0", b"\2" + section[1:], b""):
        with pytest.raises(RefusedError):
            exact.decode(bytes(wrong), base.tolist(), bits, signed=False)
