"""What attacks see of an observation."""

from dataclasses import replace

import numpy as np
import pytest
from tests.attacks import toys
from tests.pictures import picture

from medveil.attacks.reconstruction.image_extent import likely_size, usual_sizes
from medveil.attacks.views import code_features, magnified, published_again, revealed_raised
from medveil.codecs.code import Bucket
from medveil.codecs.primis.codec import PrimisCodec
from medveil.images.image import FileKind, Image, Source
from medveil.mechanisms.observation import Observation, Shown
from medveil.mechanisms.public_codec import PublicCodec
from medveil.protection.ambiguation import ambiguate
from medveil.protection.keystream import Keystream


def test_features_are_of_one_length_and_finite():
    known, _ = toys.knowledge(toys.matched)
    found = [code_features(seen, known.mechanism.space) for seen in known.seen]
    assert len({len(each) for each in found}) == 1
    assert np.isfinite(np.stack(found)).all()
    assert found[0].dtype == np.float32
    assert not np.array_equal(found[0], found[1])


def test_features_see_lengths_stream_signs_and_pixels():
    plain = Observation(Bucket(64, 64), (Shown(64, np.arange(4), np.array([1, 2, 3, 4], np.int32)),), b"abc", (5, 6))
    space = toys.space()
    others = [
        replace(plain, lengths=(5, 7)),
        replace(plain, stream=b"abd"),
        replace(plain, place=0.5),
        replace(plain, maps=(Shown(64, np.arange(4), np.array([1, 2, -3, 4], np.int32)),)),
        replace(plain, maps=(Shown(64, np.arange(1, 5), np.array([1, 2, 3, 4], np.int32)),)),
    ]
    first = code_features(plain, space)
    assert all(not np.array_equal(first, code_features(other, space)) for other in others)
    dark, bright = (Observation(Bucket(64, 64), encoding=np.full((8, 8), value, np.float32)) for value in (1.0, 2.0))
    assert not np.array_equal(code_features(dark, None), code_features(bright, None))


def test_masked_signs_get_magnitudes_from_the_stream():
    shown = Shown(8, np.arange(4), np.array([1, -1, 1, -1], np.int32))
    found = magnified(Observation(Bucket(64, 64), (shown,), bytes([1, 2, 4])))
    assert found[0].values.tolist() == [1, -2, 3, -1]
    told = replace(shown, values=np.array([3, -1, 1, -1], np.int32))
    assert magnified(Observation(Bucket(64, 64), (told,), bytes([1, 2, 4])))[0] is told


def test_cells_that_are_told_come_first():
    seen = Observation(Bucket(64, 64), revealed=(Shown(4, np.array([2]), np.array([5], np.int32)),))
    (found,) = revealed_raised([np.array([3.0, 1.0, 0.0, 2.0], np.float32)], seen)
    assert found.argmax() == 2


def test_publishing_again_is_under_other_keys_but_repeatable():
    known, _ = toys.knowledge(toys.matched)
    first, second = (published_again(known, known.own[:3], "a test") for _ in range(2))
    for before, one, two in zip(known.own, first, second, strict=False):
        assert one.key == two.key != before.key
        assert np.array_equal(one.observation.maps[0].positions, two.observation.maps[0].positions)


def test_one_size_of_all_own_images_of_a_bucket_is_taken_for_usual():
    known, _ = toys.knowledge(toys.matched)
    assert usual_sizes(known.own) == {Bucket(64, 64): (64, 64)}
    assert usual_sizes(known.own[:2]) == {}


@pytest.mark.parametrize("shape", [(80, 96), (96, 112)])
def test_the_size_is_found_among_decoys_that_fill_the_bucket(shape):
    codec = PrimisCodec()
    space = PublicCodec(codec, codec.profile(quality_centidb=4000, sparsity=None, deep=0), fixed=False, working=64)
    code = space.code(Image.of_pixels(picture(3, *shape), 8, Source(FileKind.PNG, b"")))
    public, _ = ambiguate(code, space.vector_length, 16, Keystream(bytes(32), "decoys"))
    maps = [Shown(each.cells, each.positions, each.levels) for each in public.code.maps]
    assert likely_size(space, maps, Bucket.of(*shape)) == shape
