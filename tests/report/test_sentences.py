"""The sentences say what the numbers say, and never more."""

from __future__ import annotations

import math
import re

import pytest
from tests.audit.invented import attack, attacks, audit, control, measured

from medveil.audit.results import FormCheck, Verdict
from medveil.experiments.unit import Status
from medveil.report.amounts import amount, chance, duration, interval, listed
from medveil.report.first_page import gets
from medveil.report.sentences import (
    answer,
    grounds,
    headline,
    measured_risk,
    measured_sentence,
    not_shown,
    question,
    repeat_command,
)


@pytest.mark.parametrize(
    ("metric", "value", "signed", "words"),
    [
        ("psnr", 18.899, False, "18.90 dB"),
        ("psnr", -0.3, True, "−0.30 dB"),
        ("psnr", -0.001, True, "+0.00 dB"),
        ("ssim", 0.5119, False, "0.512"),
        ("linkage_auc", 0.02, True, "+0.020"),
        ("rmse", 2.5999, False, "2.60"),
        ("psnr", math.nan, False, "not measured"),
        ("psnr", None, True, "not measured"),
        ("psnr", math.inf, True, "not measured"),
        ("auc", -0.0004, True, "+0.000"),
        ("hd", 12.34, False, "12.3"),
    ],
)
def test_amounts(metric, value, signed, words):
    assert amount(metric, value, signed=signed) == words


def test_intervals():
    assert interval("psnr", (-0.1, 0.32)) == "−0.10 to +0.32 dB"
    assert interval("ssim", (0.0, 0.01)) == "+0.000 to +0.010"
    assert interval("psnr", (40.1, 41.0), signed=False) == "40.10 to 41.00 dB"
    assert interval("ssim", (math.nan, 0.01)) == interval("ssim", None) == "not measured"


def test_small_words():
    assert [chance(p) for p in (0.0004, 0.0312, math.nan)] == ["below 0.001", "0.031", "not measured"]
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    told = [duration(seconds) for seconds in (0.2, 59, 90, 600, 7200)]
    assert told == ["1 second", "59 seconds", "2 minutes", "10 minutes", "2.0 hours"]


def test_each_verdict_has_its_own_certainty():
    result = attack("unet")
    broken = measured_sentence(result, measured("psnr", 2.0, verdict=Verdict.BROKEN))
    assert broken == "Unet gets +2.00 dB over no information (picture, PSNR; 95 % interval +1.90 to +2.10 dB)."
    assert measured_sentence(result, measured()).endswith(
        "at most +0.17 dB at 95 % certainty, within the margin of 0.30 dB."
    )
    unsure = measured_sentence(result, measured(verdict=Verdict.INCONCLUSIVE))
    assert unsure.endswith("this audit would have seen an advantage of +0.25 dB or more.")


def test_answer_when_broken():
    told = answer(audit())
    assert told.startswith("Broken: an attacker without a key gets something")
    assert "1 of 5 attacks succeeded. The strongest: Code decoder gets +1.24 dB" in told


def test_answer_when_nothing_was_found():
    told = answer(audit(Verdict.NO_EVIDENCE, attacks=(attack("unet", measured()), attack("vnet", measured()))))
    assert "Of 2 attacks: 2 no evidence." in told
    assert "not a proof" in told


def test_answer_when_too_weak_names_the_failed_controls():
    told = answer(audit(Verdict.TOO_WEAK, attacks=(attack("unet", measured()),)))
    assert "did not come out as they must: seeded-decoys." in told
    assert "No attack that failed here is a reassurance" in told
    assert "what they found is there" not in told


def test_a_weak_audit_does_not_hide_what_it_found():
    assert "what they found is there" in answer(audit(Verdict.TOO_WEAK))


def test_answer_without_attacks():
    assert "No attack could be run" in answer(audit(Verdict.INCONCLUSIVE, attacks=()))


_CHECKED = (FormCheck("salts-differ", "Salts", "all differ", True),)


def test_risk_is_never_called_low_where_it_was_not_measured():
    assert measured_risk(audit()).startswith("Not de-identified")
    assert "not measured" in measured_risk(audit(Verdict.TOO_WEAK, attacks=attacks(broken=False)))
    assert "not measured" in measured_risk(audit(Verdict.INCONCLUSIVE, attacks=()))
    told = measured_risk(audit(Verdict.NO_EVIDENCE, attacks=(attack("unet", measured()),), checks=_CHECKED))
    assert told == (
        "De-identified for those without a key by medveil, protection level sealed; measured risk against 1 attack by "
        "somebody without a key: strongest advantage +0.05 dB (picture, PSNR; 95 % interval −0.05 to +0.15 dB)."
    )


