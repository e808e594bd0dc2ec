"""Codes that were written once decode to the same pixels for ever, on every machine."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from medveil.codecs.code import Bucket, Profile
from medveil.codecs.entropy import unpack
from medveil.codecs.lapped.codec import LappedCodec

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("lapped-sealed.bin", "ef4d0dec2f1e4eeaca164ea0e98774e5a2cfb547e898e996a336ea784068574e"),
        ("lapped-encrypted.bin", "728cb2e2a4e6caf6e72a832b2094db0088237ffe50b1527c7800b2433f8af2ab"),
    ],
)
def test_a_golden_code_decodes_to_the_same_pixels(name: str, digest: str) -> None:
    code = unpack((VECTORS / name).read_bytes())
    pixels = LappedCodec().decode(code, Profile("lapped", 4000, deep=1), Bucket.of(75, 140))
    assert pixels.shape == (75, 140)
    assert pixels.dtype == np.int16
    assert hashlib.sha256(pixels.astype("<i2").tobytes()).hexdigest() == digest
