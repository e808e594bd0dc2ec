"""The report's sentences: what the numbers of an audit mean, in plain words and no stronger than they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medveil.audit.judging.decision import Ground
from medveil.audit.record import OPEN, broken_by, excellent_share, expected_of, leading, ranked, strict_share
from medveil.audit.request import NO_ATTACK
from medveil.audit.results import AttackResult, Audit, ControlResult, Measured, Verdict, failed_checks
from medveil.audit.targets.target import SetKind
from medveil.experiments.unit import Status
from medveil.metrics.inference import Compared, Standing
from medveil.report.amounts import NOT_MEASURED, amount, interval, listed, metric_name, percent, plural, thing_of
from medveil.report.findings import failed_parts
from medveil.tasks.radiomics_compare import EXCELLENT_ABOVE
from medveil.tasks.results import Estimate, FeatureAgreement, Question

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
UNFINISHED = "Too weak to conclude: a part of this audit failed, and what was not done has shown nothing."
UNATTACKED = "Not attacked: this audit says nothing of what somebody without a key gets out of this release."
BROKEN_UNATTACKED = "Broken in its form, and not attacked: what else somebody without a key gets is not said."
UNFINISHED_UNATTACKED = "Not attacked, and too weak to conclude anything else: a part of this audit failed."
_MOST_OF_IT = 0.9
_REPEAT = "Nothing that was not done is a reassurance; repeat the audit, and report the error if it comes again."
_ADVICE = {
    Verdict.BROKEN: "Treat what was found as readable by everybody who holds the release folder.",
    Verdict.NO_EVIDENCE: "That is a statement about these attacks on these images, not a proof.",
    Verdict.INCONCLUSIVE: "More images and patients, or a larger preset, would narrow it down.",
    Verdict.TOO_WEAK: "No attack that failed here is a reassurance; repeat the audit with more images or a larger "
    "preset.",
    Verdict.MEASURED: "Weigh what was found against what the pictures are still good for.",
}

_MASKS = {
    "masks_of_another_size": "have another size than their image",
    "masks_unreadable": "cannot be read as a grey picture of 8 to 16 bits",
    "masks_without_area": "are empty",
}
ENDED = {Status.DONE: "done", Status.REFUSED: "not possible", Status.FAILED: "failed"}
_STANDINGS = {
    Standing.NON_INFERIOR: "non-inferior within {margin:g}",
    Standing.INFERIOR: "worse, by more than {margin:g}",
    Standing.INCONCLUSIVE: "not decided with {patients}",
}


def measured_sentence(result: AttackResult, measured: Measured) -> str:
    """One metric of one attack in words."""
    gain = amount(measured.metric, measured.advantage, signed=True)
    what = metric_name(measured.metric)
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
    if audit.release.get("kind") == OPEN:
        return (
            f"Everybody may have the pictures of this release (method {level}). Somebody holds images of other people, "
            "and applies the method to them to learn from. What does she get of an image from its released picture "
            "that she would not get from another one: how it looked, or whose it is? What are the pictures good for?"
        )
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
        unfinished = Ground.UNFINISHED in audit.grounds
        return BROKEN_UNATTACKED if found else UNFINISHED_UNATTACKED if unfinished else UNATTACKED
    if audit.conclusion is not Verdict.TOO_WEAK or not found:
        return UNFINISHED if weak_by_failure(audit) else HEADLINES[audit.conclusion]
    why = "a part of this audit failed" if weak_by_failure(audit) else "this audit did not pass its own controls"
    return (
        f"Too weak to conclude, and yet broken by {listed(found)}: {why}, and an attacker without a key gets something "
        "out of this release."
    )


def weak_by_failure(audit: Audit) -> bool:
    """Whether an audit is too weak since a part of it ended with an error, and no control is to blame."""
    undone = {Ground.FAILED, Ground.UNFINISHED} & audit.grounds.keys()
    return audit.conclusion is Verdict.TOO_WEAK and bool(undone) and not any(map(_to_blame, audit.controls))


def _to_blame(control: ControlResult) -> bool:
    """Whether a control came out wrong, and not for an attack on it that ended with an error."""
    cut_short = control.positive and any(attack.failed for attack in control.attacks)
    return not control.ok and not cut_short


def answer(audit: Audit) -> str:
    """The answer, in one paragraph."""
    attacks = ranked(audit.attacks)
    if not audit.attacked:
        return " ".join([headline(audit), *_form(audit)])
    counts = {verdict: [a for a in attacks if a.verdict is verdict] for verdict in Verdict}
    parts = [headline(audit), *part_of_it(audit)]
    if not attacks:
        parts += ["No attack could be run on the release."] if audit.identification is None else []
    elif audit.conclusion is Verdict.BROKEN:
        broken = counts[Verdict.BROKEN]
        parts.append(f"{len(broken)} of {plural(len(attacks), 'attack')} succeeded.")
        parts += _form(audit)
    else:
        parts.append(_tally(len(attacks), counts))
    if audit.conclusion is Verdict.TOO_WEAK:
        failed = [control.name for control in audit.controls if _to_blame(control)]
        cut_short = [control.name for control in audit.controls if not control.ok and not _to_blame(control)]
        if cut_short:
            parts.append(f"Controls that say nothing, since an attack on them failed: {listed(cut_short)}.")
        if failed:
            parts.append(f"Controls that did not come out as they must: {listed(failed)}.")
        if counts[Verdict.BROKEN]:
            parts.append(_despite(audit))
    strongest = next(((a, lead) for a in attacks if (lead := leading(a)) is not None), None)
    if strongest is not None:
        parts.append(f"The strongest: {measured_sentence(*strongest)}")
    parts.append(_REPEAT if weak_by_failure(audit) else _ADVICE[audit.conclusion])
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


def part_of_it(audit: Audit) -> list[str]:
    """A sentence where much of the release was not looked at."""
    told = []
    packages = audit.data.get("packages")
    asked = [("images", "attacked")] if audit.attacks else []
    for name, what in (*asked, ("packages_with_original", "compared with their originals")):
        count = audit.data.get(name)
        if isinstance(packages, int) and isinstance(count, int) and count < _MOST_OF_IT * packages:
            of_images = "pictures" if thing_of(audit.release) == "picture" else "packages of images"
            told.append(f"Only {count} of {packages} {of_images} were {what}.")
    return told


def _looked_at_little(audit: Audit) -> bool:
    """Whether so much was not looked at that nothing may be called de-identified, whatever the attacks found."""
    refused = sum(attack.status is Status.REFUSED for attack in audit.attacks)
    unchecked = not any(check.tried for check in audit.checks)
    return bool(part_of_it(audit)) or unchecked or 2 * refused > len(audit.attacks)


def _tally(total: int, counts: Mapping[Verdict, Sequence[AttackResult]]) -> str:
    told = [
        f"{len(counts[verdict])} {VERDICT_WORDS[verdict]}"
        for verdict in (Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.NO_EVIDENCE)
        if counts[verdict]
    ]
    return f"Of {plural(total, 'attack')}: {listed(told)}."


def measured_risk(audit: Audit) -> str:
    """The one sentence about risk that this report supports. Where it supports none it makes no claim."""
    open_release = audit.release.get("kind") == OPEN
    level = f"{'method' if open_release else 'protection level'} {audit.release.get('protection', 'unknown')}"
    attacks = ranked(audit.attacks)
    if not audit.attacked and not broken_by(audit):
        return "Risk: not measured. This audit does not say whether the release is de-identified."
    lead = next((found for found in map(leading, attacks) if found is not None), None)
    against = f"against {plural(len(attacks), 'attack')}" + ("" if open_release else " by somebody without a key")
    found = broken_by(audit)
    if audit.conclusion is Verdict.TOO_WEAK and not found:
        return f"Risk {against}: not measured, since this audit is too weak to conclude."
    strongest = "not measured"
    if lead is not None:
        gain = amount(lead.metric, lead.advantage, signed=True)
        name = metric_name(lead.metric)
        strongest = f"strongest advantage {gain} ({name}; 95 % interval {interval(lead.metric, lead.ci)})"
    if found or audit.conclusion is Verdict.BROKEN:
        by = f" It was broken by {listed(found)}." if found else ""
        return f"Not de-identified: release of medveil, {level}.{by} Risk {against}: {strongest}."
    if audit.conclusion is not Verdict.NO_EVIDENCE or _looked_at_little(audit):
        return f"Risk {against}: {strongest}. This audit does not say whether the release is de-identified."
    return f"De-identified for those without a key by medveil, {level}; measured risk {against}: {strongest}."


def grounds(audit: Audit) -> list[str]:
    """What the answer rests on."""
    if not audit.attacked:
        return ["No attack was run, and no control.", *failed_told(audit), *_checks_told(audit)]
    attacks = ranked(audit.attacks)
    refused = sum(attack.status is Status.REFUSED for attack in audit.attacks)
    patients = _most_patients(audit)
    images = max((m.images for a in attacks for m in a.measured), default=0)
    told = [
        f"{plural(len(attacks), 'attack')} on up to {plural(images, 'image')} of {plural(patients, 'patient')}; "
        f"{plural(refused, 'attack')} made no sense here, for the reasons given below.",
        "The attacker learned from images of other patients, and was chosen on further ones. Each attack is compared "
        f"with itself, given another {thing_of(audit.release)} with the same visible header: what it gets then is “no "
        "information”.",
        "Intervals are bootstrapped over patients, not images; upper bounds and p-values are corrected for the number "
        "of tests on the release (Holm). Each control is a family of tests of its own: nothing is corrected for there "
        "being several of them.",
    ]
    if not attacks and audit.identification is not None:
        told = []
    told[1:1] = failed_told(audit)
    return [*told, *controls_told(audit), *_checks_told(audit)]


def failed_told(audit: Audit) -> list[str]:
    """What ended with an error."""
    failed = [name for name, _ in failed_parts(audit)]
    return [f"Failed while running, and so rule out nothing: {listed(failed)}."] if failed else []


def control_images(on: Mapping[str, int]) -> str:
    """What a control was run on, such as "90 images of 41 patients, 12 of them invented"; see `ControlResult.on`."""
    if not on:
        return ""
    told = f"{plural(on['images'], 'image')} of "
    if on["invented"] == on["patients"]:
        return told + plural(on["patients"], "invented patient")
    return told + plural(on["patients"], "patient") + (f", {on['invented']} of them invented" if on["invented"] else "")


def controls_told(audit: Audit) -> list[str]:
    """What came of the controls. One on which nothing ran counts for nothing."""
    tried = [control for control in audit.controls if control.tried]
    if not tried and audit.identification is not None:
        return []
    if not tried:
        return ["No control was run: whether this audit would have found a leak is not known."]
    leaky = [control for control in tried if expected_of(control) == "broken"]
    tight = [control for control in tried if not control.positive]
    told = (
        f"The same attacks on mechanisms whose answer is known: {sum(one.ok for one in leaky)} of {len(leaky)} that "
        f"leak were found out, {sum(one.ok for one in tight)} of {len(tight)} that do not leak were left alone."
    )
    invented = sum(bool(one.on.get("invented")) for one in tried)
    if invented:
        told += f" {invented} of them were run on invented patients, or on patients filled up with some."
    idle = [control.name for control in audit.controls if not control.tried]
    return [told + (f" Controls that no attack could be run on: {listed(idle)}." if idle else "")]


def _checks_told(audit: Audit) -> list[str]:
    tried = sum(check.tried for check in audit.checks)
    if not tried:
        return []
    if audit.release.get("kind") == OPEN:
        return [
            f"{plural(tried, 'check')} of the form of this very release: whether the files are those that were signed, "
            "and no other, and whether their times tell anything."
        ]
    return [
        f"{plural(tried, 'check')} of the form of this very release: values that must not repeat, "
        "bytes that must look random, sealed codes in pairs, lengths, names, times, added files, and keys that "
        "must not fit."
    ]


def _most_patients(audit: Audit) -> int:
    return max((m.patients for a in ranked(audit.attacks) for m in a.measured), default=0)


def not_shown(audit: Audit) -> list[str]:
    """What the answer does not show."""
    open_release = audit.release.get("kind") == OPEN
    better = "That nobody can do better. Attacks get better; an attack that is not in the table was not tried."
    others = "Anything about images of another kind than those of this release: other devices, body parts or sizes."
    of_keys = [
        "Anything about people who hold a key: who opens an image sees all of it, and can pass it on. "
        "Text burned into a picture stays in it.",
        others,
        "Anything about the machines, the passphrases and the people who handle the keys, or about timing.",
        "Anything about what everybody can see by design: number of images, size classes, settings, the day, the "
        "owner's public key.",
    ]
    of_pictures = [
        "Anything that somebody tells from what a picture shows, such as a rare finding or text that is burned into "
        "it: only likeness to other pictures was looked at.",
        others,
        "Anything about other releases of the same images, by other methods, or by people who have them too.",
        "Anything about what everybody can see by design: the pictures, their number and sizes, the method with its "
        "settings, the day, the owner's public key.",
    ]
    purpose = "the pictures" if open_release else "what recipients open"
    told = [
        *_rare(audit), better, *(of_pictures if open_release else of_keys),
        f"Whether the quality of {purpose} is enough for a purpose"
        + (" beyond the tasks above." if audit.tasks else "."),
    ]  # fmt: skip
    if not audit.attacked:
        told[0] = "What somebody without a key gets: no attack was asked for."
    wide = [m for a in ranked(audit.attacks) for m in a.measured if m.verdict is Verdict.INCONCLUSIVE]
    if wide:
        least = max(wide, key=lambda m: m.smallest_visible / m.margin if m.margin > 0 else 0.0)
        size = amount(least.metric, least.smallest_visible, signed=True)
        name = metric_name(least.metric)
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


def standing_words(standing: str, margin: float, patients: int) -> str:
    """ "non-inferior within 0.02"."""
    return _STANDINGS[Standing(standing)].format(margin=margin, patients=plural(patients, "patient"))


def question_sentence(question: Question, name: str) -> str:
    """One question at one quality: trained and tested on images of that set, against originals."""
    cell = found_cell(question, name)
    if cell is None or question.metric not in cell[0]:
        return f"{question.title}: {NOT_MEASURED}"
    values, compared = cell
    metric = metric_name(question.metric)
    told = f"{question.title}: {metric} {amount(question.metric, values[question.metric].mean)}"
    if compared is None:
        return told
    words = standing_words(compared.standing.value, compared.margin, question.patients)
    gap = f"{amount(question.metric, compared.difference, signed=True)} ({interval(question.metric, compared.ci)})"
    return f"{told}, {gap} against originals: {words}"


def agreement_sentence(agreement: FeatureAgreement) -> str:
    """How many texture features agree."""
    share = excellent_share(agreement)
    strict = strict_share(agreement)
    beside = "" if strict is None else f"; of ICC(2,1): {percent(strict)}"
    return (
        f"{percent(share)} of {plural(len(agreement.features), 'feature')} agree excellently ({agreement.bins}; lower "
        f"bound of ICC(3,1) above {EXCELLENT_ABOVE}{beside}; {plural(agreement.patients, 'patient')})"
    )


def image_sentences(found: Mapping[str, Any]) -> list[str]:
    """Which images tasks saw, and what of the manifest could not be used.

    Args:
        found: what stands in report.json under `data`, `tasks`.
    """
    if "images" not in found:
        return []
    counts = found.get("found", {})
    who = f"{plural(found['images'], 'image')} of {plural(found.get('patients', 0), 'patient')}"
    matched = plural(found.get("packages_with_original", 0), "package")
    told = [
        f"Tasks saw {who}: those that the manifest lists, of {matched} with an original; where there were more than "
        f"the preset allows, whole patients were drawn. {found.get('labelled', 0)} have a label, "
        f"{found.get('masked', 0)} a mask."
    ]
    for name, words in _MASKS.items():
        if counts.get(name):
            told.append(f"Masks that count as none, since they {words}: {counts[name]}.")
    if counts.get("folds_left_aside"):
        told.append("The manifest's folds were left aside: not every image has one, or none is there to train or test.")
    return told


def task_lines(audit: Audit) -> list[str]:
    """For the terminal: a line a question for each tier of the release."""
    lines = []
    for result in audit.tasks:
        if result.status is not Status.DONE:
            lines.append(f"{result.name}: {ENDED[result.status]}: {result.refusal}")
            continue
        for tier in _tiers(audit):
            lines += [f"{tier:13}{question_sentence(question, tier)}" for question in result.questions]
            found = [each for each in result.agreements if each.set_name == tier]
            lines += [f"{tier:13}{result.title}: {agreement_sentence(each)}" for each in found]
    return lines


def task_results(audit: Audit) -> list[dict[str, Any]]:
    """The same as plain values."""
    told = []
    for result in audit.tasks:
        tiers = {
            tier: {
                "questions": {
                    question.name: cell[1].standing.value
                    for question in result.questions
                    if (cell := found_cell(question, tier)) is not None and cell[1] is not None
                },
                "excellent_share": {
                    each.bins: round(excellent_share(each), 6) for each in result.agreements if each.set_name == tier
                },
            }
            for tier in _tiers(audit)
        }
        told.append({"name": result.name, "refused": result.refusal, "tiers": tiers})
    return told


def _tiers(audit: Audit) -> list[str]:
    """Names of the sets that come of a release."""
    if audit.release.get("kind") == OPEN:
        return [SetKind.ANONYMIZED.value]
    return [str(tier) for tier in audit.release.get("tiers", [])]


def found_cell(question: Question, name: str) -> tuple[dict[str, Estimate], Compared | None] | None:
    """Values and difference to originals where training and testing are of this set; None where they never were."""
    try:
        cell = question.cell(name, name)
    except KeyError:
        return None
    return dict(cell.values), cell.compared
