import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.audit.invented import audit

from medveil.audit.judging.decision import Ground, conclude, control_result, grounds
from medveil.audit.plan import AuditPlan
from medveil.audit.results import AttackResult, ControlResult, Measured, Verdict
from medveil.audit.targets.target import Kind
from medveil.experiments.unit import Plan, Product, Result, Status, Unit
from medveil.report.findings import because

_ADVANTAGE = {Verdict.BROKEN: 2.5, Verdict.NO_EVIDENCE: 0.01, Verdict.INCONCLUSIVE: 0.2}


def _attack(name: str, verdict: Verdict | None, visible: float = 0.4, upper: float = 0.25) -> AttackResult:
    if verdict is None:
        return AttackResult(
            name, name.upper(), "release", (), None, status=Status.REFUSED, refusal="there is no code to see."
        )
    advantage = _ADVANTAGE[verdict]
    measured = Measured(
        metric="psnr", attacker=16 + advantage, baseline=16, advantage=advantage, ci=(advantage - 0.1, advantage + 0.1),
        upper=upper, p=0.0025, margin=0.3, smallest_visible=visible, worst=20, patients=30, images=60, verdict=verdict,
    )  # fmt: skip
    return AttackResult(name, name.upper(), "release", (measured,), verdict)


_WON = _attack("likelihood-ratio", Verdict.BROKEN)
_LOST = _attack("unet", Verdict.INCONCLUSIVE)
_CAUGHT = control_result("matched-decoys", "matched decoys", True, [_WON, _LOST])
_QUIET = control_result("random-codes", "random codes", False, [_LOST])


def _concluded(*found: Any) -> Verdict:
    return conclude(grounds(*found))


def _told(attacks: list[AttackResult], controls: list[ControlResult], left_out: tuple[str, ...] = ()) -> list[str]:
    settings = {"left_out": left_out}
    return because(audit(attacks=tuple(attacks), controls=tuple(controls), settings=settings, data={}))


def test_a_positive_control_has_to_be_broken_by_somebody() -> None:
    assert _CAUGHT.ok
    assert _CAUGHT.by == ("likelihood-ratio",)
    assert not control_result("matched-decoys", "", True, [_LOST]).ok
    assert not control_result("matched-decoys", "", True, [_attack("unet", None)]).ok


def test_an_open_release_is_measured_unless_the_audit_is_too_weak() -> None:
    assert conclude(grounds([_WON], [_CAUGHT, _QUIET]), Kind.OPEN) is Verdict.MEASURED
    assert conclude(grounds([_LOST], [_CAUGHT, _QUIET], ("vnet",)), Kind.OPEN) is Verdict.MEASURED
    missed = control_result("unprotected", "the code itself", True, [_LOST])
    assert conclude(grounds([_WON], [missed]), Kind.OPEN) is Verdict.TOO_WEAK
    assert conclude(grounds([_WON], [_CAUGHT, _QUIET])) is Verdict.BROKEN


def test_rows_of_the_sensitivity_curve_need_not_be_broken() -> None:
    assert control_result("revealed-0.1", "", True, [_LOST], must=False).ok
    assert control_result("revealed-1", "", True, [_WON], must=False).by == ("likelihood-ratio",)


def test_a_negative_control_must_not_be_broken() -> None:
    assert _QUIET.ok
    assert not control_result("random-codes", "", False, [_WON]).ok


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((Verdict.NO_EVIDENCE, Verdict.NO_EVIDENCE), Verdict.NO_EVIDENCE),
        ((Verdict.NO_EVIDENCE, None), Verdict.NO_EVIDENCE),
        ((Verdict.NO_EVIDENCE, Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        ((Verdict.INCONCLUSIVE, Verdict.BROKEN, Verdict.NO_EVIDENCE), Verdict.BROKEN),
        ((None, None), Verdict.TOO_WEAK),
        ((), Verdict.TOO_WEAK),
    ],
)
def test_the_worst_attack_decides(verdicts: tuple[Verdict | None, ...], expected: Verdict) -> None:
    attacks = [_attack(f"attack-{number}", verdict) for number, verdict in enumerate(verdicts)]
    assert _concluded(attacks, [_CAUGHT, _QUIET]) is expected


