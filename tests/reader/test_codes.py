"""The second reader opens the golden vectors, and codes that were protected just now."""

from __future__ import annotations

import ast
import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.reader import codes, keystream, lapped
from tests.reader.ambiguation import purify
from tests.reader.lapped_side import composition
from tests.reader.refusal import RefusedError

from medveil.codecs import entropy
from medveil.codecs.code import Bucket, Profile
from medveil.codecs.code import SparseCode as WrittenCode
from medveil.codecs.lapped.codec import LappedCodec
from medveil.images.image import FileKind, Image, Source
from medveil.protection import ambiguation, encrypting, padding, sealing

VECTORS = Path(__file__).parents[1] / "vectors"
KEY = bytes(range(32))


def _picture(height: int, width: int, dtype: type[np.generic], bits: int) -> np.ndarray:
    """Smooth shapes, an edge and a little noise."""
    rows, columns = np.mgrid[:height, :width]
    shape = 0.5 + 0.3 * np.sin(rows / 9.0) * np.cos(columns / 7.0) + 0.15 * (columns > width // 2)
    noise = np.random.default_rng(5).normal(0, 0.01, (height, width))
    low = -(1 << (bits - 1)) if np.dtype(dtype).kind == "i" else 0
    return (low + np.clip(shape + noise, 0, 1) * ((1 << bits) - 1)).astype(dtype)


def _image(bits: int, *, dtype: type[np.generic], framed: bool) -> Image:
    pixels = _picture(64, 48, dtype, bits)
    limits = None
    if framed:
        pixels[:5] = pixels[:, -3:] = 7
        limits = (3, 9)
    return Image.of_pixels(pixels, bits, Source(FileKind.PNG, b""), padding=limits)


IMAGES = [_image(8, dtype=np.uint8, framed=True), _image(12, dtype=np.int16, framed=False)]


def _same(code: codes.SparseCode, written: WrittenCode) -> bool:
    maps = [(each.cells, each.positions.tolist(), each.levels.tolist()) for each in written.maps]
    return code.side == written.side and maps == [(each.cells, each.positions, each.levels) for each in code.maps]


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("lapped-sealed.bin", "ef4d0dec2f1e4eeaca164ea0e98774e5a2cfb547e898e996a336ea784068574e"),
        ("lapped-encrypted.bin", "728cb2e2a4e6caf6e72a832b2094db0088237ffe50b1527c7800b2433f8af2ab"),
    ],
)
def test_a_golden_code_gives_the_same_pixels(name: str, digest: str) -> None:
    pixels, side = lapped.decode(codes.unpack((VECTORS / name).read_bytes()), (128, 192))
    assert (side.height, side.width, side.signed) == (75, 140, True)
    packed = b"".join(struct.pack(f"<{len(row)}h", *row) for row in pixels)
    assert hashlib.sha256(packed).hexdigest() == digest


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("quality", [3400, 4000])
def test_a_sealed_code(image: Image, quality: int) -> None:
    codec, bucket = LappedCodec(), Bucket.of(*image.pixels.shape)
    profile = Profile("lapped", quality, deep=int(image.bits_stored > 8))
    shape = codec.composition(profile, bucket)
    written = codec.encode(image, profile, shape)
    data = sealing.seal(written, shape, KEY).to_bytes(shape)
    found = composition(quality, profile.deep, bucket.height, bucket.width)
    assert [(each.cells, each.nonzeros) for each in shape.maps] == found.maps
    opened = codes.unseal(data, found, KEY)
    assert _same(opened, written)
    pixels, _ = lapped.decode(opened, (bucket.height, bucket.width))
    assert pixels == codec.decode(written, profile, bucket).tolist()


@pytest.mark.parametrize("image", IMAGES)
def test_an_encrypted_code(image: Image) -> None:
    codec, bucket = LappedCodec(), Bucket.of(*image.pixels.shape)
    profile = Profile("lapped", 4400, deep=int(image.bits_stored > 8))
    written = codec.encode(image, profile, None)
    section = encrypting.encrypt(padding.to_steps(entropy.pack(written)), KEY, b"place")
    opened = codes.unpack(keystream.unpadded(keystream.decrypt(section, KEY, b"place")))
    assert _same(opened, written)
    pixels, _ = lapped.decode(opened, (bucket.height, bucket.width))
    assert pixels == codec.decode(written, profile, bucket).tolist()


@pytest.mark.parametrize("decoys", [0, 9])
def test_an_obfuscated_code(decoys: int) -> None:
    written = LappedCodec().encode(IMAGES[0], Profile("lapped", 4000), None)
    public, secret = ambiguation.ambiguate(written, 0, decoys)
    assert _same(purify(codes.unpack(public.to_bytes()), secret), written)


def test_commitments_agree() -> None:
    assert keystream.commit(KEY) == encrypting.commit(KEY)


def test_damage_is_refused() -> None:
    image = IMAGES[0]
    codec, profile, bucket = LappedCodec(), Profile("lapped", 3400), Bucket.of(*image.pixels.shape)
    shape = codec.composition(profile, bucket)
    data = sealing.seal(codec.encode(image, profile, shape), shape, KEY).to_bytes(shape)
    found = composition(3400, 0, bucket.height, bucket.width)
    for wrong in (data[:-1], data + b"\0", bytes([data[0] ^ 1]) + data[1:]):
        with pytest.raises(RefusedError):
            codes.unseal(wrong, found, KEY)
    with pytest.raises(RefusedError):
        keystream.decrypt(bytes(40), KEY, b"")


def test_the_reader_stands_alone() -> None:
    """Its modules import the standard library, cryptography and each other."""
    allowed = {*sys.stdlib_module_names, "cryptography", "tests"}
    for path in Path(__file__).parent.glob("*.py"):
        if path.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
                assert not name.startswith("tests") or name.startswith("tests.reader"), f"{path.name} imports {name}"
