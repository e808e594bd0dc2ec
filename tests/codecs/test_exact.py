"""The exact section: every pixel comes back, the shorter method is taken, hostile bytes raise IntegrityError only."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs.exact_pictures import DEPTHS, golden_pair, limits_of, pair
from tests.pictures import picture

from medveil.codecs.code import Bucket
from medveil.codecs.lapped.codec import LappedCodec
from medveil.codecs.residual import coder, jpegls, jpegls_process
from medveil.codecs.residual.exact import Method, decode_exact, encode_exact, needs_base
from medveil.errors import IntegrityError, MissingDependencyError
from medveil.images.image import FileKind, Image, Source

VECTORS = Path(__file__).parents[1] / "vectors"


def coded(pixels, bits):
    """The base that `lapped` gives for these pixels at 40 dB."""
    codec = LappedCodec()
    profile = codec.profile(quality_centidb=4000, sparsity=None, deep=int(bits > 8))
    bucket = Bucket.of(*pixels.shape)
    return codec.decode(
        codec.encode(Image.of_pixels(pixels, bits, Source(FileKind.PNG, b"")), profile, None), profile, bucket
    )


@settings(max_examples=40, deadline=None)
@given(
    depth=st.sampled_from(DEPTHS),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    kind=st.sampled_from(["near", "noise", "far", "gaps", "flat"]),
    seed=st.integers(0, 1 << 30),
)
def test_every_pixel_comes_back(depth, height, width, kind, seed):
    dtype, bits = depth
    pixels, base = pair(dtype, bits, (height, width), kind, seed)
    data = encode_exact(pixels, base, bits)
    assert needs_base(data) == (data[0] == Method.RESIDUAL)
    back = decode_exact(data, base, bits, dtype)
    assert back.dtype == dtype
    assert np.array_equal(back, pixels)


@pytest.mark.parametrize(("bits", "shape"), [(8, (150, 130)), (12, (97, 200))])
def test_beside_a_code_the_residual_is_shorter(bits, shape):
    generator = np.random.default_rng(5)
    clean = picture(3, *shape, bits).astype(int)
    pixels = np.clip(clean + generator.normal(0, 2, shape).round(), 0, (1 << bits) - 1)
    pixels = pixels.astype(np.uint8 if bits == 8 else np.uint16)
    base = coded(pixels, bits)
    data = encode_exact(pixels, base, bits)
    assert data[0] == Method.RESIDUAL
    assert len(data) < len(jpegls.encode(pixels.astype(np.uint16), bits))
    assert np.array_equal(decode_exact(data, base, bits, pixels.dtype), pixels)


def test_jpeg_ls_is_taken_where_the_base_says_nothing():
    pixels = np.full((64, 64), -7, np.int16)
    base = np.random.default_rng(1).integers(-2048, 2048, (64, 64)).astype(np.int16)
    data = encode_exact(pixels, base, 12)
    assert data[0] == Method.JPEG_LS
    assert not needs_base(data)
    assert np.array_equal(decode_exact(data, np.zeros_like(base), 12, np.int16), pixels)


@pytest.mark.parametrize("data", [b"", b"\2", b"\xff" * 40])
def test_an_unknown_method_is_refused(data):
    with pytest.raises(IntegrityError):
        needs_base(data)
    with pytest.raises(IntegrityError):
        decode_exact(data, np.zeros((3, 3), np.uint8), 8, np.uint8)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), depth=st.sampled_from(DEPTHS), kind=st.sampled_from(["near", "far", "gaps"]))
def test_changed_residual_bytes_raise_or_are_another_image(data, depth, kind):
    dtype, bits = depth
    pixels, base = pair(dtype, bits, (9, 14), kind, 3)
    low, high = limits_of(dtype, bits)
    sound = bytes([Method.RESIDUAL]) + coder.encode(pixels, base, (low, high))
    how = data.draw(st.sampled_from(["flip", "cut", "more", "random"]))
    if how == "flip":
        at = data.draw(st.integers(1, len(sound) - 1))
        changed = sound[:at] + bytes([sound[at] ^ data.draw(st.integers(1, 255))]) + sound[at + 1 :]
    elif how == "cut":
        changed = sound[: data.draw(st.integers(1, len(sound) - 1))]
    elif how == "more":
        changed = sound + data.draw(st.binary(min_size=1, max_size=9))
    else:
        changed = bytes([Method.RESIDUAL]) + data.draw(st.binary(max_size=200))
    try:
        back = decode_exact(changed, base, bits, dtype)
    except IntegrityError:
        return
    assert changed == bytes([Method.RESIDUAL]) + coder.encode(back, base, (low, high))


@pytest.mark.parametrize("seed", range(12))
def test_changed_jpeg_ls_bytes_raise(seed):
    generator = np.random.default_rng(seed)
    pixels = picture(2, 40, 50)
    sound = bytes([Method.JPEG_LS]) + jpegls.encode(pixels.astype(np.uint16), 8)
    assert np.array_equal(decode_exact(sound, pixels, 8, np.uint8), pixels)
    changed = bytearray(sound)
    if seed < 8:
        changed[generator.integers(1, len(sound) if seed < 4 else 30)] ^= 1 << generator.integers(0, 8)
    elif seed < 10:
        del changed[generator.integers(1, len(sound)) :]
    else:
        changed += generator.bytes(3) if seed == 10 else b"\0"
    try:
        back = decode_exact(bytes(changed), pixels, 8, np.uint8)
    except IntegrityError:
        return
    assert bytes(changed) == bytes([Method.JPEG_LS]) + jpegls.encode(back.astype(np.uint16), 8)


@pytest.mark.parametrize(("shape", "bits"), [((40, 51), 8), ((41, 50), 8), ((40, 50), 9)])
def test_jpeg_ls_of_another_size_or_depth_is_refused(shape, bits):
    sound = bytes([Method.JPEG_LS]) + jpegls.encode(picture(2, 40, 50).astype(np.uint16), 8)
    with pytest.raises(IntegrityError):
        decode_exact(sound, np.zeros(shape, np.uint16), bits, np.uint16)


def test_a_jpeg_ls_decoder_that_dies_raises_integrity_error(monkeypatch, tmp_path):
    script = tmp_path / "dies.py"
    script.write_text("import os\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setattr(jpegls_process, "__file__", str(script))
    sound = bytes([Method.JPEG_LS]) + jpegls.encode(picture(2, 40, 50).astype(np.uint16), 8)
    with pytest.raises(IntegrityError):
        decode_exact(sound, np.zeros((40, 50), np.uint8), 8, np.uint8)


@pytest.mark.parametrize(
    ("name", "bits", "signed", "flat", "digest"),
    [
        ("exact-residual-8.bin", 8, False, False, "f33212bebc138f47044a467158fd1722d095099c26ea01a86847e6c3b56af525"),
        ("exact-residual-16.bin", 16, True, False, "16d0aa94a2c3ebe1a96f07b96f8fedacfcdc56642bde3e462616ea37cc543447"),
        ("exact-jpegls-12.bin", 12, True, True, "b149256a4a1322899ec3f3976ccff5849a837655d130c947bb583dafe02d84ea"),
    ],
)
def test_a_golden_section_decodes_to_the_same_pixels(name, bits, signed, flat, digest):
    pixels, base = golden_pair(bits, signed, flat)
    data = (VECTORS / name).read_bytes()
    back = decode_exact(data, base, bits, pixels.dtype)
    assert np.array_equal(back, pixels)
    assert hashlib.sha256(back.astype("<i4").tobytes()).hexdigest() == digest
    assert encode_exact(pixels, base, bits) == data


def test_sides_that_jpeg_ls_cannot_state_have_no_codestream():
    assert jpegls.encode(np.zeros((1, 65536), np.uint16), 8) is None


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (f"import sys; sys.exit({jpegls_process.MISSING})", MissingDependencyError),
        ("import sys; sys.stdout.buffer.write(b'short')", IntegrityError),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", IntegrityError),
        ("import time; time.sleep(60)", IntegrityError),
    ],
)
def test_whatever_the_decoder_process_does_is_one_error(monkeypatch, tmp_path, script, error):
    data = bytes([Method.JPEG_LS]) + (jpegls.encode(picture(1, 20, 30).astype(np.uint16), 8) or b"")
    (tmp_path / "decoder.py").write_text(script)
    monkeypatch.setattr(jpegls_process, "__file__", str(tmp_path / "decoder.py"))
    monkeypatch.setattr(jpegls, "_PROCESS_SECONDS", 2)
    with pytest.raises(error):
        decode_exact(data, np.zeros((20, 30), np.uint8), 8, np.uint8)