def _missed() -> ControlResult:
    return control_result("two-time-pad", "a two-time pad", True, [_LOST])


@pytest.mark.parametrize("verdict", [Verdict.NO_EVIDENCE, Verdict.INCONCLUSIVE, Verdict.BROKEN])
def test_a_missed_control_makes_it_too_weak(verdict: Verdict) -> None:
    found = [_attack("unet", verdict)], [_CAUGHT, _missed(), _QUIET]
    assert _concluded(*found) is Verdict.TOO_WEAK
    told = _told(*found)
    place = int(verdict is Verdict.BROKEN)  # what was found is told first
    assert "two-time-pad" in told[place]
    assert "Nearest came UNET with +0.20 dB" in told[place]
    assert ("UNET (unet) breaks the release" in told[0]) is (verdict is Verdict.BROKEN)


def test_a_hole_is_told_even_where_a_control_failed() -> None:
    told = _told([_WON], [_missed()])
    assert any("LIKELIHOOD-RATIO (likelihood-ratio) breaks the release: +2.50 dB" in text for text in told)


def test_finding_what_is_not_there_makes_it_too_weak() -> None:
    found = [_WON], [_CAUGHT, control_result("random-codes", "random codes", False, [_WON])]
    assert _concluded(*found) is Verdict.TOO_WEAK
    assert "Random codes (random-codes) leaks nothing, and yet likelihood-ratio found" in _told(*found)[1]


@pytest.mark.parametrize("controls", [(), (_QUIET,), (control_result("revealed-1", "", True, [_LOST], must=False),)])
def test_who_never_found_anything_has_ruled_out_nothing(controls: tuple[ControlResult, ...]) -> None:
    attacks = [_attack("unet", Verdict.NO_EVIDENCE)]
    assert _concluded(attacks, controls) is Verdict.TOO_WEAK
    assert "No control that leaks was broken" in _told(attacks, list(controls))[0]
    assert _concluded([_WON], controls) is Verdict.BROKEN


def test_the_sentences_have_the_numbers() -> None:
    attacks = [
        _WON,
        _attack("vnet", Verdict.INCONCLUSIVE, visible=0.9, upper=0.77),
        _attack("gan", Verdict.NO_EVIDENCE),
    ]
    told = " ".join(_told(attacks, [_CAUGHT]))
    assert "+2.40 to +2.60 dB, corrected p 0.0025, 30 patients" in told
    assert "up to +0.77 dB cannot be ruled out (margin 0.30 dB); +0.90 dB would have been seen" in told
    assert "Within the margins: 1 attack (picture, PSNR: at most +0.25 dB (margin 0.30 dB), +0.40 dB would" in told


@pytest.mark.parametrize("verdict", [Verdict.NO_EVIDENCE, Verdict.INCONCLUSIVE])
def test_who_chooses_the_attacks_does_not_choose_the_answer(verdict: Verdict) -> None:
    attacks = [_attack("likelihood-ratio", verdict)]
    left_out = ("side-channels", "unet")
    assert _concluded(attacks, [_CAUGHT, _QUIET], left_out) is Verdict.INCONCLUSIVE
    told = _told(attacks, [_CAUGHT, _QUIET], left_out)
    assert "Not asked for, so that nothing can be ruled out: side-channels and unet." in told
    assert _concluded([_WON], [_CAUGHT], ("unet",)) is Verdict.BROKEN


