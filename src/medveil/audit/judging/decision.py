"""From verdicts to the one conclusion of an audit: what was found, and whether it would have been."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from medveil.audit.results import (
    RAW_LINKED,
    SHUFFLED_AT_NULL,
    AttackResult,
    ControlResult,
    FormCheck,
    Recognized,
    Verdict,
    failed_checks,
)
from medveil.audit.targets.target import Kind

UNTOUCHED, SHUFFLED = "untouched-pictures", "shuffled-people"
"""Names of the controls of recognizers: images as they were taken, and people dealt anew."""


def control_result(
    name: str, title: str, positive: bool, attacks: Sequence[AttackResult], must: bool = True,
    on: Mapping[str, int] | None = None,
) -> ControlResult:  # fmt: skip
    """What the attacks made of one control.

    Args:
        name, title: of the control.
        positive: whether there is something to find in it.
        attacks: all that were run on it.
        must: whether a positive control has to be broken; rows of the sensitivity curve need not be.
        on: what they were run on, see `ControlResult`.

    Returns:
        `ok`: a positive control that must be broken was, by any attack; a negative one was not, by none.
    """
    by = tuple(attack.name for attack in attacks if attack.verdict is Verdict.BROKEN)
    ok = (bool(by) or not must) if positive else not by
    return ControlResult(name, title, positive, tuple(attacks), by, ok, dict(on or {}))


class Ground(StrEnum):
    """What led to a conclusion, as a code; beside it stand the names of attacks, controls or checks."""

    BROKEN = "broken"  # attacks that broke the release
    MALFORMED = "malformed"  # checks of its form that fail
    CONTROL_MISSED = "control-missed"  # controls that leak and had to be broken, and were not
    CONTROL_ALARMED = "control-alarmed"  # controls that do not leak, and were broken
    NOTHING_RAN = "nothing-ran"
    NOTHING_FOUND = "nothing-found"  # neither in the release nor in any control
    FAILED = "failed"  # attacks that ended with an error, on the release or a control
    UNFINISHED = "unfinished"  # other parts of the audit that were not done
    UNDECIDED = "undecided"  # attacks
    LEFT_OUT = "left-out"  # attacks that were not asked for
    PARTIAL = "partial"  # attacks that did not run in every round
    NOT_ATTACKED = "not-attacked"  # no attack was asked for
    WITHIN_MARGINS = "within-margins"  # attacks


_WEAK = {Ground.CONTROL_MISSED, Ground.CONTROL_ALARMED, Ground.NOTHING_RAN, Ground.NOTHING_FOUND}
_LEAKS = {Ground.BROKEN, Ground.MALFORMED}
_FAILED = {Ground.FAILED, Ground.UNFINISHED}
_OPEN = {Ground.UNDECIDED, Ground.LEFT_OUT, Ground.PARTIAL, Ground.NOT_ATTACKED}


def grounds(
    attacks: Sequence[AttackResult], controls: Sequence[ControlResult], left_out: Sequence[str] = (),
    checks: Sequence[FormCheck] = (), *, unfinished: Sequence[str] = (), attacked: bool = True,
    identification: Recognized | None = None,
) -> dict[str, tuple[str, ...]]:  # fmt: skip
    """All that a conclusion rests on: those that apply, each with the names that it is about.

    Args:
        attacks: on the release, those that refused too.
        controls: all that were run.
        left_out: names of attacks that were not asked for.
        checks: of the form of the release.
        unfinished: other parts of the audit that were not done.
        attacked: whether any attack was asked for, or recognizers of an open release.
        identification: whom recognizers found in an open release. What they are able to do shows in the untouched
            images: where they find nobody in these, they have missed a control, and found somebody in shuffled
            identities, alarmed one.
    """
    malformed = tuple(check.name for check in failed_checks(checks))
    if not attacked:
        beside = {Ground.MALFORMED: malformed, Ground.UNFINISHED: tuple(unfinished)}
        return {Ground.NOT_ATTACKED: (), **{ground: names for ground, names in beside.items() if names}}
    of = {verdict: tuple(each.name for each in attacks if each.verdict is verdict) for verdict in Verdict}
    wrong = [control for control in controls if not control.ok]
    every = [*attacks, *(attack for control in controls for attack in control.attacks)]
    tried = identification.controls if identification is not None else {RAW_LINKED: True}
    missed = (UNTOUCHED,) if not tried[RAW_LINKED] else ()
    alarmed = (SHUFFLED,) if tried.get(SHUFFLED_AT_NULL) is False else ()
    failed = identification.failed if identification is not None else ()
    named = {
        Ground.BROKEN: of[Verdict.BROKEN],
        Ground.MALFORMED: malformed,
        Ground.CONTROL_MISSED: (*(control.name for control in wrong if control.positive), *missed),
        Ground.CONTROL_ALARMED: (*(control.name for control in wrong if not control.positive), *alarmed),
        Ground.FAILED: tuple(dict.fromkeys([*(attack.name for attack in every if attack.failed), *failed])),
        Ground.UNFINISHED: tuple(unfinished),
        Ground.UNDECIDED: of[Verdict.INCONCLUSIVE],
        Ground.LEFT_OUT: tuple(left_out),
        Ground.PARTIAL: tuple(attack.name for attack in attacks if attack.partial),
        Ground.WITHIN_MARGINS: of[Verdict.NO_EVIDENCE],
    }
    found: dict[str, tuple[str, ...]] = {ground: names for ground, names in named.items() if names}
    if not _LEAKS & found.keys() and identification is None:
        if not any(of.values()):
            found[Ground.NOTHING_RAN] = ()
        elif not any(control.positive and control.by for control in controls):
            found[Ground.NOTHING_FOUND] = ()
    return found


def conclude(found: Iterable[str], kind: Kind = Kind.KEYED) -> Verdict:
    """The conclusion of an audit.

    *too-weak* whenever a control did not come out as it must: one that leaks was not broken, or one that does not leak
    was. What was found is told all the same: a failed control is no excuse for a hole. Also when nothing was broken
    and no control was either: an audit that has found nothing anywhere has not shown that it can find anything, and one
    in which no attack ran has looked for nothing. Else *broken* if any attack is, or if the form of the release fails a
    check. Else *too-weak* where anything failed: an attack, on the release or on a control, or a part of the audit
    itself. *inconclusive* where one is undecided, was left out, or did not run in every round: whoever chooses the
    attacks would choose the answer; and where none was asked for. Else *no-evidence*.

    An open release holds nothing back that could be broken: what it gives away is *measured*, unless *too-weak*.

    Args:
        found: of `grounds`.
        kind: of the release.
    """
    found = set(found)
    if found & _WEAK:
        return Verdict.TOO_WEAK
    open_ = kind is Kind.OPEN and Ground.NOT_ATTACKED not in found
    if found & _LEAKS and not open_:
        return Verdict.BROKEN
    if found & _FAILED:
        return Verdict.TOO_WEAK
    if open_:
        return Verdict.MEASURED
    return Verdict.INCONCLUSIVE if found & _OPEN else Verdict.NO_EVIDENCE
