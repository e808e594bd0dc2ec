"""Thresholds on what may be lost."""

from __future__ import annotations

import pytest
from tests.audit.invented import audit
from tests.audit.task_scenes import classification, radiomics, tasked

from medveil.audit.gate import passed_thresholds, read_gate
from medveil.audit.results import Verdict
from medveil.errors import UsageError
from medveil.tasks.results import TaskResult

_SMALL = {"diagnostic": 0.001, "preview": 0.001}


@pytest.fixture
def passed(tmp_path):
    def passed(text, *results, **changed):
        path = tmp_path / "gate.toml"
        path.write_text(text)
        return passed_thresholds(read_gate(path), tasked(audit(**changed), *results))

    return passed


def test_small_losses_go_through(passed):
    text = "[tasks.classification]\nmax_loss = 0.02\ntiers = ['diagnostic']\n[tasks.radiomics]\nmin_excellent = 0.5"
    quiet = classification(_SMALL)
    first = type(quiet)(quiet.name, quiet.title, questions=quiet.questions[:1])
    assert passed(text, first, radiomics(_SMALL)) == ()
    assert len(passed(text, quiet, radiomics(_SMALL))) == 1


@pytest.mark.parametrize(("text", "count", "part"), [
    ("[tasks.classification]\nmax_loss = 0.02", 3, "kermany/normal-vs-pneumonia at tier preview may lose 0.09"),
    ("[tasks.classification]\nmax_loss = 0.05", 1, "the gate allows 0.05"),
    ("[tasks.classification]\nmax_loss = 0.05\ntiers = ['diagnostic']", 0, ""),
    ("[tasks.classification]\nmax_loss = 0.5\ntiers = ['exact']", 2, "may lose any amount (not measured)"),
    ("[tasks.radiomics]\nmin_excellent = 0.95", 4, "(width 25); the gate asks for 0.95"),
    ("[tasks.radiomics]\nmin_excellent = 0.9\ntiers = ['diagnostic']", 0, ""),
    ("[tasks.radiomics]\nmin_excellent = 0.9\ntiers = ['exact']", 1, "texture at tier exact was not measured"),
    ("[tasks.radiomics]\nmax_loss = 0.9", 2, "has no question"),
    ("[tasks.segmentation]\nmax_loss = 0.9", 1, "task segmentation was not done"),
    ("[tasks.failing]\nmax_loss = 0.9", 1, "task failing was not done"),
])  # fmt: skip
def test_each_threshold_that_is_passed_is_told(passed, text, count, part):
    found = passed(text, classification(), radiomics(), TaskResult("failing", "F", refusal="OSError: no"))
    assert len(found) == count
    assert part in "\n".join(found)


@pytest.mark.parametrize(("text", "message"), [
    ("[tasks.classification]\nmin_auc = 1", "unknown key 'min_auc'; allowed are max_loss, min_excellent, tiers"),
    ("[tasks.classification]\n", "has no threshold"),
    ("[tasks.classification]\ntiers = ['exact']", "has no threshold"),
    ("[tasks.classification]\nmax_loss = nan", "not a number from 0 to 1"),
    ("[tasks.classification]\nmax_loss = true", "not a number from 0 to 1"),
    ("[tasks.classification]\nmax_loss = -0.1", "not a number from 0 to 1"),
    ("[tasks.classification]\nmax_loss = 0.1\ntiers = []", "not a list of some of exact"),
    ("[tasks.classification]\nmax_loss = 0.1\ntiers = ['best']", "not a list of some of exact"),
    ("[tasks]\nclassification = 3", "is not a table"),
])  # fmt: skip
def test_what_means_nothing_is_refused(passed, text, message):
    with pytest.raises(UsageError, match=message):
        passed(text)


def test_an_audit_without_attacks_does_not_pass_a_gate_on_attacks(passed):
    asked = {"conclusion": Verdict.INCONCLUSIVE, "attacks": (), "controls": (), "settings": {"attacks": []}}
    found = passed("[audit]\nconclusion = ['inconclusive']", **asked)
    assert found == ("no attack was asked for, and the gate has a say on what attacks find",)
    assert passed("[fidelity.diagnostic]\npsnr = 30", **asked) == ()
