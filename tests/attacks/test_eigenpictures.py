"""Whitened principal components: what an average of pictures carries of each, by theory and here."""

from __future__ import annotations

import csv
from statistics import NormalDist

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import ndimage

from medveil.anonymizers.anonymizer import Candidate
from medveil.anonymizers.k_same import KSame
from medveil.attacks.reidentification.eigenpictures import (
    EigenpictureGroups,
    Eigenpictures,
    Eigenspace,
    Eigenspaces,
    Whitening,
    found_groups,
    groups_of,
    learned_whitening,
)
from medveil.attacks.reidentification.recognizer import Known, Learned, RecognizerEffort, View
from medveil.errors import InputError
from medveil.images.intensity import grey_image
from medveil.metrics.ranking import auc
from medveil.protection.keystream import Keystream

_EFFORT = RecognizerEffort(side=64, steps=1, batch=2, network="resnet18", key_points=64, pairs=100)
_D, _K, _GROUPS = 40, 8, 25


def chance(separation):
    return NormalDist().cdf(separation)


def same_record(found, members):
    """AUC of a person's own group over the other groups; one row a person, one column a group."""
    right = members[:, None] == np.arange(found.shape[1])[None]
    return auc(found.ravel(), right.ravel())


@pytest.fixture(scope="module")
def released():
    """Likeness of 200 people's pictures, seen as vectors, and what is made of groups of eight of them.

    Vectors of 300 have 40 independent directions of very different spread, which an attacker learns from 600 of her
    own. Returns the group of each person, and a function: the likeness of each to the mean of each group with so much
    noise, as a share of what one picture varies by.
    """
    generator = np.random.default_rng(0)
    ways = np.linalg.qr(generator.normal(size=(300, _D)))[0].T * np.geomspace(1, 30, _D)[:, None]

    def seen(numbers):
        return (5.0 + numbers @ ways + 0.01 * generator.normal(size=(len(numbers), 300))).astype(np.float32)

    def strata(vectors):
        return np.zeros(len(vectors), np.int64)

    own = seen(generator.normal(size=(600, _D)))
    whitening = learned_whitening(own, strata(own), _D)
    people = generator.normal(size=(_K * _GROUPS, _D))
    members = np.arange(len(people)) // _K
    means = np.stack([people[members == group].mean(0) for group in range(_GROUPS)])

    def likeness(noise):
        pictures = seen(means + noise * generator.normal(size=means.shape))
        queries = seen(people)
        return whitening.numbers(queries, strata(queries)) @ whitening.numbers(pictures, strata(pictures)).T

    return members, likeness


def test_an_average_of_k_carries_what_theory_says(released):
    members, likeness = released
    found = same_record(likeness(0.0), members)
    assert found == pytest.approx(chance(np.sqrt(_D / (2 * _K))), abs=0.03)
    assert found > 0.9


def test_noise_as_large_as_a_picture_hides_what_many_pictures_of_the_group_show_again(released):
    members, likeness = released
    draws = [likeness(np.sqrt(1 - 1 / _K)) for _ in range(8)]
    one = same_record(draws[0], members)
    assert one == pytest.approx(chance(np.sqrt(_D) / (_K * np.sqrt(2))), abs=0.04)
    assert same_record(np.mean(draws, 0), members) > one + 0.08


@pytest.fixture(scope="module")
def people():
    """Pictures of 28 people, by number; what makes them differ is smooth."""
    generator = np.random.default_rng(1)
    rows, columns = np.mgrid[:64, :64] / 64
    common = 128 + 60 * np.cos(5 * (columns - 0.5)) * np.sin(4 * rows)
    return [np.asarray(common + 60 * ndimage.gaussian_filter(each, 3), np.float32) for each in
            generator.normal(size=(28, 64, 64)) * 3]  # fmt: skip


@pytest.fixture(scope="module")
def own(people):
    return [Known(number, View(each)) for number, each in enumerate(people[:18])]


