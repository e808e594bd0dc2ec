"""Features of pictures and the space in which patients are told apart."""

import csv

import numpy as np
import pytest
from PIL import Image as Picture
from tests.attacks.toy_patients import patient_picture

from medveil.attacks.reidentification.linear_embedding import learn_space, pair_scores, unit
from medveil.attacks.reidentification.picture_features import disturbed, picture_features
from medveil.codecs.code import Bucket
from medveil.mechanisms.working_pictures import Window, working_picture
from medveil.metrics.ranking import auc


def noisy_patients(generator, patients, images=2, width=30, noise=3.0):
    """Own directions of each patient, under noise that is strong in the first half of all directions."""
    identity = generator.normal(size=(patients, width))
    names = np.repeat(np.arange(patients), images)
    spread = np.where(np.arange(width) < width // 2, noise, 0.2)
    return (identity[names] + generator.normal(size=(len(names), width)) * spread).astype(np.float32), names


def _auc(vectors, patients):
    return auc(*pair_scores(unit(vectors), patients, np.zeros_like(patients)))


def test_whitening_finds_the_directions_that_repeat():
    generator = np.random.default_rng(0)
    own, own_names = noisy_patients(generator, 60)
    seen, names = noisy_patients(generator, 40)
    space = learn_space((own,), own_names, np.zeros_like(own_names))
    assert _auc(space.embed((seen,)), names) > _auc(seen, names) + 0.1 > 0.6


def test_what_tells_nothing_stays_at_chance():
    generator = np.random.default_rng(1)
    own, seen = (generator.normal(size=(120, 40)).astype(np.float32) for _ in range(2))
    names = np.repeat(np.arange(60), 2)
    space = learn_space((own,), names, np.zeros_like(names))
    assert abs(_auc(space.embed((seen,)), names) - 0.5) < 0.12


def test_strata_do_not_count_as_patients():
    generator = np.random.default_rng(2)
    names, strata = np.repeat(np.arange(80), 2), np.repeat(np.arange(2), 80)
    features = generator.normal(size=(160, 10)).astype(np.float32)
    features[:, 0] += 50.0 * strata
    features[:, 1] += 2.0 * names % 7
    space = learn_space((features,), names, strata)
    strength = np.abs(space.directions).sum(1) / space.scales[0]
    assert strength[1] > 2 * strength[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_or_constant_images_do_no_harm(count):
    features = np.ones((count, 4), np.float32)
    space = learn_space((features,), np.arange(count), np.zeros(count, np.int64))
    assert np.isfinite(space.embed((features,))).all()


def test_features_know_a_patient_again_and_are_the_same_every_time():
    names = np.repeat(np.arange(12), 2)
    pictures = [patient_picture(patient, visit) for patient in range(12) for visit in range(2)]
    blocks = picture_features(pictures)
    assert [block.shape[1] for block in blocks] == [256, 2048, 512, 640, 1024]
    for block in blocks:
        assert np.isfinite(block).all()
        assert _auc(block - block.mean(0), names) > 0.8
    assert all(np.array_equal(one, two) for one, two in zip(blocks, picture_features(pictures), strict=True))


def test_even_and_broken_pictures_have_finite_features():
    pictures = [np.zeros((40, 40), np.float32), np.full((96, 96), np.nan, np.float32), np.full((8, 8), 1e9, np.float32)]
    assert all(np.isfinite(block).all() for block in picture_features(pictures))


def test_a_disturbed_picture_is_near_its_original():
    generator = np.random.default_rng(4)
    picture = patient_picture(0, 0)
    copy = disturbed(picture, generator)
    assert copy.shape == picture.shape
    assert 0.0 <= copy.min() <= copy.max() <= 255.0
    assert 0 < np.abs(copy - picture).mean() < np.abs(patient_picture(1, 0) - picture).mean()


@pytest.mark.slow
@pytest.mark.parametrize(("source", "bar"), [("nih", 0.85), ("hannover", 0.85)])
def test_patients_of_real_radiographs_are_known_again(shared, source, bar):
    with (shared / "cxr" / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["source"] in (source, "nih", "hannover")]
    pixels = [np.asarray(Picture.open(shared / "cxr" / row["image"])) for row in rows]
    pictures = [working_picture(each, Bucket.of(*each.shape), Window(), 128) for each in pixels]
    patients = np.unique([row["patient_id"] for row in rows], return_inverse=True)[1]
    strata = np.unique([row["source"] + row["view"] for row in rows], return_inverse=True)[1]
    held = np.array([row["fold"] == "test" for row in rows])
    generator = np.random.default_rng(0)
    own = [picture for picture, test in zip(pictures, held, strict=True) if not test]
    copies = [disturbed(picture, generator) for _ in range(2) for picture in own]
    space = learn_space(picture_features(own + copies), np.tile(patients[~held], 3), np.tile(strata[~held], 3))
    wanted = held & np.array([row["source"] == source for row in rows])
    seen = [picture for picture, test in zip(pictures, wanted, strict=True) if test]
    found = auc(*pair_scores(space.embed(picture_features(seen)), patients[wanted], strata[wanted]))
    assert found > bar
