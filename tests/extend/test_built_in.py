"""What comes with medveil goes through the same checks as what others bring."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="built-in entries need torch")

from medveil.anonymizers.registry import ANONYMIZERS, get_anonymizer, model_for
from medveil.attacks.registry import ATTACKS
from medveil.codecs.registry import CODECS
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.controls import Setup, all_controls, control_named
from medveil.mechanisms.expected_breaks import EXPECTED_BREAKS
from medveil.tasks.registry import TASKS
from medveil.testing import (
    EFFORT,
    TASK_EFFORT,
    check_anonymizer,
    check_attack,
    check_codec,
    check_mechanism,
    check_task,
    people,
)

_QUICK = {"lapped", "primis", "linkage-code"}
"""Those that are tried by default; all of them under slow."""
_KEYLESS = {"unprotected", "linear-encoding", "two-time-pad"}
"""Controls that show the same under every key, which is their fault."""
_MORE = {"plain-stream"}
"""Attacks that need more images than a check invents; tests/attacks/ has them."""


def _named(names):
    return [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(names)]


def _ready() -> list[str]:
    """Methods that need no model of their own; tests of the others bring one."""
    return [each.name for each in ANONYMIZERS.make_all() if not each.learns or each.shipped_models()]


@pytest.fixture(scope="module")
def setup() -> Setup:
    pool = tuple(each.picture for each in people(12, side=EFFORT.working))
    return Setup(EFFORT.working, CodeCache(), bytes(32), pool)


@pytest.mark.parametrize("name", _named(CODECS.names()))
def test_codec(name: str) -> None:
    check_codec(CODECS.make(name))


@pytest.mark.parametrize("name", _ready())
def test_anonymizer(name: str) -> None:
    settings = {"k": "20"} if name == "cohort" else {}  # a check invents 24 people
    check_anonymizer(get_anonymizer(name, settings, model_for(name, None)))


@pytest.mark.parametrize("name", _named(TASKS.names()))
def test_task(name: str) -> None:
    check_task(TASKS.make(name), effort=replace(TASK_EFFORT, classify_epochs=20.0, segment_epochs=6.0))


@pytest.mark.parametrize("name", _named(ATTACKS.names()))
def test_attack_says_what_it_is(name: str) -> None:
    check_attack(ATTACKS.make(name))


@pytest.mark.parametrize("name", _named(set(ATTACKS.names()) - _MORE))
def test_attack_finds_what_it_has_to_and_nothing_else(name: str, setup: Setup) -> None:
    control = control_named(EXPECTED_BREAKS[name][0], seed_bits=EFFORT.seed_bits)
    check_attack(ATTACKS.make(name), control.make(setup))


@pytest.mark.parametrize("name", [each.name for each in all_controls(seed_bits=EFFORT.seed_bits)])
def test_mechanism(name: str, setup: Setup) -> None:
    control = control_named(name, seed_bits=EFFORT.seed_bits)
    check_mechanism(control.make(setup), keyed=name not in _KEYLESS)
