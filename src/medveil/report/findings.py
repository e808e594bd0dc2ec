"""Why an audit concludes what it does, a sentence a line: what was found, what could have been, what controls say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from medveil.audit.facts import manifest_counts
from medveil.audit.judging.possible_verdicts import Judged, PossibleVerdicts
from medveil.audit.record import identification_record
from medveil.audit.results import (
    METRICS,
    AttackResult,
    Audit,
    ControlResult,
    FormCheck,
    Measured,
    Verdict,
    failed_checks,
)
from medveil.report.amounts import amount, interval, listed, metric_name, plural
from medveil.report.identification import failed_controls

_UNATTACKED = "No attack was asked for: nothing is said of what somebody without a key gets from this release."


def because(audit: Audit) -> list[str]:
    """The sentences that say what led to the conclusion. What was found is told first, whatever controls say."""
    attacks, controls, failed = audit.attacks, audit.controls, failed_checks(audit.checks)
    if not audit.attacked:
        return [*map(_malformed, failed), _UNATTACKED, *_failures(audit), *_cautions(audit)]
    by_verdict = {verdict: [attack for attack in attacks if attack.verdict is verdict] for verdict in Verdict}
    broken, quiet = by_verdict[Verdict.BROKEN], by_verdict[Verdict.NO_EVIDENCE]
    ran = [attack for attack in attacks if attack.verdict is not None]
    return [
        *map(_found, broken),
        *map(_malformed, failed),
        *(_weakness(ran, bool(broken or failed), controls) if attacks or audit.identification is None else ()),
        *(failed_controls(identification_record(audit.identification)) if audit.identification else ()),
        *map(_left_open, by_verdict[Verdict.INCONCLUSIVE]),
        *_unfinished(audit),
        *([_ruled_out(quiet)] if quiet else []),
        *_not_covered(attacks, ran, controls),
        *_cautions(audit),
    ]


def failed_parts(audit: Audit) -> list[tuple[str, str]]:
    """(name, reason) of each attack, on the release or a control, and each other part of the audit that failed."""
    found = [(attack.name, attack.refusal) for attack in audit.attacks if attack.failed]
    found += [
        (f"{attack.name} on {control.name}", attack.refusal)
        for control in audit.controls for attack in control.attacks if attack.failed
    ]  # fmt: skip
    return found + [(part["unit"], part["reason"]) for part in audit.data.get("unfinished", ())]


def _weakness(ran: Sequence[AttackResult], broken: bool, controls: Sequence[ControlResult]) -> list[str]:
    told = []
    for control in controls:
        if control.ok:
            continue
        if not control.positive:
            told.append(
                f"{_capital(control.title)} ({control.name}) leaks nothing, and yet {listed(control.by)} found "
                "something in it: what this audit finds may not be there."
            )
        else:
            told.append(
                f"{_capital(control.title)} ({control.name}) leaks, and {_tried(control)}: a leak of "
                f"this kind in the release would have been missed.{_nearest(control)}"
            )
    if not ran and not broken:
        told.append("No attack could be run on the release: nothing was looked for.")
    elif not broken and not any(control.positive and control.by for control in controls):
        told.append("No control that leaks was broken: whether this audit can find anything is not known.")
    return told


def _tried(control: ControlResult) -> str:
    tried = sum(attack.verdict is not None for attack in control.attacks)
    return f"none of {plural(tried, 'attack')} found it" if tried else "no attack could be run on it"


def _nearest(control: ControlResult) -> str:
    """The advantage with the smallest p, if there is one."""
    found = [(one.p, attack, one) for attack in control.attacks for one in attack.measured]
    if not found:
        return ""
    _, attack, one = min(found, key=lambda each: each[0])
    return f" Nearest came {attack.title} with {_gain(one)} (corrected p {one.p:.2g})."


def _found(attack: AttackResult) -> str:
    """What a successful attack gets."""
    gains = [
        f"{_gain(one)}, 95 % interval {interval(one.metric, one.ci)}, corrected p {one.p:.2g}, "
        f"{plural(one.patients, 'patient')}"
        for one in attack.measured
        if one.verdict is Verdict.BROKEN
    ]
    return f"{attack.title} ({attack.name}) breaks the release: {listed(gains)}."


def _malformed(check: FormCheck) -> str:
    """What is wrong with the form of the release."""
    return f"The form of the release fails a check ({check.name}). {check.title}: {check.found}"


def _left_open(attack: AttackResult) -> str:
    """What an undecided attack might still get, and what would have been seen."""
    undecided = [one for one in attack.measured if one.verdict is Verdict.INCONCLUSIVE]
    if not undecided:
        return f"{attack.title} ({attack.name}) is undecided: nothing of what it gave could be measured."
    return f"{attack.title} ({attack.name}) is undecided: {listed([_doubt(one) for one in undecided])}."


def _doubt(one: Measured) -> str:
    ruled = (
        f"up to {amount(one.metric, one.upper, signed=True)} cannot be ruled out "
        f"(margin {amount(one.metric, one.margin)})"
        if math.isfinite(one.upper)
        else "nothing can be ruled out"
    )
    seen = (
        f"{amount(one.metric, one.smallest_visible, signed=True)} would have been seen"
        if math.isfinite(one.smallest_visible)
        else f"no effect could have been seen with {plural(one.patients, 'patient')}"
    )
    return f"{_gain(one)}; {ruled}; {seen}"


def _ruled_out(quiet: Sequence[AttackResult]) -> str:
    """The largest bound and the largest effect that could have gone unseen, a metric."""
    told = []
    for metric in METRICS:
        measured = [one for attack in quiet for one in attack.measured if one.metric == metric]
        if not measured:
            continue
        bound = max(measured, key=lambda one: one.upper)
        visible = [one.smallest_visible for one in measured if math.isfinite(one.smallest_visible)]
        seen = f", {amount(metric, max(visible), signed=True)} would have been seen" if visible else ""
        told.append(
            f"{metric_name(metric)}: at most {amount(metric, bound.upper, signed=True)} "
            f"(margin {amount(metric, bound.margin)}){seen}"
        )
    return f"Within the margins: {plural(len(quiet), 'attack')} ({'; '.join(told)})."


def _unfinished(audit: Audit) -> list[str]:
    """What keeps an audit from saying that there is no evidence, whatever the attacks that ran found."""
    told, attacks, left_out = [], audit.attacks, audit.settings.get("left_out", ())
    if left_out:
        told.append(f"Not asked for, so that nothing can be ruled out: {listed(list(left_out))}.")
    for one in audit.settings.get("unavailable", ()):
        told.append(
            f"Could not be loaded, so that nothing is said of it: {one['name']} ({one['because'].rstrip('.')})."
        )
    told += _failures(audit)
    partial = [attack.name for attack in attacks if attack.partial]
    if partial:
        told.append(f"Not run on all images, so that nothing can be ruled out: {listed(partial)}.")
    return told


def _failures(audit: Audit) -> list[str]:
    """What ended with an error."""
    failed = [f"{name} ({reason.rstrip('.') or 'in a part of its rounds'})" for name, reason in failed_parts(audit)]
    return [f"Failed while running, so that nothing can be ruled out: {'; '.join(failed)}."] if failed else []


def _not_covered(
    attacks: Sequence[AttackResult], ran: Sequence[AttackResult], controls: Sequence[ControlResult]
) -> list[str]:
    """What was not looked for, or by attackers that have not shown that they can see."""
    told = []
    refused = [f"{attack.name} ({attack.refusal.rstrip('.')})" for attack in attacks if _refused(attack)]
    if refused:
        told.append(f"Could not be run on the release, so nothing is said of them: {'; '.join(refused)}.")
    positive = [control for control in controls if control.positive]
    winners = {name for control in positive for name in control.by}
    unproven = [attack.name for attack in ran if attack.name not in winners and attack.verdict is not Verdict.BROKEN]
    if positive and unproven:
        told.append(f"Broke no control here, so that their silence says little: {listed(unproven)}.")
    missed = [control.name for control in positive if control.ok and not control.by]
    if missed:
        told.append(f"Controls that leak little and were not seen, as they need not be: {listed(missed)}.")
    return told


def _refused(attack: AttackResult) -> bool:
    return attack.verdict is None and not attack.failed


def _gain(one: Measured) -> str:
    return f"{amount(one.metric, one.advantage, signed=True)} ({metric_name(one.metric)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def coverage(audit: Audit) -> list[str]:
    """Which packages and patients were not, or not as such, under attack."""
    counts, told = audit.data.get("found", {}), []
    if not audit.data.get("patients_known", True):
        told.append(
            "No manifest said who is who: every image counts as a patient of its own. Linkage could not be tested, and "
            "intervals are too narrow where patients have several images."
        )
    told += manifest_told(manifest_counts(counts))
    lost = counts.get("packages_without_original", 0)
    if lost:
        told.append(f"{lost} packages were not attacked, since their originals are not among those that were given.")
    closed = counts.get("packages_closed_to_key", 0)
    if closed:
        told.append(f"Not attacked, since this key does not say whose they are: {plural(closed, 'package')}.")
    other = counts.get("originals_of_another_size", 0)
    if other:
        told.append(
            "Not attacked, since their originals have another size now, and so have changed since they were shared: "
            f"{plural(other, 'package')}."
        )
    return told


def manifest_told(counts: Mapping[str, int]) -> list[str]:
    """What of a manifest and a release did not find each other, see `manifest_counts`."""
    told = []
    if counts.get("unmatched"):
        told.append(
            f"Rows of the manifest that name no file among the originals: {counts['unmatched']} of {counts['rows']}."
        )
    if counts.get("by_name"):
        told.append(f"Rows that match a file by its name alone, while their folders differ: {counts['by_name']}.")
    if counts.get("unlisted"):
        told.append(
            f"The manifest does not list {plural(counts['unlisted'], 'image')} of the release: each counts as a "
            "patient of its own."
        )
    return told


def verdicts_told(possible: Sequence[PossibleVerdicts]) -> list[str]:
    """Which verdicts the patients under attack do not allow."""
    return [sentence for one in possible if (sentence := _not_possible(one))]


_WHO = {
    Judged.IMAGES: ("what an attack makes of an image", "under attack"),
    Judged.LINKAGE: ("whether two packages show one person", "with several images of one data set, view and size"),
}


def _not_possible(one: PossibleVerdicts) -> str:
    what, who = _WHO[one.of]
    there = f"{plural(one.patients, 'patient')} {who}"
    if one.patients < one.verdict_from:
        return f"No verdict on {what}: {there}; it takes {one.verdict_from}."
    if one.patients < one.broken_from:
        return f"Nothing can come out as broken in {what}: {there}; it takes {one.broken_from}."
    if one.open_below > one.margin:
        return (
            f"Likely inconclusive, {what}: with {there} an advantage of up to about "
            f"{amount('linkage_auc', one.open_below, signed=True)} is not ruled out (margin "
            f"{amount('linkage_auc', one.margin)})."
        )
    if one.patients < one.alike_from:
        return f"No evidence cannot be said of every attack, {what}: {there}; it takes {one.alike_from}."
    return ""


def _cautions(audit: Audit) -> list[str]:
    """Sentences on what the data cannot show."""
    counts, told = audit.data.get("found", {}), coverage(audit)
    if counts.get("matched_by_path_only"):
        told.append("Some originals were found by their path alone: their files have changed since they were shared.")
    if counts.get("mixed_depths"):
        told.append(
            "The release mixes images of 8 bits with deeper ones. Working pictures have one range for all, in which "
            "those of 8 bits are dark: figures of pictures say less of them."
        )
    return told
