"""The first page, which whoever answers for a release signs: what was released, to whom, and what an audit says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medveil.audit.record import OPEN, identification_record, leading, ranked
from medveil.audit.results import Audit, Verdict, failed_checks
from medveil.experiments.unit import Status
from medveil.report.amounts import listed, plural
from medveil.report.findings import coverage
from medveil.report.identification import control_lines
from medveil.report.sentences import (
    ENDED,
    VERDICT_WORDS,
    controls_told,
    failed_told,
    measured_sentence,
    part_of_it,
    weak_by_failure,
)

_MOST = 8  # recipients on the first page
_MOST_BROKEN = 3
_NOTHING = {
    Verdict.NO_EVIDENCE: "Nothing that these attacks could tell from chance.",
    Verdict.INCONCLUSIVE: "Nothing was found, and nothing was ruled out.",
    Verdict.MEASURED: "The released pictures, and nothing more that these attacks could tell from chance.",
    Verdict.TOO_WEAK: "Not known: what was found and what was not says little, since controls failed.",
}
_UNFINISHED = "Not known: a part of this audit failed, and what was not done has shown nothing."
_EVERYBODY = (
    "By design, everybody sees the pictures themselves, their number and sizes, the method with its settings, the day "
    "and the owner's public key."
)
_BY_DESIGN = (
    "By design, everybody who holds the folder sees the number of images, their size classes, the settings, the day "
    "and the owner's public key."
)


def released(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was released, as (name, words).

    Args:
        facts: of the release, see `Audit.release`.
    """
    rows = [("Release", str(facts.get("id", "not known")))]
    if "head" in facts:
        rows.append(("Ledger head", f"{facts['head']} (entry {facts['entry']}, {facts['day']})"))
    changed = facts.get("day", facts.get("created"))
    later = f"; last changed on {changed}" if changed != facts.get("created") else ""
    rows.append(("Day", f"made on {facts.get('created', 'a day that is not known')}{later}"))
    owners = facts.get("owners", ())
    if owners:
        doubt = "" if facts["owner_known"] else ": nobody vouches for this key here, compare it with the owner's own"
        rows.append(("Owner", f"{owners[0]}{doubt}"))
    if owners[1:]:
        rows.append(("Deputies", listed(list(owners[1:]))))
    if facts.get("kind") == OPEN:
        return [*rows, ("Images", f"{plural(facts.get('packages', 0), 'picture')} by {method_of(facts)}")]
    made = f"protection level {facts.get('protection', 'not known')}, codec {facts.get('codec', 'not known')}"
    made += f" at {facts['quality']:g} dB" if facts.get("quality") else ""
    tiers = f"; tiers: {listed(facts['tiers'])}" if facts.get("tiers") else ""
    return [*rows, ("Images", f"{plural(facts.get('packages', 0), 'package')}, {made}{tiers}")]


def method_of(facts: Mapping[str, Any]) -> str:
    """The method of an open release with its settings: "dp-pix, b 8, epsilon 1 and m 16"."""
    settings = facts.get("settings", {}).items()
    words = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings]
    return ", ".join(filter(None, (facts.get("protection", "a method that is not known"), listed(words))))


def recipients(facts: Mapping[str, Any], most: int | None = _MOST) -> list[str]:
    """Who may open it, a line each, and no more than so many: names and fingerprints, as `medveil grants` has them."""
    if facts.get("kind") == OPEN:
        return ["Everybody: an open release has no key."]
    known = facts.get("recipients")
    if known is None:
        count = plural(facts["grants"], "grant") if "grants" in facts else "Not known"
        return [f"{count}; whom they are for is told to the owners alone, and an owner's key did not ask."]
    more = len(known[len(known) if most is None else most :])
    return [_recipient(one) for one in known[:most]] + ([f"and {more} more, in section Release"] if more else [])


def _recipient(one: Mapping[str, Any]) -> str:
    key = one.get("fingerprint", "")  # reports of before have it as the name
    who = f"{one['name']} ({key})" if key and one["name"] else one["name"] or key
    told = f"{who}: tier {one['tier']}" + (", with names and dates" if one["identity"] else "")
    told += f", {plural(one['packages'], 'package')} only" if one["packages"] else ""
    told += f", meant to end on {one['until']}" if one["until"] else ""
    return told + (" (owner)" if one["owner"] else "")