@pytest.mark.parametrize("changed", [
    {"data": {"packages": 10000, "images": 44}},
    {"checks": ()},
    {"attacks": (attack("unet", measured()), attack("vnet", refusal="no"), attack("gan", refusal="no"))},
])  # fmt: skip
def test_what_was_hardly_looked_at_is_not_called_de_identified(changed):
    quiet = {"attacks": (attack("unet", measured()),), "checks": _CHECKED}
    report = audit(Verdict.NO_EVIDENCE, **(quiet | changed))
    assert measured_risk(report).endswith("This audit does not say whether the release is de-identified.")
    assert headline(report).startswith("No evidence")
    assert "not a proof" in answer(report)


def test_controls_are_not_blamed_where_an_attack_on_them_failed():
    failed = attack("vnet", status=Status.FAILED, refusal="ValueError")
    quiet = {"attacks": (attack("unet", measured()),), "grounds": {"failed": ("vnet",)}}
    cut_short = audit(Verdict.TOO_WEAK, controls=(control("twin", failed),), **quiet)
    assert headline(cut_short).startswith("Too weak to conclude: a part of this audit failed")
    told = answer(cut_short)
    assert "Controls that say nothing, since an attack on them failed: twin." in told
    assert "did not come out as they must" not in told
    assert "repeat the audit, and report the error" in told
    assert gets(cut_short)[0].startswith("Not known: a part of this audit failed")
    missed = audit(Verdict.TOO_WEAK, controls=(control("twin", failed), control("other", attack("unet", measured()))),
                   **quiet)  # fmt: skip
    assert "did not pass its own controls" in headline(missed)
    assert "did not come out as they must: other." in answer(missed)


@pytest.mark.parametrize("conclusion", list(Verdict))
def test_what_was_broken_is_never_called_de_identified(conclusion):
    told = measured_risk(audit(conclusion))
    assert told.startswith("Not de-identified: ")
    assert "broken by code-decoder" in told


def test_a_failed_check_of_the_form_is_not_de_identified():
    failed = (FormCheck("salts-differ", "Salts", "two alike", False),)
    for conclusion in (Verdict.BROKEN, Verdict.TOO_WEAK):
        told = measured_risk(audit(conclusion, attacks=(attack("unet", measured()),), checks=failed))
        assert told.startswith("Not de-identified: ")
        assert "broken by salts-differ" in told


@pytest.mark.parametrize("conclusion", [Verdict.INCONCLUSIVE, Verdict.TOO_WEAK])
def test_what_was_not_concluded_is_no_claim(conclusion):
    told = measured_risk(audit(conclusion, attacks=attacks(broken=False)))
    assert not re.search(r"^(not )?de-identified", told, re.IGNORECASE)
    assert told.startswith("Risk against 5 attacks")


def test_a_failed_control_does_not_swallow_what_broke_the_release():
    told = headline(audit(Verdict.TOO_WEAK))
    assert told.startswith("Too weak to conclude, and yet broken by code-decoder: ")
    assert answer(audit(Verdict.TOO_WEAK)).startswith(told)
    assert headline(audit(Verdict.TOO_WEAK, attacks=attacks(broken=False))).startswith("Too weak to conclude: ")
    undone = audit(Verdict.TOO_WEAK, attacks=(), controls=(), grounds={"failed": ("unet",)})
    assert headline(undone).startswith("Too weak to conclude: a part of this audit failed")
    wrong = control("random-codes", attack("unet", measured("psnr", 2.0, verdict=Verdict.BROKEN)), positive=False)
    doubted = answer(audit(Verdict.TOO_WEAK, controls=(wrong,)))
    assert "may not be there" in doubted
    assert "what they found is there" not in doubted


def test_how_much_of_a_release_was_looked_at_stands_in_the_first_paragraph():
    data = {"packages": 40, "images": 14, "packages_with_original": 14}
    told = answer(audit(Verdict.NO_EVIDENCE, attacks=(attack("unet", measured()),), data=data))
    assert "Only 14 of 40 packages of images were attacked." in told
    assert "Only 14 of 40 packages of images were compared with their originals." in told
    data = {"packages": 40, "images": 36, "packages_with_original": 40}
    assert "packages of images" not in answer(audit(Verdict.NO_EVIDENCE, data=data))


