"""The report's sentences: what the numbers of an audit mean, in plain words and no stronger than they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medveil.audit.record import broken_by, expected_of, leading, ranked
from medveil.audit.request import NO_ATTACK
from medveil.audit.results import AttackResult, Audit, Measured, Verdict, failed_checks

NOT_MEASURED = "not measured"

METRIC_NAMES = {
    "psnr": "picture, PSNR",
    "ssim": "picture, SSIM",
    "support_auc": "true cells, AUC",
    "linkage_auc": "same patient, AUC",
    "me": "mean error, grey values",
    "mae": "mean absolute error, grey values",
    "rmse": "RMSE, grey values",
    "ms_ssim": "MS-SSIM",
}
UNITS = {"psnr": "dB"}
_DECIMALS = {"psnr": 2, "me": 2, "mae": 2, "rmse": 2}

VERDICT_WORDS = {
    Verdict.BROKEN: "broken",
    Verdict.NO_EVIDENCE: "no evidence",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.TOO_WEAK: "too weak to conclude",
    Verdict.MEASURED: "measured",
}
HEADLINES = {
    Verdict.BROKEN: "Broken: an attacker without a key gets something out of this release.",
    Verdict.NO_EVIDENCE: "No evidence that an attacker without a key gets anything out of this release.",
    Verdict.INCONCLUSIVE: "Inconclusive: this audit neither found a leak nor could rule one out.",
    Verdict.TOO_WEAK: "Too weak to conclude: this audit did not pass its own controls.",
    Verdict.MEASURED: "Measured: the released pictures are for everybody, and this is what they give away.",
}
UNATTACKED = "Not attacked: this audit says nothing of what somebody without a key gets out of this release."
BROKEN_UNATTACKED = "Broken in its form, and not attacked: what else somebody without a key gets is not said."
_MOST_OF_IT = 0.9
_ADVICE = {
    Verdict.BROKEN: "Treat what was found as readable by everybody who holds the release folder.",
    Verdict.NO_EVIDENCE: "That is a statement about these attacks on these images, not a proof.",
    Verdict.INCONCLUSIVE: "More images and patients, or a larger preset, would narrow it down.",
    Verdict.TOO_WEAK: "No attack that failed here is a reassurance; repeat the audit with more images or a larger "
    "preset.",
    Verdict.MEASURED: "Weigh what was found against what the pictures are still good for.",
}


def amount(metric: str, value: float | None, *, signed: bool = False) -> str:
    """A value of a metric with its unit: "18.90 dB", "0.512"; with a sign where it is a difference."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    digits = _DECIMALS.get(metric, 3)
    text = f"{abs(value):.{digits}f}"
    negative = value < 0 and float(text) != 0
    sign = "−" if negative else "+" if signed else ""
    unit = UNITS.get(metric, "")
    return f"{sign}{text} {unit}".rstrip()


def interval(metric: str, ends: Sequence[float | None] | None) -> str:
    """ "+0.10 to +0.32 dB"."""
    if ends is None or any(end is None or not math.isfinite(end) for end in ends):
        return NOT_MEASURED
    low, high = (amount(metric, end, signed=True) for end in ends)
    unit = UNITS.get(metric, "")
    return f"{low.removesuffix(unit).rstrip()} to {high}"


