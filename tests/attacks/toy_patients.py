"""Invented patients with several pictures each, published by whatever way a test wants to attack."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medveil.attacks.attack import Effort, Knowledge
from medveil.attacks.reidentification.linear_embedding import pair_scores, unit
from medveil.images.intensity import grey_image
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Subject
from medveil.metrics.ranking import auc

SIDE = 64


def patient_picture(patient, visit):
    """A smooth field that is the patient's own, a little moved and with grain of its own at each visit."""
    own = np.random.default_rng([1, patient])
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    field = np.zeros((SIDE, SIDE))
    now = np.random.default_rng([2, patient, visit])
    rows, columns = rows + now.normal(0, 0.004), columns + now.normal(0, 0.004)
    for _ in range(12):
        up, across, phase, weight = own.normal(0, 2), own.normal(0, 2), own.uniform(0, 7), own.uniform(0.3, 1)
        field += weight * np.sin(2 * np.pi * (up * rows + across * columns) + phase)
    return np.clip(128 + 30 * field + now.normal(0, 2, field.shape), 0, 255).astype(np.float32)


def subjects(patients, visits=2, first=0):
    """`visits` images of each of so many patients; numbers go on from `first`."""
    found = []
    for patient in range(first, first + patients):
        for visit in range(visits):
            picture = patient_picture(patient, visit)
            found.append(Subject(len(found), patient, 0, grey_image(picture), picture))
    return found


class Toy(Mechanism):
    """A mechanism without a codec that shows what a function makes of a subject and a generator."""

    name = "toy"

    def __init__(self, show: Callable[[Subject, np.random.Generator], Observation]) -> None:
        self._show = show

    def publish(self, subject, key):
        return self._show(subject, np.random.default_rng(list(key)))


def cases(mechanism, people, seed=0):
    """Every subject published under a key of its own."""
    generator = np.random.default_rng(seed)
    return tuple(mechanism.case_of(each, generator.bytes(32)) for each in people)


def knowledge(mechanism, own, validation=(), seen=(), *, seed_bits=8, targets=2):
    observations = tuple(case.observation for case in seen)
    effort = Effort(SIDE, steps=1, batch=1, width=1, seed_bits=seed_bits, targets=targets)
    return Knowledge(mechanism, tuple(own), tuple(validation), observations, effort, seed=7)


def linkage(attacker, seen):
    """AUC of an attacker's embeddings over all pairs of cases."""
    embeddings = unit(np.stack([attacker.predict(case.observation).embedding for case in seen]))
    patients = np.array([case.subject.patient for case in seen])
    return auc(*pair_scores(embeddings, patients, np.zeros_like(patients)))
