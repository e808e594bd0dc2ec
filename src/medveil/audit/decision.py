"""From verdicts to the one conclusion of a report, and why: what was found, what could have been, what controls say."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medveil.audit.results import AttackResult, ControlResult, FormCheck, Measured, Verdict
from medveil.audit.wording import METRIC_NAMES, amount, interval, listed, plural


def control_result(
    name: str, title: str, positive: bool, attacks: Sequence[AttackResult], must: bool = True
) -> ControlResult:
    """What the attacks made of one control.

    Args:
        name, title: of the control.
        positive: whether there is something to find in it.
        attacks: all that were run on it.
        must: whether a positive control has to be broken; rows of the sensitivity curve need not be.

    Returns:
        `ok`: a positive control that must be broken was, by any attack; a negative one was not, by none.
    """
    by = tuple(attack.name for attack in attacks if attack.verdict is Verdict.BROKEN)
    ok = (bool(by) or not must) if positive else not by
    return ControlResult(name, title, positive, tuple(attacks), by, ok)


def conclude(
    attacks: Sequence[AttackResult], controls: Sequence[ControlResult], left_out: Sequence[str] = (),
    checks: Sequence[FormCheck] = (),
) -> tuple[Verdict, tuple[str, ...]]:  # fmt: skip
    """The conclusion of an audit, and the sentences that say what led there.

    *too-weak* whenever a control did not come out as it must: one that leaks was not broken, or one that does not leak
    was. The sentences still say what was found: a failed control is no excuse for a hole. Also when nothing was broken
    and no control was either: an audit that has found nothing anywhere has not shown that it can find anything, and one
    in which no attack ran has looked for nothing. Else *broken* if any attack is, or if the form of the release
    fails a check; *no-evidence* if all that ran are; else *inconclusive*. Never *no-evidence* where an attack was left
    out, failed, or did not run in every round: whoever chooses the attacks would choose the answer.

    Args:
        attacks: on the release, those that refused too.
        controls: all that were run.
        left_out: names of attacks that were not asked for.
        checks: of the form of the release.
    """
    ran = [attack for attack in attacks if attack.verdict is not None]
    broken = [attack for attack in ran if attack.verdict is Verdict.BROKEN]
    open_ = [attack for attack in ran if attack.verdict is Verdict.INCONCLUSIVE]
    failed = [check for check in checks if not (check.ok or check.of_copy)]
    weak = _weakness(ran, bool(broken or failed), controls)
    if weak:
        verdict = Verdict.TOO_WEAK
    elif broken or failed:
        verdict = Verdict.BROKEN
    else:
        incomplete = left_out or any(attack.failed or attack.partial for attack in attacks)
        verdict = Verdict.INCONCLUSIVE if open_ or incomplete else Verdict.NO_EVIDENCE
    told = [
        *map(_found, broken),
        *map(_malformed, failed),
        *weak,
        *map(_left_open, open_),
        *_unfinished(attacks, left_out),
    ]
    quiet = [attack for attack in ran if attack.verdict is Verdict.NO_EVIDENCE]
    if quiet:
        told.append(_ruled_out(quiet))
    return verdict, (*told, *_not_covered(attacks, ran, controls))


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
    for metric in METRIC_NAMES:
        measured = [one for attack in quiet for one in attack.measured if one.metric == metric]
        if not measured:
            continue
        bound = max(measured, key=lambda one: one.upper)
        visible = [one.smallest_visible for one in measured if math.isfinite(one.smallest_visible)]
        seen = f", {amount(metric, max(visible), signed=True)} would have been seen" if visible else ""
        told.append(
            f"{METRIC_NAMES[metric]}: at most {amount(metric, bound.upper, signed=True)} "
            f"(margin {amount(metric, bound.margin)}){seen}"
        )
    return f"Within the margins: {plural(len(quiet), 'attack')} ({'; '.join(told)})."


def _unfinished(attacks: Sequence[AttackResult], left_out: Sequence[str]) -> list[str]:
    """What keeps an audit from saying that there is no evidence, whatever the attacks that ran found."""
    told = []
    if left_out:
        told.append(f"Not asked for, so that nothing can be ruled out: {listed(list(left_out))}.")
    failed = [f"{attack.name} ({attack.refusal.rstrip('.')})" for attack in attacks if attack.failed]
    if failed:
        told.append(f"Failed while running, so that nothing can be ruled out: {'; '.join(failed)}.")
    partial = [attack.name for attack in attacks if attack.partial]
    if partial:
        told.append(f"Not run on all images, so that nothing can be ruled out: {listed(partial)}.")
    return told


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
    return f"{amount(one.metric, one.advantage, signed=True)} ({METRIC_NAMES.get(one.metric, one.metric)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
