"""`medveil attacks` says what there is before anybody runs it."""

from __future__ import annotations

import pytest
from tests.cli.shell import run

from medveil.attacks import registry
from medveil.errors import MissingDependencyError
from medveil.registry import Availability


class Guesser:
    name = "guesser"
    title = "guesses"
    knows = "nothing"
    needs = ""
    cost = "seconds"
    beats = ("unprotected", "two-time-pad")
    goal = "keys"


class Looker:
    name = "looker"
    title = "looks twice"
    source = ""
    cost = "minutes"
    learns = True
    trains = False
    pairwise = True


@pytest.fixture
def one_attack(monkeypatch):
    monkeypatch.setattr(registry, "all_attacks", lambda: (Guesser(),))
    monkeypatch.setattr(registry, "all_recognizers", lambda: (Looker(),))
    monkeypatch.setattr(registry, "unavailable_recognizers", lambda: (Availability("far", False, "far needs seeing"),))


@pytest.mark.usefixtures("one_attack")
def test_lines():
    done = run("attacks")
    assert done.code == 0
    assert done.out.splitlines() == [
        "guesser (keys): guesses",
        "      knows:             nothing",
        "      needs:             nothing",
        "      costs:             seconds",
        "      expected to break: unprotected, two-time-pad",
        "looker (recognizer): looks twice",
        "      looks at:          pairs, one by one",
        "      learns:            own pictures",
        "      costs:             minutes",
        "      source:            medveil's own",
        "far needs seeing",
    ]


@pytest.mark.usefixtures("one_attack")
def test_json():
    found = run("attacks", "--json").json
    (entry,) = found["attacks"]
    assert entry["expected_to_break"] == ["unprotected", "two-time-pad"]
    assert (entry["goal"], entry["cost"]) == ("keys", "seconds")
    (recognizer,) = found["recognizers"]
    assert (recognizer["name"], recognizer["learns"], recognizer["trains"]) == ("looker", True, False)
    assert found["unavailable"] == [{"name": "far", "because": "far needs seeing"}]
    assert found["done"] == 2


def test_missing_package(monkeypatch):
    def missing():
        raise MissingDependencyError(
            "the audit needs monai, which is not installed", hint='pip install "medveil[audit]"'
        )

    monkeypatch.setattr(registry, "all_attacks", missing)
    done = run("attacks", "--json")
    assert done.code == 20
    assert 'pip install "medveil[audit]"' in done.err
    assert done.json["error"]["class"] == "MissingDependencyError"


def test_the_ones_that_are_there_name_controls_that_are_there():
    from medveil.mechanisms.controls import all_controls

    controls = {control.name.partition("@")[0] for control in all_controls(release=True)}
    found = run("attacks", "--json").json["attacks"]
    assert {entry["goal"] for entry in found} == {"support", "reconstruction", "reidentification", "keys"}
    for entry in found:
        assert {name.partition("@")[0] for name in entry["expected_to_break"]} <= controls, entry["name"]
        assert entry["expected_to_break"], entry["name"]
        assert entry["knows"]
        assert entry["cost"]