def test_a_picture_is_found_in_the_mean_of_two(own, people):
    averages = [View(np.asarray(np.mean(people[first : first + 2], 0))) for first in range(18, 28, 2)]
    found = Eigenpictures().fit(own, Learned.REAL, _EFFORT, 0).scores([View(each) for each in people[18:]], averages)
    assert same_record(found, np.arange(10) // 2) > 0.8  # of twelve numbers 0.96 by theory


def test_a_group_that_is_named_counts_together_without_records_that_are_not_asked_for(own, people):
    queries = [View(each, 0, {"group": float(number // 2)}) for number, each in enumerate(people[18:22])]
    wanted = np.ones((4, 4), bool)
    wanted[0, 0] = False
    each = Eigenpictures().fit(own, Learned.REAL, _EFFORT, 0).scores(queries, queries)
    found = EigenpictureGroups().fit(own, Learned.REAL, _EFFORT, 0).scores(queries, queries, wanted)
    assert np.isnan(found[0, 0])
    assert found[0, 1] == pytest.approx(each[0, 1], abs=1e-6)
    assert found[1, 0] == found[1, 1] == pytest.approx(each[1, :2].mean(), abs=1e-6)


def test_groups_are_found_where_there_are_some_and_only_there():
    generator = np.random.default_rng(2)
    members = np.repeat(np.arange(5), 12)
    near = (generator.normal(size=(5, 30))[members] + 0.7 * generator.normal(size=(60, 30))).astype(np.float32)
    found = found_groups(near, 0)
    assert len(np.unique(found)) == 5
    assert len(set(zip(members.tolist(), found.tolist(), strict=True))) == 5
    assert len(np.unique(found_groups(generator.normal(size=(40, 100)).astype(np.float32), 0))) == 40
    assert found_groups(near[:1], 0).tolist() == [0]


def test_what_a_file_tells_of_its_group_is_taken_within_its_stratum():
    blank = np.zeros((64, 64), np.float32)
    views = [View(blank, stratum, {"group": number}) for stratum, number in ((0, 1.0), (1, 1.0), (0, 1.0))]
    views.append(View(blank, 0))
    nowhere = Eigenspace(blank, Whitening(np.zeros((4096, 2), np.float32), {-1: np.zeros(2)}))
    assert groups_of(views, Eigenspaces({}, nowhere), 0).tolist() == [0, 1, 0, 2]


def test_pictures_are_held_against_each_other_where_that_of_the_gallery_lies():
    generator = np.random.default_rng(3)
    template = np.zeros((64, 64), np.float32)

    def space():
        directions = generator.normal(size=(4096, 5)).astype(np.float32)
        return Eigenspace(template, Whitening(directions, {-1: np.zeros(5)}))

    first, other = space(), space()
    spaces = Eigenspaces({0: first}, other)
    views = [View(np.float32(generator.uniform(0, 255, (64, 64))), stratum) for stratum in (0, 0, 1, 7)]
    found = spaces.scores(views, views, None)
    np.testing.assert_allclose(found[:, :2], first.numbers(views) @ first.numbers(views[:2]).T, atol=1e-6)
    np.testing.assert_allclose(found[:, 2:], other.numbers(views) @ other.numbers(views[2:]).T, atol=1e-6)
    wanted = np.zeros((4, 4), bool)
    wanted[1, 2] = True
    assert np.argwhere(np.isfinite(spaces.scores(views, views, wanted))).tolist() == [[1, 2], [1, 3]]


def test_three_pictures_are_needed(own):
    with pytest.raises(InputError, match="at least 3 pictures, and here are 2"):
        Eigenpictures().fit(own[:2], Learned.REAL, _EFFORT, 0)
    with pytest.raises(InputError, match="and here are 0"):
        EigenpictureGroups().fit(own, Learned.RELEASED, _EFFORT, 0)


@pytest.mark.slow
def test_real_radiographs_are_found_in_what_k_same_makes_of_them(shared):
    """Groups of five children, each released as one picture; the attacker knows other children."""
    manifest = shared / "cxr" / "manifest.csv"
    if not manifest.is_file():
        pytest.skip("needs shared/cxr")
    seen: dict[str, list[View]] = {"train": [], "test": []}
    images = {"train": [], "test": []}
    with manifest.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["source"] == "kermany" and row["study_order"] == "0" and row["fold"] in seen:
                pixels = np.asarray(Picture.open(shared / "cxr" / row["image"]).convert("L"))
                images[row["fold"]].append(grey_image(pixels.astype(np.float32)))
                seen[row["fold"]].append(View(pixels.astype(np.float32)))
    k = 5
    method = KSame(k=k).fit(images["train"][:100])
    people = [Candidate(str(place), (), method.feature(image)) for place, image in enumerate(images["test"])]
    groups = method.groups(people, Keystream(bytes(32), "test"))
    members = np.empty(len(people), int)
    for number, group in enumerate(groups):
        members[list(group)] = number
    released = [method.apply([images["test"][place] for place in group], bytes(32)) for group in groups]
    gallery = [View(image.pixels.astype(np.float32)) for image in released]
    own = [Known(number, view) for number, view in enumerate(seen["train"])]
    found = Eigenpictures().fit(own, Learned.REAL, _EFFORT, 0).scores(seen["test"], gallery)
    assert same_record(found, members) > 0.93
