"""Thresholds from a file: what passes, what does not, and what is refused."""

from __future__ import annotations

import pytest
from tests.audit.invented import attack, attacks, audit, measured

from medveil.audit.gate import passed_thresholds, read_gate
from medveil.audit.results import Verdict
from medveil.errors import UsageError


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


def test_a_gate_can_ask_for_all_attacks(gate):
    wants = gate("[audit]\nattacks = 'all'")
    assert passed_thresholds(wants, audit(settings={"left_out": []})) == ()
    found = passed_thresholds(wants, audit(settings={"left_out": ["unet", "vnet"]}))
    assert found == ("these attacks were not asked for, and the gate wants all of them: unet, vnet",)
    assert len(passed_thresholds(wants, audit(settings={}))) == 1


def test_what_no_attack_measured_does_not_pass(gate):
    found = passed_thresholds(gate("[attacks]\nlinkage_auc = 0.9"), audit(attacks=(attack("unet", measured()),)))
    assert found == ("no attack was measured by linkage_auc, and the gate has a threshold for linkage_auc",)


def test_a_figure_that_is_no_number_does_not_pass(gate):
    found = passed_thresholds(
        gate("[attacks]\npsnr = 30"), audit(attacks=(attack("unet", measured(attacker=float("nan"))),))
    )
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[attack]\npsnr = 3", "unknown key 'attack'; allowed are audit, attacks, fidelity, tasks"),
        ("[attacks]\nsnr = 3", "unknown key 'snr'; allowed are psnr, ssim"),
        ("[fidelity.best]\npsnr = 3", "unknown key 'best'; allowed are exact, diagnostic, preview"),
        ("[fidelity.exact]\nlpips = 3", "unknown key 'lpips'"),
        ("[audit]\nconclusion = 'broken'", "not a list of some of broken"),
        ("[audit]\nverdicts = ['too-weak']", "not a list of some of"),
        ("[attacks]\npsnr = true", "psnr in .attacks. of the gate is not a number"),
        ("[attacks]\npsnr = nan", "is not a number"),
        ("[attacks]\npsnr = inf", "is not a number, or one that nothing could pass"),
        (f"[attacks]\npsnr = 1{'0' * 400}", "is not a number, or one that nothing could pass"),
        ("", "has no threshold"),
        ("[audit]\n[fidelity.diagnostic]\n", "has no threshold"),
        ("[audit]\npreset = 'best'", "preset in .audit. of the gate is not one of quick, standard, paper"),
        ("[audit]\npreset = 3", "preset in .audit. of the gate is not one of"),
        ("[audit]\nattacks = ['unet']", "attacks in .audit. of the gate is not one of all"),
        ("attacks = 3", "is not a table"),
        ("psnr", "is not TOML"),
    ],
)
def test_what_means_nothing_is_refused(gate, text, message):
    with pytest.raises(UsageError, match=message):
        gate(text)


def test_a_gate_that_is_not_there_is_refused_without_its_name(tmp_path):
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_gate(tmp_path / "secret.toml")
    assert "secret" not in caught.value.message
