"""Thresholds from a file: what passes, what does not, and what is refused."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.audit.invented import attack, attacks, audit, control, measured
from tests.audit.task_scenes import classification, radiomics, tasked

from medveil.audit import gate as gates
from medveil.audit.gate import check_asked, read_gate
from medveil.audit.presets import preset_names
from medveil.audit.record import record_of
from medveil.audit.results import FormCheck, Verdict
from medveil.errors import UsageError
from medveil.experiments.unit import Status
from medveil.tasks.results import TaskResult


def passed_thresholds(gate, audit):
    return gates.passed_thresholds(gate, record_of(audit))


@pytest.fixture
def gate(tmp_path):
    def gate(text):
        path = tmp_path / "gate.toml"
        path.write_text(text)
        return read_gate(path)

    return gate


def test_a_release_within_all_thresholds_passes(gate):
    text = """
        [audit]
        conclusion = ["no-evidence", "inconclusive"]
        [attacks]
        psnr_advantage = 2
        linkage_auc = 0.6
        [fidelity.diagnostic]
        psnr = 38
        rmse = 4.0
    """
    assert passed_thresholds(gate(text), audit(Verdict.INCONCLUSIVE, attacks=attacks(broken=False))) == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[audit]\nconclusion = ["no-evidence"]', "the conclusion is broken"),
        ('[audit]\nverdicts = ["no-evidence", "inconclusive"]', "the verdict on code-decoder is broken"),
        ("[attacks]\npsnr_advantage = 1.2", "psnr_advantage of code-decoder is 1.237; the gate allows 1.2"),
        ("[attacks]\nlinkage_auc = 0.51", "linkage_auc of linkage-code is 0.52; the gate allows 0.51"),
        ("[fidelity.diagnostic]\npsnr = 40.2", "psnr of tier diagnostic is 40.11; the gate asks for 40.2"),
        ("[fidelity.diagnostic]\nme = 0.005", "me of tier diagnostic is 0.01; the gate allows 0.005"),
        ("[fidelity.preview]\npsnr = 20", "psnr of tier preview was not measured, and the gate has a threshold for it"),
    ],
)
def test_each_threshold_that_is_passed_is_told(gate, text, sentence):
    found = passed_thresholds(gate(text), audit(attacks=audit().attacks[:4]))
    assert found == (sentence,)


def test_a_failed_control_does_not_let_a_broken_release_through(gate):
    weak = audit(Verdict.TOO_WEAK)
    found = passed_thresholds(gate('[audit]\nconclusion = ["no-evidence", "too-weak"]'), weak)
    assert found == ("the release was broken by code-decoder",)
    assert passed_thresholds(gate('[audit]\nconclusion = ["broken", "too-weak"]'), weak) == ()
    quiet = audit(Verdict.TOO_WEAK, attacks=attacks(broken=False))
    assert passed_thresholds(gate('[audit]\nconclusion = ["too-weak"]'), quiet) == ()


@pytest.mark.parametrize(("preset", "passes"), [("quick", False), ("standard", True), ("paper", True), (None, False)])
def test_a_gate_can_ask_for_a_preset(gate, preset, passes):
    found = passed_thresholds(gate("[audit]\npreset = 'standard'"), audit(settings={"preset": preset}))
    assert (found == ()) is passes
    assert passes or found == (f"the preset is {preset}; the gate asks for standard at least",)


def test_a_gate_knows_the_presets_that_there_are():
    assert get_args(gates._Preset) == preset_names()


def test_a_gate_can_ask_for_all_attacks(gate):
    wants = gate("[audit]\nattacks = 'all'")
    assert passed_thresholds(wants, audit(settings={"left_out": []})) == ()
    found = passed_thresholds(wants, audit(settings={"left_out": ["unet", "vnet"]}))
    assert found == ("these attacks were not asked for, and the gate wants all of them: unet, vnet",)
    assert len(passed_thresholds(wants, audit(settings={}))) == 1


def recognized(**changed):
    """What of report.json is of recognizers."""
    best = {"recognizer": "hog", "matched_auc": 0.7, "tpr_at_1": 0.2, "tpr_at_1_by": {"recognizer": "sift"},
            "top_1": None, "top_1_by": None}  # fmt: skip
    record = {"top_1": 0.4, "top_1_by": {"recognizer": "thumbnails"}}
    found = {"maximum": {"any": best, "same-record": {**best, **record}}, "undone": []}
    return record_of(audit()) | {"identification": {**found, **changed}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("matched_auc = 0.65", "matched_auc of hog is 0.7; the gate allows 0.65"),
        ("tpr_at_1 = 0.1", "tpr_at_1 of sift is 0.2; the gate allows 0.1"),
        ("same_record_top1 = 0.05", "same_record_top1 of thumbnails is 0.4; the gate allows 0.05"),
    ],
)
def test_whom_recognizers_find_has_thresholds(gate, text, sentence):
    limits = gate(f"[reidentification]\n{text}")
    assert gates.passed_thresholds(limits, recognized()) == (sentence,)
    assert gates.passed_thresholds(gate(f"[reidentification]\n{text.split(' =')[0]} = 0.9"), recognized()) == ()
    (unmeasured,) = gates.passed_thresholds(limits, record_of(audit()))
    assert unmeasured == f"{text.split(' =')[0]} was not measured, and the gate has a threshold for it"


def test_a_recognizer_that_failed_does_not_pass(gate):
    undone = [{"recognizer": "hog", "learned": "real", "round": "release-0", "status": "failed", "reason": "OSError"},
              {"recognizer": "xfeat", "learned": "", "round": "", "status": "unavailable", "reason": "x"}]  # fmt: skip
    found = gates.passed_thresholds(gate("[reidentification]\nmatched_auc = 0.9"), recognized(undone=undone))
    assert found == ("the recognizer hog failed (OSError): nothing is known of it",)


_FAILED = attack("vnet", refusal="ValueError", status=Status.FAILED)
_UNFINISHED = {"unfinished": [{"unit": "checks of the form", "status": "failed", "reason": "OSError"}]}


@pytest.mark.parametrize("text", ["[attacks]\npsnr = 90", "[audit]\nattacks = 'all'", "[audit]\npreset = 'quick'"])
@pytest.mark.parametrize(("changed", "sentence"), [
    ({"attacks": (*attacks(), _FAILED)}, "the attack vnet failed (ValueError): nothing is known of it"),
    ({"attacks": (*attacks(), attack("vnet", measured(), extra={"rounds_failed": 1.0}))},
     "the attack vnet failed in a part of its rounds: 1"),
    ({"controls": (control("twin", _FAILED),)}, "the attack vnet on twin failed (ValueError): nothing is known of it"),
    ({"data": _UNFINISHED}, "checks of the form: not done (failed), and the gate wants the whole audit"),
])  # fmt: skip
def test_what_failed_does_not_pass(gate, text, changed, sentence):
    asked = {"settings": {"preset": "quick", "left_out": []}}
    assert passed_thresholds(gate(text), audit(**asked)) == ()
    assert passed_thresholds(gate(text), audit(**asked, **changed)) == (sentence,)
    assert passed_thresholds(gate("[fidelity.diagnostic]\npsnr = 30"), audit(**changed)) == ()


def test_a_check_that_fails_does_not_pass_a_gate_on_attacks(gate):
    fault = FormCheck("nothing-repeats", "Nothing repeats", "Two salts are one.", False)
    wrong = audit(checks=(fault, FormCheck("file-times", "", "", False, of_copy=True)))
    sentence = ("the form of the release fails the check nothing-repeats",)
    assert passed_thresholds(gate("[attacks]\npsnr = 90"), wrong) == sentence
    quiet = audit(attacks=attacks(broken=False), checks=(fault,))
    assert passed_thresholds(gate("[audit]\nverdicts = ['no-evidence', 'inconclusive']"), quiet) == sentence
    assert passed_thresholds(gate("[audit]\nverdicts = ['no-evidence', 'inconclusive', 'broken']"), wrong) == ()
    assert passed_thresholds(gate("[audit]\npreset = 'quick'"), wrong) == ()


def test_what_no_attack_measured_does_not_pass(gate):
    found = passed_thresholds(gate("[attacks]\nlinkage_auc = 0.9"), audit(attacks=(attack("unet", measured()),)))
    assert found == ("no attack was measured by linkage_auc, and the gate has a threshold for linkage_auc",)


def test_a_figure_that_is_no_number_does_not_pass(gate):
    found = passed_thresholds(
        gate("[attacks]\npsnr = 30"), audit(attacks=(attack("unet", measured(attacker=float("nan"))),))
    )
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "[attack]\npsnr = 3",
            "no key in the gate of that name; there are audit, attacks, reidentification",
            "attacks",
        ),
        ("[attacks]\nsnr = 3", "no key in .attacks. of the gate of that name; there are psnr, ssim", "psnr"),
        (
            "[fidelity.exakt]\npsnr = 3",
            "no key in .fidelity. of the gate of that name; there are exact, diagnostic",
            "exact",
        ),
        ("[fidelity.exact]\nlpips = 3", "no key in .fidelity.exact. of the gate of that name; there are psnr", ""),
        ("[audit]\nconclusion = 'broken'", "conclusion in .audit. of the gate is 'broken'; it should be a list", ""),
        ("[audit]\nconclusion = []", "it should name at least one$", ""),
        ("[audit]\nverdicts = ['too-weak']", "'too-weak'; it should be 'broken', 'no-evidence' or 'inconclusive'", ""),
        ("[attacks]\npsnr = true", "psnr in .attacks. of the gate is True; it should be a number", ""),
        ("[attacks]\npsnr = '3'", "it should be a number", ""),
        ("[attacks]\npsnr = nan", "it should be a finite number", ""),
        ("[attacks]\npsnr = inf", "it should be a finite number", ""),
        (f"[attacks]\npsnr = 1{'0' * 400}", "it should be a finite number", ""),
        ("[attacks]\npsnr = 1e9", "it should be less than or equal to 1000000", ""),
        ("", "has no threshold", ""),
        ("[audit]\n[fidelity.diagnostic]\n", "has no threshold", ""),
        ("[audit]\npreset = 'best'", "is 'best'; it should be 'quick', 'standard' or 'paper'", ""),
        ("[audit]\npreset = 3", "is 3; it should be 'quick', 'standard' or 'paper'", ""),
        ("[audit]\nattacks = ['unet']", "it should be 'all'", ""),
        ("attacks = 3", "attacks in the gate is 3; it should be a table", ""),
        ("psnr", "is not TOML", ""),
        ("[tasks.classification]\nmin_auc = 1", "there are max_loss, min_excellent, tiers", ""),
        ("[tasks.classification]\n", "has no threshold", "max_loss"),
        ("[tasks.classification]\ntiers = ['exact']", "has no threshold", "max_loss"),
        ("[tasks.classification]\nmax_loss = nan", "it should be a finite number", ""),
        ("[tasks.classification]\nmax_loss = true", "it should be a number", ""),
        ("[tasks.classification]\nmax_loss = -0.1", "is -0.1; it should be greater than or equal to 0", ""),
        ("[tasks.classification]\nmax_loss = 0.1\ntiers = []", "it should name at least one$", ""),
        (
            "[tasks.classification]\nmax_loss = 0.1\ntiers = ['best']",
            "'best'; it should be 'exact', 'diagnostic' or",
            "",
        ),
        ("[tasks]\nclassification = 3", "classification in .tasks. of the gate is 3; it should be a table", ""),
    ],
)
def test_what_means_nothing_is_refused(gate, text, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        gate(text)
    assert caught.value.hint
    assert hint in caught.value.hint


def test_a_gate_that_is_not_there_is_refused_without_its_name(tmp_path):
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_gate(tmp_path / "secret.toml")
    assert "secret" not in caught.value.message


_SMALL = {"diagnostic": 0.001, "preview": 0.001}


@pytest.fixture
def passed(gate):
    return lambda text, *results, **changed: passed_thresholds(gate(text), tasked(audit(**changed), *results))


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
def test_each_loss_that_is_too_large_is_told(passed, text, count, part):
    found = passed(
        text, classification(), radiomics(), TaskResult("failing", "F", refusal="OSError", status=Status.FAILED)
    )
    assert len(found) == count
    assert part in "\n".join(found)


def test_an_audit_without_attacks_does_not_pass_a_gate_on_attacks(passed):
    asked = {"conclusion": Verdict.INCONCLUSIVE, "attacks": (), "controls": (), "settings": {"attacks": []}}
    found = passed("[audit]\nconclusion = ['inconclusive']", **asked)
    assert found == ("no attack was asked for, and the gate has a say on what attacks find",)
    assert passed("[fidelity.diagnostic]\npsnr = 30", **asked) == ()


@pytest.mark.parametrize(("text", "message"), [
    ("[tasks.brightness]\nmax_loss = 0.1", "the task 'brightness', which was not asked for"),
    ("[tasks.classification]\nmin_excellent = 0.1", "min_excellent in .tasks.classification. of the gate means"),
    ("[tasks.radiomics]\nmax_loss = 0.1", "max_loss in .tasks.radiomics. of the gate means nothing"),
])  # fmt: skip
def test_a_threshold_on_what_is_not_done_is_refused(gate, text, message):
    asked = gate(text)
    with pytest.raises(UsageError, match=message) as caught:
        check_asked(asked, ["classification", "radiomics"])
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", [f"[attacks]\npsnr = {'9' * 5000}", f"[attacks]\npsnr = {'[' * 3000}{']' * 3000}"], ids=["digits", "depth"]
)
def test_a_gate_that_the_reader_of_toml_gives_up_on_is_refused(gate, text):
    with pytest.raises(UsageError, match="too many digits, or tables or lists nested too deep"):
        gate(text)
