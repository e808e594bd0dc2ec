"""Linkage is judged within one stratum and visible header, and groups are brought to one scale before pooling."""

from __future__ import annotations

import numpy as np
import pytest

from medveil.audit.scores.linkage_pairs import linkage
from medveil.codecs.code import Bucket
from medveil.images.image import FileKind, Image, Source
from medveil.mechanisms.observation import Case, Observation, Subject
from medveil.metrics.ranking import auc


def _case(number: int, patient: int, stratum: int) -> Case:
    image = Image.of_pixels(np.zeros((64, 64), np.uint8), 8, Source(FileKind.PNG, b""))
    subject = Subject(number, patient, stratum, image, np.zeros((8, 8), np.float32))
    return Case(subject, Observation(Bucket(64, 64)))


def _vector(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


@pytest.fixture
def two_groups():
    """Stratum 0: all alike, every patient twice. Stratum 1: all unlike, two patients twice. No patient shows."""
    generator = np.random.default_rng(5)
    cases, embeddings = [], []
    for number in range(40):
        cases.append(_case(number, number // 2, 0))
        embeddings.append(_vector(generator.normal(0, 0.01)))
    for number in range(40, 80):
        cases.append(_case(number, number if number >= 44 else 100 + number // 2, 1))
        embeddings.append(_vector(generator.uniform(0, 2 * np.pi)))
    return cases, embeddings


def test_groups_of_different_likeness_are_no_leak(two_groups):
    cases, embeddings = two_groups
    pairs, _ = linkage(cases, embeddings, np.random.default_rng(0))
    vectors = np.stack(embeddings)
    upper = np.triu_indices(40, 1)
    raw = np.concatenate([(part @ part.T)[upper] for part in (vectors[:40], vectors[40:])])
    assert auc(raw, pairs.same) > 0.65  # what pooling likeness as it is would have called a leak
    assert abs(auc(pairs.score, pairs.same) - 0.5) < 0.1


def test_a_group_without_two_patients_is_left_out():
    cases = [_case(0, 0, 0), _case(1, 0, 0), _case(2, 1, 1), _case(3, 1, 1), _case(4, 2, 1)]
    pairs, _ = linkage(cases, [_vector(0.1 * i) for i in range(5)], np.random.default_rng(0))
    assert {tuple(row) for row in pairs.patients.tolist()} <= {(1, 1), (1, 2), (2, 1)}


def test_strata_are_never_compared(two_groups):
    cases, embeddings = two_groups
    pairs, _ = linkage(cases, embeddings, np.random.default_rng(0))
    first = {case.subject.patient for case in cases if case.subject.stratum == 0}
    assert all((a in first) == (b in first) for a, b in pairs.patients.tolist())
