"""The benchmarks of attacks: hits, the published guess without a key, and how two reports are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import attacking, audits, benchmark, translation_attacks

from medveil.codecs.code import CodeMap
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