def gets(audit: Audit) -> list[str]:
    """What a stranger gets."""
    if not audit.attacked:
        told = ["Not measured: no attack was asked for."]
    else:
        leads = [(result, lead) for result in ranked(audit.attacks) if (lead := leading(result)) is not None]
        broken = [pair for pair in leads if pair[0].verdict is Verdict.BROKEN]
        told = [measured_sentence(*pair) for pair in broken[:_MOST_BROKEN]]
        if len(broken) > _MOST_BROKEN:
            told.append(f"{plural(len(broken) - _MOST_BROKEN, 'more attack')} got something: see the table of attacks.")
        if not broken and audit.conclusion in _NOTHING and (leads or audit.identification is None):
            told.append(_UNFINISHED if weak_by_failure(audit) else _NOTHING[audit.conclusion])
            told += [f"The strongest attack: {measured_sentence(*pair)}" for pair in leads[:1]]
    told += [
        f"A fault of its form, {check.name}: {check.title}. {check.found}" for check in failed_checks(audit.checks)
    ]
    return [*told, _EVERYBODY if audit.release.get("kind") == OPEN else _BY_DESIGN]


def tried(audit: Audit) -> list[str]:
    """What was tried, and what was not. What could not be tried counts for nothing."""
    told = [
        *_recognizers(audit),
        *_attacks(audit),
        *part_of_it(audit),
        *coverage(audit),
        *failed_told(audit),
        *(controls_told(audit) if audit.controls or audit.identification is None else ()),
        *_checks(audit),
    ]
    told += [f"Fidelity at tier {tier.tier}: {max((row.images for row in tier.rows), default=0)} images compared with "
             "their originals." for tier in audit.fidelity]  # fmt: skip
    if audit.tasks:
        told.append(f"Tasks: {listed([f'{task.name} ({ENDED[task.status]})' for task in audit.tasks])}.")
    return told


def _recognizers(audit: Audit) -> list[str]:
    """Who looked for people, and whether they have shown that they can see."""
    found = audit.identification
    if found is None:
        return []
    told = (
        f"{plural(len(found.recognizers), 'recognizer')} looked for {found.people} people in "
        f"{plural(found.pictures, 'picture')}; each learned from other people."
    )
    return [told, *control_lines(identification_record(found))]


def _attacks(audit: Audit) -> list[str]:
    ran = ranked(audit.attacks)
    if not ran:
        return ["No attack was run." if audit.identification is None else "No attack of another kind was run."]
    images = max((one.images for attack in ran for one in attack.measured), default=0)
    patients = max((one.patients for attack in ran for one in attack.measured), default=0)
    verdicts = [attack.verdict for attack in ran]
    counts = [f"{verdicts.count(each)} {VERDICT_WORDS[each]}" for each in Verdict if each in verdicts]
    told = [
        f"{plural(len(ran), 'attack')} without a key on up to {plural(images, 'image')} of "
        f"{plural(patients, 'patient')}: {listed(counts)}."
    ]
    aside = {
        "were not asked for": list(audit.settings.get("left_out", ())),
        "made no sense here": [one.name for one in audit.attacks if one.status is Status.REFUSED],
    }
    return told + [f"Not tried, attacks that {why}: {listed(names)}." for why, names in aside.items() if names]


def _checks(audit: Audit) -> list[str]:
    tested = [check for check in audit.checks if check.tried]
    if not tested:
        return ["No check of the form was made."]
    wrong = [f"{one.name}{' (of this copy alone)' if one.of_copy else ''}" for one in tested if not one.ok]
    idle = len(audit.checks) - len(tested)
    told = f"Checks of the form of this release: {len(tested) - len(wrong)} of {len(tested)} passed"
    told += f"; not {listed(wrong)}" if wrong else ""
    return [f"{told}." + (f" {idle} more had nothing to check and count for nothing." if idle else "")]