def test_a_failed_attack_is_not_one_that_makes_no_sense() -> None:
    quiet = _attack("likelihood-ratio", Verdict.NO_EVIDENCE)
    failed = AttackResult("unet", "UNET", "release", (), None, status=Status.FAILED, refusal="ValueError")
    assert _concluded([quiet, _attack("seeds", None)], [_CAUGHT]) is Verdict.NO_EVIDENCE
    assert _concluded([quiet, failed], [_CAUGHT]) is Verdict.TOO_WEAK
    assert _concluded([_WON, failed], [_CAUGHT]) is Verdict.BROKEN
    assert _concluded([quiet], [_CAUGHT, control_result("seeds", "", False, [failed])]) is Verdict.TOO_WEAK
    assert conclude(grounds([quiet], [_CAUGHT], unfinished=["fidelity"])) is Verdict.TOO_WEAK
    assert grounds([quiet, failed], [_CAUGHT])[Ground.FAILED] == ("unet",)
    told = _told([quiet, failed], [_CAUGHT])
    assert "Failed while running, so that nothing can be ruled out: unet (ValueError)." in told
    assert not any("makes no sense" in line or "Could not be run" in line for line in told)


def test_a_part_that_failed_counts_where_nothing_was_attacked() -> None:
    found = grounds((), (), unfinished=["checks of the form"], attacked=False)
    assert found[Ground.UNFINISHED] == ("checks of the form",)
    assert conclude(found) is Verdict.TOO_WEAK
    assert conclude(grounds((), (), attacked=False)) is Verdict.INCONCLUSIVE
    data = {"unfinished": [{"unit": "checks of the form", "status": "failed", "reason": "OSError"}]}
    told = because(audit(attacks=(), controls=(), settings={"attacks": []}, data=data))
    assert "Failed while running, so that nothing can be ruled out: checks of the form (OSError)." in told


def test_an_unknown_likeness_of_a_set_of_the_tasks_is_a_part_that_failed() -> None:
    unit = Unit(("task fidelity", "diagnostic"), "fidelity", "tasks: how near", lambda _: Product())
    tier = SimpleNamespace(name="diagnostic")
    plan = SimpleNamespace(
        target=SimpleNamespace(image_sets=()), tasking=SimpleNamespace(sets=(tier,)), units=Plan({}, (unit,))
    )
    found = AuditPlan.unfinished(plan, {unit.key: Result(Status.FAILED, reason="OSError")})  # type: ignore[arg-type]
    assert found == [{"unit": "tasks: how near", "status": "failed", "reason": "OSError"}]


def test_an_attack_that_did_not_run_on_all_images_rules_nothing_out() -> None:
    partial = replace(_attack("likelihood-ratio", Verdict.NO_EVIDENCE), extra={"rounds_refused": 1.0})
    assert _concluded([partial], [_CAUGHT]) is Verdict.INCONCLUSIVE
    told = _told([partial], [_CAUGHT])
    assert "Not run on all images, so that nothing can be ruled out: likelihood-ratio." in told


def test_a_control_that_nobody_could_attack_is_not_called_missed_by_attacks() -> None:
    told = _told([_WON], [control_result("matched-decoys", "matched decoys", True, [_attack("unet", None)])])
    assert any("leaks, and no attack could be run on it: a leak" in line for line in told)
    assert not any("0 attacks" in line for line in told)


def test_an_undecided_attack_without_bounds_says_so() -> None:
    told = " ".join(_told([_attack("vnet", Verdict.INCONCLUSIVE, math.inf, math.inf)], [_CAUGHT]))
    assert "nothing can be ruled out; no effect could have been seen with 30 patients" in told
    nothing = AttackResult("vnet", "V-Net", "release", (), Verdict.INCONCLUSIVE)
    assert "nothing of what it gave could be measured" in " ".join(_told([nothing], [_CAUGHT]))


def test_what_was_not_looked_for_is_named() -> None:
    sensitivity = control_result("revealed-0.1", "", True, [_LOST], must=False)
    attacks = [
        _attack("likelihood-ratio", Verdict.NO_EVIDENCE),
        _attack("unet", Verdict.NO_EVIDENCE),
        _attack("seeds", None),
    ]
    told = _told(attacks, [_CAUGHT, sensitivity])
    assert "Could not be run on the release, so nothing is said of them: seeds (there is no code to see)." in told
    assert "Broke no control here, so that their silence says little: unet." in told
    assert "Controls that leak little and were not seen, as they need not be: revealed-0.1." in told
