"""From verdicts to the one conclusion of an audit: what was found, and whether it would have been."""

from __future__ import annotations

from collections.abc import Sequence

from medveil.audit.results import AttackResult, ControlResult, FormCheck, Verdict, failed_checks
from medveil.audit.targets.target import Kind


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
    checks: Sequence[FormCheck] = (), kind: Kind = Kind.KEYED, *, whole: bool = True,
) -> Verdict:  # fmt: skip
    """The conclusion of an audit.

    *too-weak* whenever a control did not come out as it must: one that leaks was not broken, or one that does not leak
    was. What was found is told all the same: a failed control is no excuse for a hole. Also when nothing was broken
    and no control was either: an audit that has found nothing anywhere has not shown that it can find anything, and one
    in which no attack ran has looked for nothing. Else *broken* if any attack is, or if the form of the release
    fails a check. Else *too-weak* where anything failed: an attack, on the release or on a control, or a part of the
    audit itself. Else *no-evidence* if all that ran are, and *inconclusive* if not. Never *no-evidence* where an attack
    was left out or did not run in every round: whoever chooses the attacks would choose the answer.

    An open release holds nothing back that could be broken: what it gives away is *measured*, unless *too-weak*.

    Args:
        attacks: on the release, those that refused too.
        controls: all that were run.
        left_out: names of attacks that were not asked for.
        checks: of the form of the release.
        kind: of the release.
        whole: whether all parts of the audit beside attacks were done.
    """
    ran = [attack for attack in attacks if attack.verdict is not None]
    verdicts = {attack.verdict for attack in ran}
    broken = Verdict.BROKEN in verdicts or bool(failed_checks(checks))
    proven = bool(ran) and any(control.positive and control.by for control in controls)
    if not all(control.ok for control in controls) or not (broken or proven):
        return Verdict.TOO_WEAK
    if broken and kind is not Kind.OPEN:
        return Verdict.BROKEN
    every = [*attacks, *(attack for control in controls for attack in control.attacks)]
    if not whole or any(attack.failed for attack in every):
        return Verdict.TOO_WEAK
    if kind is Kind.OPEN:
        return Verdict.MEASURED
    incomplete = left_out or any(attack.partial for attack in attacks)
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts or incomplete else Verdict.NO_EVIDENCE


def unattacked(checks: Sequence[FormCheck]) -> Verdict:
    """The conclusion where no attack was asked for: *inconclusive*, since nothing was looked for but faults of the
    form; one of these breaks the release here too.

    It is not *too-weak*: no control failed, none was run.
    """
    return Verdict.BROKEN if failed_checks(checks) else Verdict.INCONCLUSIVE
