"""Splits by patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medveil.datasets.manifest import Record
from medveil.datasets.splits import dealt_by_patient, held_out, split_files, validation_patients


def records(count: int, images: int) -> list[Record]:
    return [Record(Path(f"/data/{p}-{i}.png"), f"p{p}", "") for p in range(count) for i in range(images)]


def test_no_patient_is_on_both_sides() -> None:
    known = records(60, 3)
    patients = {record.path: record.patient for record in known}
    train, validation = ({patients[path] for path in side} for side in split_files(list(patients), known, seed=1))
    assert not train & validation
    assert train | validation == set(patients.values())
    assert 1 <= len(validation) <= 15


def test_a_new_patient_moves_no_other() -> None:
    fewer, more = records(40, 1), records(41, 1)
    before = split_files([r.path for r in fewer], fewer, seed=7)
    after = split_files([r.path for r in more], more, seed=7)
    assert set(before[0]) <= set(after[0])
    assert set(before[1]) <= set(after[1])


def test_named_folds_are_kept_and_unlisted_images_left_out() -> None:
    known = [Record(Path(f"/d/{fold}.png"), fold, fold) for fold in ("train", "val", "test")]
    found = split_files([*(record.path for record in known), Path("/d/other.png")], [*known, None], seed=0)
    assert found == ((Path("/d/train.png"),), (Path("/d/val.png"),))


def test_without_a_manifest_every_image_is_a_patient() -> None:
    train, validation = split_files([Path(f"/d/{i}.png") for i in range(30)], None, seed=0)
    assert len(train) + len(validation) == 30
    assert split_files([Path("/d/1.png")], None, seed=0) == ((Path("/d/1.png"),), ())
    assert split_files([], None, seed=0) == ((), ())


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(1, 6), st.integers(0, 5))
def test_all_images_of_a_patient_are_dealt_into_one_part(patients: list[int], parts: int, seed: int) -> None:
    found = dealt_by_patient(patients, parts, np.random.default_rng(seed))
    assert sorted(index for part in found for index in part) == list(range(len(patients)))
    whose = [{patients[index] for index in part} for part in found]
    assert sum(map(len, whose)) == len(set(patients))


@given(st.lists(st.integers(0, 12), max_size=60), st.floats(0, 1), st.integers(0, 5))
def test_some_patients_are_kept_to_choose_with_and_some_to_learn_from(
    patients: list[int], share: float, seed: int
) -> None:
    chosen = validation_patients(patients, share, np.random.default_rng(seed))
    assert chosen <= set(patients)
    assert (0 < len(chosen) < len(set(patients))) is (len(set(patients)) > 1)


@given(st.sets(st.text(max_size=5), min_size=2, max_size=30), st.floats(0, 1))
def test_at_least_one_patient_is_held_out_and_never_all(patients: set[str], share: float) -> None:
    held = held_out(sorted(patients), share, 1)
    assert held < patients
    assert held == held_out(sorted(patients, reverse=True) * 2, share, 1)
    assert len(held) == min(max(round(share * len(patients)), 1), len(patients) - 1)
