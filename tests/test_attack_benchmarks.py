"""The benchmarks of attacks: hits, the published guess without a key, and how two reports are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from benchmarks import attacking, audits, benchmark, cohort, recognition, translation_attacks

from medveil.anonymizers.population import Population
from medveil.anonymizers.registry import model_for
from medveil.audit.scores.identification import identification
from medveil.codecs.code import CodeMap
from medveil.datasets.manifest import Record
from medveil.images.intensity import grey_image
from medveil.mechanisms.observation import Shown

_LENGTH = 4


def _shown() -> Shown:
    """Two vectors of four cells: three entries in the first, four in the second."""
    return Shown(8, np.array([0, 1, 3, 4, 5, 6, 7]), np.array([5, -9, 2, 1, -1, 8, -3], np.int32))


def test_hits_are_counted_vector_by_vector() -> None:
    true = CodeMap(8, np.array([1, 5, 6]), np.array([-9, -1, 8], np.int32))
    scores = np.array([0.9, 0.1, 9.0, 0.2, 0.1, 0.5, 0.8, 0.6], np.float32)
    found = attacking.hit_rate((scores,), (true,), (_shown(),), _LENGTH)
    # The first vector's best shown cell is 0, which is a decoy; of the second's two best, 6 and 7, one is true.
    assert found["hit_rate"] == 1 / 3
    assert np.isclose(found["hit_rate_by_chance"], (1 / 3 + 4 / 4) / 3)


def test_perfect_scores_hit_everything() -> None:
    true = CodeMap(8, np.array([1, 5, 6]), np.array([-9, -1, 8], np.int32))
    scores = np.zeros(8, np.float32)
    scores[true.positions] = 1
    assert attacking.hit_rate((scores,), (true,), (_shown(),), _LENGTH)["hit_rate"] == 1


def test_noisy_images_keep_the_extremes_and_turn_the_least_round() -> None:
    found = translation_attacks._extremes(_shown(), _LENGTH, 1)
    assert found.positions.tolist() == [0, 1, 6, 7]
    assert found.values.tolist() == [5, 9, 8, 3]


def test_reports_are_compared_but_for_seconds() -> None:
    one = {"seconds": 1.0, "attacks": [{"psnr": 3.0, "seconds": 2.0}]}
    other = {"seconds": 7.0, "attacks": [{"psnr": 3.0, "seconds": 5.0}]}
    assert audits.differences(*map(audits.without_seconds, (one, other))) == []
    other["attacks"] = [{"psnr": 3.1, "seconds": 5.0}]
    assert audits.differences(*map(audits.without_seconds, (one, other))) == ["attacks.0.psnr"]


def test_finished_parts_are_kept_for_the_same_settings_and_commit_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def part(value: int, size: int, commit: str | None) -> Any:
        monkeypatch.setattr(benchmark, "clean_commit", lambda: commit)
        return benchmark.Parts(tmp_path, benchmark="toy", size=size).part("one", lambda: {"value": value})

    assert part(1, 1, "c0ffee") == part(2, 1, "c0ffee") == {"value": 1}
    assert part(2, 2, "c0ffee") == {"value": 2}
    assert part(3, 1, "decade") == {"value": 3}
    assert part(4, 1, None) == {"value": 4}


def _trial() -> recognition.Trial:
    """Three people with two pictures each in one data set, two people with one each in another."""
    view = recognition.View(np.zeros((4, 4), np.float32))
    people = [recognition.Person(place // 2, "a", "a", view) for place in range(6)]
    people += [recognition.Person(10 + place, "b", "b", view) for place in range(2)]
    return recognition.Trial.of("toy", [], people)


def test_pairs_that_are_work_are_looked_at_once_and_within_a_data_set() -> None:
    trial = _trial()
    wanted = trial.wanted(5)
    assert not np.tril(wanted).any()
    assert wanted[[0, 2, 4], [1, 3, 5]].all()
    assert wanted.sum() == 3 + 5
    assert trial.wanted(1000).sum() == 15 + 1
    assert trial.wanted(1000)[6, 7]


def test_fusion_adds_up_attackers_data_set_by_data_set() -> None:
    trial, generator = _trial(), np.random.default_rng(0)
    same = trial.asked.positive
    one, other = (generator.normal(0, 1, same.shape).astype(np.float32) + 2 * same for _ in range(2))
    one[6:], one[:, 6:] = 1e6, 1e6  # likeness has other values in the other data set
    alone, both = (recognition.figures(trial, recognition.fusion(trial, each)) for each in ([one], [one, other]))
    assert list(both) == ["a"]  # nobody has two pictures in the other one
    assert both["a"]["auc"]["mean"] > alone["a"]["auc"]["mean"] > 0.6
    assert (both["a"]["people"], both["a"]["pairs"]) == (3, 6)


def test_a_control_stands_beside_what_luck_reaches() -> None:
    trial = _trial()
    likeness = {"sees": trial.asked.positive.astype(np.float32), "blind": np.zeros((8, 8), np.float32)}

    def found(trial: recognition.Trial, preset: str, name: str) -> tuple[Any, float]:
        return likeness[name], 0.0

    seen = recognition.control(found, trial, "quick", ["sees", "blind"])  # type: ignore[arg-type]
    blind = recognition.control(found, trial, "quick", ["blind"])  # type: ignore[arg-type]
    assert (seen["matched_auc"], seen["top_1"]) == (1.0, 1.0)
    assert (blind["matched_auc"], blind["at_null"]) == (0.5, True)
    assert recognition.control(found, trial, "quick", ["sees"], dealt=1)["matched_auc"] < 1  # type: ignore[arg-type]


def _cohort_people(count: int) -> list[cohort.Prepared]:
    """People of two kinds with drawn numbers, of whom nobody has a picture."""
    within = _population().within
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(len(within)), within, count)
    row = Record(Path("x"), "x", "")
    nobody = grey_image(np.zeros((8, 8), np.float32))
    return [
        cohort.Prepared(cohort.Shown(row, nobody, 0, number), number % 2, one, one.astype(np.float32))
        for number, one in enumerate(drawn)
    ]


def _population() -> Population:
    model = model_for("cohort", None)
    assert model is not None
    return Population.of_arrays(model.arrays)


def test_the_attacker_with_the_model_finds_who_is_one_of_two_and_less_of_eight() -> None:
    people, aucs = _cohort_people(96), []
    for size in (2, 8):
        fold = cohort.Fold(_population(), cohort._method(f"cohort k={size} d=25", _population()), (), (), ())
        with mock.patch.object(cohort.Fold, "means", return_value={0: np.zeros(100), 1: np.zeros(100)}):
            made = fold.released(0, people[:64])
            scores = cohort._WithModel(fold).scores(people, made)
        asked = cohort.asked(people, made, "very image")
        aucs.append(identification([(scores, asked)], 20, np.random.default_rng(0)).auc)
        inside = cohort.membership(scores, people, made)
        if size == 2:
            assert np.median(inside[:64]) > np.median(inside[64:])
        other = cohort.asked(people, made, "another image")
        assert np.array_equal(other.left_out, [[one in group for group in made.groups] for one in people])
        assert not other.positive.any()  # nobody has another image
    assert aucs[0] > 0.85
    assert aucs[1] < aucs[0] - 0.1
