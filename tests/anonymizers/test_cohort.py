"""cohort: who is grouped, what is drawn, which pictures it is made for, and what attackers can do with it."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter

import numpy as np
import pytest
from tests import image_files
from tests.pictures import picture

from medveil.anonymizers.anonymizer import Candidate
from medveil.anonymizers.cohort import WEIGHTS, Cohort
from medveil.anonymizers.model import AnonymizerModel
from medveil.anonymizers.population import SIDE, learned_population
from medveil.anonymizers.registry import get_anonymizer, model_for
from medveil.audit.targets.anonymized import anonymized_target
from medveil.audit.targets.target import Limits
from medveil.datasets.phantoms import draw_patient
from medveil.errors import RefusedError, UnsupportedInputError, UsageError
from medveil.images.intensity import grey_image
from medveil.keys.identity import Identity
from medveil.mechanisms.anonymized import Anonymized
from medveil.mechanisms.working_pictures import Window
from medveil.protection.keystream import Keystream
from medveil.releases.anonymizing import Row, anonymize

pytest.importorskip("safetensors", reason="models need safetensors")
KEY = bytes(32)


def method(**settings):
    words = {name: str(value) for name, value in settings.items()}
    return get_anonymizer("cohort", words, model_for("cohort", None))


@pytest.fixture(scope="module")
def chests():
    """Pictures of nine invented people."""
    return [grey_image(255 * draw_patient(n, 3, size=(112, 96)).visits[0].brightness) for n in range(9)]


def test_the_shipped_model_is_the_one_of_its_card():
    data = WEIGHTS.read_bytes()
    assert len(data) <= 4 << 20
    digest = hashlib.sha256(data).hexdigest()
    assert f"`{digest}`" in WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")
    assert model_for("cohort", None, bytes.fromhex(digest)).digest.hex() == digest


def test_groups_are_random_of_one_class_and_one_image_a_patient():
    people = [Candidate(str(n % 24), ("ab"[n % 2],), label="xy"[n % 4 // 2]) for n in range(48)]
    for stream in (Keystream(KEY, "a"), Keystream(KEY, "b")):
        groups = Cohort(k=3).groups(people, stream)
        assert sorted(map(len, groups)) == [3] * 8
        assert len({people[number].patient for group in groups for number in group}) == 24
        assert all(len({(people[n].classes, people[n].label) for n in group}) == 1 for group in groups)
    one, other = (
        {frozenset(group) for group in Cohort(k=3).groups(people, Keystream(bytes([n]) * 32, "a"))} for n in (1, 2)
    )
    assert one != other
    assert sorted(len(group) for group in Cohort(k=4).groups(people, Keystream(KEY, "a"))) == [6] * 4
    twice = Counter(Cohort(k=3, pictures=2).groups(people, Keystream(KEY, "a")))
    assert set(twice.values()) == {2}
    with pytest.raises(UsageError, match="has 6 patients, and a group needs 7"):
        Cohort(k=7).groups(people, Keystream(KEY, "a"))


def test_pictures_scatter_around_the_mean_of_their_group_as_people_do():
    """Of a group of two half the covariance is in the mean already."""
    chosen = method(d=3, detail=2, size=96)
    within = chosen.population.within
    features = [np.float32([9, -4, 2, 77]), np.float32([1, 4, 0, 77])]
    pictures = [chosen.merged([], features, bytes([n, m]) * 16).pixels for n in range(20) for m in range(10)]
    numbers = np.stack([chosen.population.numbers(each.astype(np.float32)) for each in pictures])[:, :5]
    spread = np.array([*(np.diag(within)[:3] / 2), *np.diag(within)[3:5]])
    assert np.abs(numbers.mean(0) - [5, 0, 1, 0, 0]) == pytest.approx(0, abs=float(4 * np.sqrt(spread.max() / 200)))
    assert numbers.var(0) / spread == pytest.approx(1, abs=0.4)
    half = np.corrcoef(numbers[:, :3].T)[np.triu_indices(3, 1)]
    scale = np.sqrt(np.diag(within)[:3])
    assert half == pytest.approx((within[:3, :3] / np.outer(scale, scale))[np.triu_indices(3, 1)], abs=0.2)


def test_pictures_of_another_kind_are_refused(chests):
    chosen = method()
    for each in chests[:4]:
        chosen.check(each)
    for seed in range(3):
        with pytest.raises(UnsupportedInputError, match="unlike those that the model was learned from"):
            chosen.check(grey_image(picture(seed).astype(np.float32)))
    with pytest.raises(UnsupportedInputError):
        chosen.check(grey_image(255 - chests[0].pixels.astype(np.float32)))


def test_a_population_is_what_people_have_in_common_within_their_class():
    rng = np.random.default_rng(0)
    down, right = np.meshgrid(*(np.linspace(-1, 1, SIDE),) * 2, indexing="ij")
    middle = 120 + 60 * np.exp(-4 * (down**2 + right**2))
    patterns = np.stack([np.cos(5 * down), np.sin(6 * right), np.cos(4 * down * right)])
    own = rng.normal(size=(36, 3)) * [6, 4, 2]
    own[:18, 0] += 20  # a difference of the classes
    pictures = [(middle + np.tensordot(each, patterns, 1)).astype(np.float32) for each in own]
    patients, classes = [str(n) for n in range(36)], [("ab"[n // 18],) for n in range(36)]
    found = learned_population(pictures, patients, classes, 10)
    assert len(found.components) == 10
    scale = (patterns[0] - patterns[0].mean()).std()
    assert np.sqrt(found.within[0, 0]) == pytest.approx(6 * scale, rel=0.35)
    over = found.laid(pictures[0])
    assert found.explained(over, found.numbers(over)) > 0.95
    assert found.fits(over)
    with pytest.raises(ValueError, match="too few"):
        learned_population(pictures[:5], patients[:5], classes[:5], 10)


def test_a_model_that_does_not_fit_is_told():
    shipped = model_for("cohort", None)
    with pytest.raises(UsageError, match="are 110 together, and the model has 100"):
        method(d=60, detail=50)
    with pytest.raises(UsageError, match="no population"):
        Cohort().with_model(AnonymizerModel("cohort", {}, {**shipped.arrays, "fits": np.zeros(3, np.float32)}))
    with pytest.raises(UsageError, match="needs a model"):
        Cohort().apply([grey_image(np.zeros((64, 64), np.float32))], KEY)


def test_learning_says_what_it_needs(tmp_path):
    from medveil.anonymizers.learning import learn_model

    files = [tmp_path / f"{number}.png" for number in range(2)]
    for number, file in enumerate(files):
        file.write_bytes(image_files.png(picture(number)))
    with pytest.raises(UsageError, match="at least 30 patients, and here are 1"):
        learn_model(Cohort(), files, tmp_path / "model")


def made(folder, tmp_path, name="public", **more):
    owner = more.pop("owner")

    def rows(tasks):  # two people have two images
        names = [task.path.stem for task in tasks]
        return {
            task.number: Row(f"p{int(name) % 7}", ("chest",), ("ill", f"{int(name) % 7}"), "ill")
            for task, name in zip(tasks, names, strict=True)
        }

    chosen = method(k=3, size=64)
    out, link = tmp_path / name, tmp_path / f"{name}.csv"
    return anonymize(
        [folder], out, link, chosen, owner=owner, rows=rows, columns=("finding", "own"), jobs=1, **more
    )  # fmt: skip


def test_a_release_of_groups_is_made_once(chests, tmp_path):
    folder, owner = tmp_path / "in", Identity.fresh()
    folder.mkdir()
    for number, each in enumerate(chests):
        (folder / f"{number}.png").write_bytes(image_files.png(each.pixels))
    (folder / "9.png").write_bytes(image_files.png(picture(0)))
    result = made(folder, tmp_path, owner=owner)
    assert (result.pictures, result.images, result.left_out, len(result.failed)) == (2, 7, 2, 1)
    assert "unlike those" in result.failed[0].message
    with (tmp_path / "public" / "labels.csv").open(newline="") as file:
        assert [(row["finding"], row["own"]) for row in csv.DictReader(file)] == [("ill", "")] * 2
    target = anonymized_target(
        tmp_path / "public", folder, tmp_path / "public.csv", None, limits=Limits(9, 9, recognized=9, known=9),
        working=32, seed=0,
    )  # fmt: skip
    people = target.people
    assert (sorted(len(each.members) for each in people.pictures), people.secret) == ([3, 4], True)
    one, other = (people.publisher(people.reals)(people.reals[0], bytes([n]) * 32).plane for n in (0, 1))
    assert not np.array_equal(one, other)  # she has the model, and keys of her own
    with pytest.raises(RefusedError, match="released before"):
        made(folder, tmp_path, "again", owner=owner)
    for number in range(3):
        (folder / f"{number}.png").write_bytes(image_files.png(picture(number)))
    with pytest.raises(UsageError, match="4 of 10 images are unlike"):
        made(folder, tmp_path, "again", owner=owner, again=True)
    assert not (tmp_path / "again").exists()


def test_an_attacker_draws_partners_at_random_and_registers_them_once(chests, monkeypatch):
    calls = []
    real = Cohort.feature
    monkeypatch.setattr(Cohort, "feature", lambda self, image: calls.append(image) or real(self, image))
    mechanism = Anonymized(method(k=3, size=64), chests, Window(), 32, size=3)
    assert (len(calls), mechanism.varies) == (9, True)
    groups = [mechanism.released(chests[0], bytes([n]) * 32)[1] for n in range(4)]
    assert len(calls) == 13
    assert all(group[0] is chests[0] and len({id(each) for each in group}) == 3 for group in groups)
    assert len({frozenset(map(id, group)) for group in groups}) > 1
    one, again, other = (mechanism.released(chests[0], bytes([n]) * 32)[0].pixels for n in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