def chance(p: float | None) -> str:
    """A p-value: "0.031", "below 0.001"."""
    if p is None or not math.isfinite(p):
        return NOT_MEASURED
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def plural(count: int, noun: str) -> str:
    """3, "attack" -> "3 attacks"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def duration(seconds: float) -> str:
    """90 -> "2 minutes"."""
    if not math.isfinite(seconds):
        return NOT_MEASURED
    if seconds < 60:
        return plural(max(round(seconds), 1), "second")
    if seconds < 5400:
        return plural(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"


def measured_sentence(result: AttackResult, measured: Measured) -> str:
    """One metric of one attack in words."""
    gain = amount(measured.metric, measured.advantage, signed=True)
    what = METRIC_NAMES.get(measured.metric, measured.metric)
    numbers = f"{gain} over no information ({what}; 95 % interval {interval(measured.metric, measured.ci)})"
    if measured.verdict is Verdict.BROKEN:
        return f"{result.title} gets {numbers}."
    if measured.verdict is Verdict.NO_EVIDENCE:
        bound = amount(measured.metric, measured.upper, signed=True)
        margin = amount(measured.metric, measured.margin)
        return f"{result.title} gets {numbers}; at most {bound} at 95 % certainty, within the margin of {margin}."
    if not math.isfinite(measured.smallest_visible):
        return f"{result.title} gets {numbers}; with {measured.patients} patients this test could not have seen any."
    least = amount(measured.metric, measured.smallest_visible, signed=True)
    return f"{result.title} gets {numbers}; this audit would have seen an advantage of {least} or more."


def question(audit: Audit) -> str:
    """What was asked."""
    level = str(audit.release.get("protection", "unknown"))
    if not audit.attacked:
        return (
            f"What can be done with the images that recipients open from a release of protection level {level}? What "
            "somebody without a key gets was not asked."
        )
    return (
        f"Somebody holds the whole release (protection level {level}), the program, the public codec and images of "
        "her own with which to train, but no key. Does she learn anything of an image from its package that she would "
        "not learn from another package of the same size class: how it looks, which entries of its code are true, "
        "or whose it is?"
    )


def headline(audit: Audit) -> str:
    """The conclusion in one sentence. What broke the release is told in it even where a control failed."""
    found = broken_by(audit)
    if not audit.attacked:
        return BROKEN_UNATTACKED if found else UNATTACKED
    if audit.conclusion is not Verdict.TOO_WEAK or not found:
        return HEADLINES[audit.conclusion]
    return (
        f"Too weak to conclude, and yet broken by {listed(found)}: this audit did not pass its own controls, and an "
        "attacker without a key gets something out of this release."
    )


def answer(audit: Audit) -> str:
    """The answer, in one paragraph."""
    attacks = ranked(audit.attacks)
    if not audit.attacked:
        return " ".join([headline(audit), *_form(audit)])
    counts = {verdict: [a for a in attacks if a.verdict is verdict] for verdict in Verdict}
    parts = [headline(audit), *_part_of_it(audit)]
    if not attacks:
        parts.append("No attack could be run on the release.")
    elif audit.conclusion is Verdict.BROKEN:
        broken = counts[Verdict.BROKEN]
        parts.append(f"{len(broken)} of {plural(len(attacks), 'attack')} succeeded.")
        parts += _form(audit)
    else:
        parts.append(_tally(len(attacks), counts))
    if audit.conclusion is Verdict.TOO_WEAK:
        failed = [control.name for control in audit.controls if not control.ok]
        if failed:
            parts.append(f"Controls that did not come out as they must: {listed(failed)}.")
        if counts[Verdict.BROKEN]:
            parts.append(_despite(audit))
    strongest = next(((a, lead) for a in attacks if (lead := leading(a)) is not None), None)
    if strongest is not None:
        parts.append(f"The strongest: {measured_sentence(*strongest)}")
    parts.append(_ADVICE[audit.conclusion])
    return " ".join(parts)


def _form(audit: Audit) -> list[str]:
    """A sentence where the form of the release fails a check."""
    failed = [check.name for check in failed_checks(audit.checks)]
    return [f"Checks of the form that it fails: {listed(failed)}."] if failed else []


def _despite(audit: Audit) -> str:
    """What a failed control means for what was found."""
    if any(not control.ok and not control.positive for control in audit.controls):
        return "What was found in this release may not be there, since something was found where there is nothing."
    return "The attacks that succeeded did so all the same: what they found is there."


def _part_of_it(audit: Audit) -> list[str]:
    """A sentence where much of the release was not looked at."""
    told = []
    packages = audit.data.get("packages")
    for name, what in (("images", "attacked"), ("packages_with_original", "compared with their originals")):
        count = audit.data.get(name)
        if isinstance(packages, int) and isinstance(count, int) and count < _MOST_OF_IT * packages:
            told.append(f"Only {count} of {packages} packages of images were {what}.")
    return told


def _tally(total: int, counts: Mapping[Verdict, Sequence[AttackResult]]) -> str:
    told = [
        f"{len(counts[verdict])} {VERDICT_WORDS[verdict]}"
        for verdict in (Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.NO_EVIDENCE)
        if counts[verdict]
    ]
    return f"Of {plural(total, 'attack')}: {listed(told)}."


def measured_risk(audit: Audit) -> str:
    """The one sentence about risk that this report supports. Where it supports none it makes no claim."""
    level = str(audit.release.get("protection", "unknown"))
    attacks = ranked(audit.attacks)
    if not audit.attacked and not broken_by(audit):
        return "Risk: not measured. This audit does not say whether the release is de-identified."
    lead = next((found for found in map(leading, attacks) if found is not None), None)
    against = f"against {plural(len(attacks), 'attack')} by somebody without a key"
    found = broken_by(audit)
    if audit.conclusion is Verdict.TOO_WEAK and not found:
        return f"Risk {against}: not measured, since this audit is too weak to conclude."
    strongest = "not measured"
    if lead is not None:
        gain = amount(lead.metric, lead.advantage, signed=True)
        name = METRIC_NAMES.get(lead.metric, lead.metric)
        strongest = f"strongest advantage {gain} ({name}; 95 % interval {interval(lead.metric, lead.ci)})"
    if found or audit.conclusion is Verdict.BROKEN:
        by = f" It was broken by {listed(found)}." if found else ""
        return f"Not de-identified: release of medveil, protection level {level}.{by} Risk {against}: {strongest}."
    if audit.conclusion is Verdict.INCONCLUSIVE:
        return f"Risk {against}: {strongest}. This audit does not say whether the release is de-identified."
    return (
        f"De-identified for those without a key by medveil, protection level {level}; measured risk {against}: "
        f"{strongest}."
    )


def grounds(audit: Audit) -> list[str]:
    """What the answer rests on."""
    if not audit.attacked:
        return ["No attack was run, and no control.", *_checks_told(audit)]
    attacks = ranked(audit.attacks)
    failed = [attack.name for attack in audit.attacks if attack.failed]
    refused = len(audit.attacks) - len(attacks) - len(failed)
    patients = _most_patients(audit)
    images = max((m.images for a in attacks for m in a.measured), default=0)
    positive = [control for control in audit.controls if expected_of(control) == "broken"]
    negative = [control for control in audit.controls if not control.positive]
    told = [
        f"{plural(len(attacks), 'attack')} on up to {plural(images, 'image')} of {plural(patients, 'patient')}; "
        f"{plural(refused, 'attack')} made no sense here, for the reasons given below.",
        "The attacker learned from images of other patients, and was chosen on further ones. Each attack is compared "
        "with itself, given another package with the same visible header: what it gets then is “no information”.",
        "Intervals are bootstrapped over patients, not images; upper bounds and p-values are corrected for the number "
        "of tests on the release (Holm). Each control is a family of tests of its own: nothing is corrected for there "
        "being several of them.",
    ]
    if failed:
        told.insert(1, f"Failed while running, and so rule out nothing: {listed(failed)}.")
    if audit.controls:
        good = sum(control.ok for control in positive)
        quiet = sum(control.ok for control in negative)
        told.append(
            f"The same attacks ran in the same way on mechanisms whose answer is known: {good} of "
            f"{len(positive)} that leak came out as they must, and {quiet} of {len(negative)} that do not leak."
        )
    else:
        told.append("No control was run: whether this audit would have found a leak is not known.")
    return [*told, *_checks_told(audit)]


def _checks_told(audit: Audit) -> list[str]:
    if not audit.checks:
        return []
    return [
        f"{plural(len(audit.checks), 'check')} of the form of this very release: values that must not repeat, "
        "bytes that must look random, sealed codes in pairs, lengths, names, times, added files, and keys that "
        "must not fit."
    ]


def _most_patients(audit: Audit) -> int:
    return max((m.patients for a in ranked(audit.attacks) for m in a.measured), default=0)


def not_shown(audit: Audit) -> list[str]:
    """What the answer does not show."""
    told = [
        *_rare(audit),
        "That nobody can do better. Attacks get better; an attack that is not in the table was not tried.",
        "Anything about people who hold a key: who opens an image sees all of it, and can pass it on. "
        "Text burned into a picture stays in it.",
        "Anything about images of another kind than those of this release: other devices, body parts or sizes.",
        "Anything about the machines, the passphrases and the people who handle the keys, or about timing.",
        "Anything about what everybody can see by design: number of images, size classes, settings, the day, the "
        "owner's public key.",
        "Whether the quality of what recipients open is enough for a purpose"
        + (" beyond the tasks above." if audit.tasks else "."),
    ]
    if not audit.attacked:
        told[0] = "What somebody without a key gets: no attack was asked for."
    wide = [m for a in ranked(audit.attacks) for m in a.measured if m.verdict is Verdict.INCONCLUSIVE]
    if wide:
        least = max(wide, key=lambda m: m.smallest_visible / m.margin if m.margin > 0 else 0.0)
        size = amount(least.metric, least.smallest_visible, signed=True)
        name = METRIC_NAMES.get(least.metric, least.metric)
        seen = f"one below {size}" if math.isfinite(least.smallest_visible) else "one of any size"
        told.insert(0, f"Small leaks: in the least sensitive test, {seen} ({name}) may have gone unseen.")
    return told


def _rare(audit: Audit) -> list[str]:
    """What a mean over few patients cannot show: of n without a leak, at 95 % certainty, up to 3/n have one."""
    patients = _most_patients(audit)
    if not patients:
        return []
    seen = max(round(patients / 3), 1)
    return [
        f"Rare leaks: with {plural(patients, 'patient')}, a leak in fewer than about 1 in {seen} of them may have gone "
        "unseen, however large it is. Advantages are means over all images: where a few patients are wholly readable "
        "and the mean stays within the margin, that counts as no evidence here."
    ]


def repeat_command(settings: Mapping[str, Any]) -> str:
    """The command that repeats the audit; what only its reader knows is in capitals."""
    parts = ["medveil audit RELEASE -i OWNER.key --originals IMAGES --manifest MANIFEST.csv -o NEW-FOLDER"]
    for name in ("preset", "seed"):
        if settings.get(name) is not None:
            parts.append(f"--{name} {settings[name]}")
    if settings.get("threads"):
        parts.append(f"--jobs {settings['threads']}")
    chosen = settings.get("attacks")
    if isinstance(chosen, list | tuple) and settings.get("chosen", bool(chosen)):
        parts.append(f"--attacks {','.join(str(name) for name in chosen) or NO_ATTACK}")
    for name in ("tasks", "compare", "networks"):
        if settings.get(name):
            parts.append(f"--{name} {','.join(str(one) for one in settings[name])}")
    return " ".join(parts)