def test_grounds_name_what_failed():
    failed = attack("unet", status=Status.FAILED, refusal="MemoryError: it needs more memory than there is")
    told = grounds(audit(attacks=(attack("vnet", measured()), failed)))
    assert "0 attacks made no sense here" in told[0]
    assert told[1] == "Failed while running, and so rule out nothing: unet."


def test_no_correction_over_several_controls_is_claimed():
    told = " ".join(grounds(audit()))
    assert "corrected for the number of tests on the release (Holm)" in told
    assert "Each control is a family of tests of its own" in told


def test_rare_leaks_may_have_gone_unseen():
    told = " ".join(not_shown(audit(attacks=(attack("unet", measured(patients=60)),))))
    assert "with 60 patients, a leak in fewer than about 1 in 20 of them may have gone unseen" in told
    assert "the mean stays within the margin, that counts as no evidence" in told
    assert "Rare leaks" not in " ".join(not_shown(audit(attacks=())))


def test_grounds_count_controls_but_not_the_weak_end_of_the_curve():
    told = " ".join(grounds(audit()))
    assert "5 attacks on up to 64 images of 31 patients; 1 attack made no sense here" in told
    assert "2 of 3 that leak were found out, 1 of 1 that do not leak were left alone." in told
    assert "is not known" in " ".join(grounds(audit(controls=())))


def test_a_control_on_which_nothing_ran_is_not_one_that_passed():
    idle = (
        control("random-codes", positive=False),
        control("stale-codes", attack("unet", refusal="no"), positive=False),
    )
    told = " ".join(grounds(audit(controls=(*audit().controls[:1], *idle))))
    assert "1 of 1 that leak were found out, 0 of 0 that do not leak were left alone. Controls that no attack" in told
    assert "could be run on: random-codes and stale-codes." in told
    assert "No control was run" in " ".join(grounds(audit(controls=idle)))


def test_a_part_that_failed_without_attacks_is_told():
    asked = {"attacks": (), "controls": (), "settings": {"attacks": []}, "grounds": {"unfinished": ("checks",)},
             "data": {"unfinished": [{"unit": "checks", "status": "failed", "reason": "ValueError"}]}}  # fmt: skip
    report = audit(Verdict.TOO_WEAK, **asked)
    assert headline(report).startswith("Not attacked, and too weak to conclude anything else: a part")
    assert "Failed while running, and so rule out nothing: checks." in grounds(report)


def test_a_report_of_pictures_for_everybody_speaks_of_no_key_and_no_package():
    checks = (FormCheck("times-alike", "Times of files tell nothing", "All are equal.", True),)
    report = audit(release={"kind": "open", "protection": "warp"}, checks=checks)
    told = " ".join([*not_shown(report), *grounds(report)])
    for word in ("key:", "passphrase", "recipient", "sealed", "package"):
        assert word not in told
    assert "files are those that were signed" in told
    assert "passphrases" in " ".join(not_shown(audit()))


def test_what_is_not_shown_begins_with_the_smallest_visible_leak():
    assert "one below +0.050 (picture, SSIM)" in not_shown(audit())[0]
    sure = audit(attacks=(attack("unet", measured()),))
    assert "Small leaks" not in " ".join(not_shown(sure))


@pytest.mark.parametrize("conclusion", list(Verdict))
def test_no_word_promises_too_much(conclusion):
    report = audit(conclusion, controls=(control("unprotected", attack("unet", measured())),))
    told = " ".join([question(report), answer(report), measured_risk(report), *grounds(report), *not_shown(report)])
    for word in ("anonym", "guarantee", "unbreakable", "proven", " safe", " secure"):
        assert word not in told.lower()


def test_command_that_repeats_it():
    command = repeat_command({"preset": "quick", "seed": 0, "threads": 2, "attacks": ["unet", "vnet"]})
    assert command.startswith("medveil audit RELEASE -i OWNER.key --originals IMAGES")
    assert command.endswith("--preset quick --seed 0 --jobs 2 --attacks unet,vnet")
    assert "--attacks" not in repeat_command({"attacks": []})
