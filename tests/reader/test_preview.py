"""The second reader opens a preview and the code that refines it."""

from __future__ import annotations

import pytest
from tests.reader import codes, lapped
from tests.reader.lapped_side import composition
from tests.reader.refusal import RefusedError
from tests.reader.test_codes import IMAGES, KEY, VECTORS

from medveil.codecs import entropy
from medveil.codecs.code import Bucket, Profile
from medveil.codecs.lapped.codec import LappedCodec
from medveil.codecs.preview import preview_codec, preview_profile
from medveil.images.image import Image
from medveil.protection import sealing


@pytest.mark.parametrize("name", ["sealed", "encrypted"])
def test_a_golden_preview_and_its_refinement(name: str) -> None:
    """The pixels of medveil, whose digests tests/codecs/test_preview.py holds."""
    codec, bucket, profile = LappedCodec(), Bucket.of(75, 140), Profile("lapped", 4000, deep=1)
    stored = [(VECTORS / f"lapped-preview-{name}{end}.bin").read_bytes() for end in ("", "-refined")]
    (base, code), (own_base, own_code) = map(entropy.unpack, stored), map(codes.unpack, stored)
    assert lapped.decode(own_base, (128, 192))[0] == codec.decode(base, preview_profile(profile), bucket).tolist()
    assert lapped.decode(own_code, (128, 192), own_base)[0] == codec.decode(code, profile, bucket, base).tolist()


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_code_that_refines_a_preview(image: Image, sealed: bool) -> None:
    codec, bucket = LappedCodec(), Bucket.of(*image.pixels.shape)
    profile = Profile("lapped", 4000, deep=int(image.bits_stored > 8))
    coarse = preview_profile(profile)
    written, opened = [], []
    for each, coder in ((coarse, preview_codec()), (profile, codec)):
        shape = codec.composition(each, bucket) if sealed else None
        code = coder.encode(image, each, shape, written[0] if written else None)
        written.append(code)
        if shape is None:
            opened.append(codes.unpack(entropy.pack(code)))
            continue
        data = sealing.seal(code, shape, KEY).to_bytes(shape)
        found = composition(each.quality_centidb, each.deep, bucket.height, bucket.width)
        opened.append(codes.unseal(data, found, KEY))
    sides = (bucket.height, bucket.width)
    assert lapped.decode(opened[0], sides)[0] == codec.decode(written[0], coarse, bucket).tolist()
    assert (
        lapped.decode(opened[1], sides, opened[0])[0] == codec.decode(written[1], profile, bucket, written[0]).tolist()
    )
    for wrong in [(opened[1], sides), (opened[0], sides, opened[0])]:
        with pytest.raises(RefusedError):
            lapped.decode(*wrong)
