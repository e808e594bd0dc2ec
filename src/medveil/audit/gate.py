"""Gate: thresholds that a release must not pass, from a TOML file. For those who let a machine decide.

    [audit]
    conclusion = ["no-evidence", "inconclusive"]   # conclusions that are let through
    verdicts = ["no-evidence", "inconclusive"]     # the same for every single attack
    preset = "standard"                            # this one at least
    attacks = "all"                                # each was done, or refused since it needs what is not there

    [attacks]                                      # the strongest attack must stay at or below
    psnr = 20.0                                    # dB of its picture, the mean over the images
    ssim = 0.6
    support_auc = 0.55
    linkage_auc = 0.6
    psnr_advantage = 0.3                           # over the same attacker without information
    ssim_advantage = 0.01
    support_auc_advantage = 0.05
    linkage_auc_advantage = 0.05

    [reidentification]                             # of an open release, the strongest recognizer stays at or below
    matched_auc = 0.6                              # by another image of a person, among people of one label, view, sex
    tpr_at_1 = 0.05                                # the same, pairs above all but 1 % of those of two people
    same_record_top1 = 0.1                         # share of people whose very record is found first

    [fidelity.diagnostic]                          # a tier; means over the images
    psnr = 38.0                                    # at least: psnr, ssim, ms_ssim
    rmse = 4.0                                     # at most: rmse, mae, me (without its sign)

    [tasks.classification]                         # a task; of its questions each
    max_loss = 0.02                                # lower bound of the difference to originals is above its negative
    tiers = ["diagnostic"]                         # held against it; without, all tiers of the release

    [tasks.radiomics]
    min_excellent = 0.9                            # share of texture features, for each way to make grey levels

Everything is optional, but an empty gate is refused. Without `conclusion` every conclusion is let through, that of an
audit which is too weak to conclude as well. With it, an attack that broke the release counts as passed over, whatever
controls make of the conclusion, unless "broken" is among those let through. What the audit could not measure does not
pass: a threshold on it counts as passed over. So does any word on conclusion or verdicts where no attack was asked for.
Nor does what failed: with anything under [audit], [attacks] or [reidentification], each attack, each recognizer and
each part of the audit that ended with an error counts as a threshold passed; and with any word on attacks each check of
the form that fails does, unless "broken" is let through.

The classes here are the schema, which pydantic checks. A gate judges what stands in report.json, to its six digits: a
report of today and one that was kept are judged alike.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from annotated_types import Interval, MinLen

from medveil.audit.results import ROUNDS_FAILED, Verdict
from medveil.errors import IntegrityError, UsageError
from medveil.experiments.unit import Status
from medveil.files.reading import read_regular
from medveil.keys.tiers import Tier
from medveil.registry import unknown

_MAX_BYTES = 1 << 16
_SHOWN = 40  # signs of a wrong value
_HINT = "docs/reference.md lists what a gate may hold"
_STRICT = {"extra": "forbid", "allow_inf_nan": False}
_BUILT_IN = {"classification": "max_loss", "segmentation": "max_loss", "radiomics": "min_excellent"}

_RECORDS = ("same-record", "averaged-same-record")
_OF_RECOGNIZERS = {
    "matched_auc": ("matched_auc", ("any",)), "tpr_at_1": ("tpr_at_1", ("any",)),
    "same_record_top1": ("top_1", _RECORDS),
}  # fmt: skip
"""Key of a gate to the figure of report.json, and the questions of which it is the largest."""
_WHO = {"top_1": "top_1_by", "tpr_at_1": "tpr_at_1_by"}

_Number = Annotated[float, Interval(ge=-1e6, le=1e6)]  # no figure comes near
_Share = Annotated[float, Interval(ge=0, le=1)]
_Preset = Literal["quick", "standard", "paper"]
_OfAttack = Literal["broken", "no-evidence", "inconclusive"]


@dataclass(frozen=True)
class AuditLimits:
    """Verdicts that are let through, the least preset, and whether all attacks have to be asked for."""

    __pydantic_config__: ClassVar = _STRICT
    conclusion: Annotated[tuple[Verdict, ...], MinLen(1)] | None = None
    verdicts: Annotated[tuple[_OfAttack, ...], MinLen(1)] | None = None
    preset: _Preset | None = None
    attacks: Literal["all"] | None = None


@dataclass(frozen=True)
class AttackLimits:
    """The most that is let through of the strongest attack."""

    __pydantic_config__: ClassVar = _STRICT
    psnr: _Number | None = None
    ssim: _Number | None = None
    support_auc: _Number | None = None
    linkage_auc: _Number | None = None
    psnr_advantage: _Number | None = None
    ssim_advantage: _Number | None = None
    support_auc_advantage: _Number | None = None
    linkage_auc_advantage: _Number | None = None


@dataclass(frozen=True)
class ReidentificationLimits:
    """The most that is let through of whom recognizers find in an open release, over all questions about a person
    (matched AUC, pairs above all but 1 %) or about one image (the share of people found first).
    """

    __pydantic_config__: ClassVar = _STRICT
    matched_auc: _Share | None = None
    same_record_top1: _Share | None = None
    tpr_at_1: _Share | None = None


@dataclass(frozen=True)
class FidelityLimits:
    """The least, then the most, that is let through of one tier."""

    __pydantic_config__: ClassVar = _STRICT
    psnr: _Number | None = None
    ssim: _Number | None = None
    ms_ssim: _Number | None = None
    rmse: _Number | None = None
    mae: _Number | None = None
    me: _Number | None = None


@dataclass(frozen=True)
class TaskLimits:
    """Thresholds of one task.

    Attributes:
        max_loss: most that may be lost of the deciding metric, at 95 % certainty, where training and testing are of
            one set; None for no such threshold.
        min_excellent: least share of features that agree excellently; None likewise.
        tiers: that are held against them; None for all of the release.
    """

    __pydantic_config__: ClassVar = _STRICT
    max_loss: _Share | None = None
    min_excellent: _Share | None = None
    tiers: Annotated[tuple[Tier, ...], MinLen(1)] | None = None


@dataclass(frozen=True)
class Gate:
    """Thresholds; see the module."""

    __pydantic_config__: ClassVar = _STRICT
    audit: AuditLimits = field(default_factory=AuditLimits)
    attacks: AttackLimits = field(default_factory=AttackLimits)
    reidentification: ReidentificationLimits = field(default_factory=ReidentificationLimits)
    fidelity: dict[Tier, FidelityLimits] = field(default_factory=dict)
    tasks: dict[str, TaskLimits] = field(default_factory=dict)


_Limits = AuditLimits | AttackLimits | ReidentificationLimits | FidelityLimits | TaskLimits
_WORDS = (
    ("an object", "a table"), ("a valid array", "a list"), ("a valid number", "a number"),
    ("have at least 1 item after validation, not 0", "name at least one"),
)  # fmt: skip
"""What pydantic says, in the words of somebody who writes TOML."""
_AT_LEAST = ("psnr", "ssim", "ms_ssim")
_KEYS = {
    "": Gate, "audit": AuditLimits, "attacks": AttackLimits, "reidentification": ReidentificationLimits,
    "fidelity": FidelityLimits, "tasks": TaskLimits,
}  # fmt: skip


def read_gate(path: Path) -> Gate:
    """Read a gate. Raises UsageError where it cannot be read, or has a key or value that means nothing."""
    from pydantic import TypeAdapter, ValidationError

    try:
        value = tomllib.loads(read_regular(path, limit=_MAX_BYTES, what="gate").decode())
    except (FileNotFoundError, UnicodeDecodeError, IntegrityError) as error:
        raise UsageError(f"the gate cannot be read: {type(error).__name__}", hint="name a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the gate is not TOML: {error}", hint=_HINT) from None
    except (ValueError, RecursionError):  # Python reads no integer of thousands of digits, and no such nesting
        raise UsageError(
            "the gate holds a number of too many digits, or tables or lists nested too deep", hint=_HINT
        ) from None
    try:
        gate = TypeAdapter(Gate).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        raise _refusal(error.errors()[0]) from None
    for name, limits in gate.tasks.items():
        if limits.max_loss is None and limits.min_excellent is None:
            raise UsageError(
                f"[tasks.{name[:_SHOWN]}] of the gate has no threshold", hint="max_loss and min_excellent are some"
            )
    others: list[_Limits] = [gate.audit, gate.attacks, gate.reidentification, *gate.fidelity.values()]
    if not gate.tasks and not any(map(_set, others)):
        raise UsageError("the gate has no threshold, so that everything would go through it", hint=_HINT)
    return gate


def check_asked(gate: Gate, asked: Sequence[str]) -> None:
    """Whether every task that a gate holds against something is done. Raises UsageError where one is not."""
    for name, limits in gate.tasks.items():
        if name not in asked:
            raise UsageError(
                f"the gate has thresholds for the task {name[:_SHOWN]!r}, which was not asked for",
                hint="name it with --tasks, or correct the gate",
            )
        useless = set(_set(limits)) - {"tiers", _BUILT_IN.get(name)}
        if name in _BUILT_IN and useless:
            raise UsageError(
                f"{useless.pop()} in [tasks.{name}] of the gate means nothing for this task",
                hint=f"name {_BUILT_IN[name]} there",
            )


def passed_thresholds(gate: Gate, record: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each threshold that figures pass; none where the release may go through.

    Args:
        gate: of `read_gate`.
        record: what report.json holds, of `record.record_of` or `record.read_record`.
    """
    found = list(_of_audit(gate.audit, record))
    recognized = _set(gate.reidentification)
    if _set(gate.audit) or _set(gate.attacks) or recognized:
        found += _failures(record)
    for key, limit in recognized.items():
        found += _recognizable(key, limit, record.get("identification") or {})
    if _set(gate.attacks) or gate.audit.verdicts or gate.audit.attacks:
        found += _malformed(gate.audit, record)
    for key, limit in _set(gate.attacks).items():
        found += _too_strong(key, limit, record["attacks"])
    rows = {tier["tier"]: tier["metrics"] for tier in record["fidelity"]}
    for tier, limits in gate.fidelity.items():
        found += _too_far(tier, _set(limits), rows.get(tier.value, {}))
    done = {task["name"]: task for task in record["tasks"] if task["status"] == Status.DONE.value}
    for name, task_limits in gate.tasks.items():
        if name in done:
            tiers = task_limits.tiers or record["release"].get("tiers", [])
            for tier in tiers:
                found += [*_lost(done[name], task_limits, str(tier)), *_unlike(done[name], task_limits, str(tier))]
        else:
            found.append(f"task {name} was not done, and the gate has thresholds for it")
    return tuple(found)


def _set(limits: _Limits) -> dict[str, Any]:
    """Those that the gate has."""
    return {name: value for name, value in asdict(limits).items() if value is not None}


def _refusal(error: Mapping[str, Any]) -> UsageError:
    """What pydantic found, in our words."""
    *path, key = [str(part) for part in error["loc"] if part != "[key]" and not isinstance(part, int)]
    where = f"[{'.'.join(path)[: 2 * _SHOWN]}] of the gate" if path else "the gate"
    if error["type"] == "unexpected_keyword_argument":
        return unknown(
            f"key in {where}", key, [each.name for each in fields(_KEYS[path[0] if path else ""])], hint=_HINT
        )
    if error["loc"][-1] == "[key]":
        return unknown(f"key in {where}", key, [tier.value for tier in Tier], hint=_HINT)
    value, wanted = repr(error["input"])[:_SHOWN], error["msg"].partition("should ")[2]
    for theirs, ours in _WORDS:
        wanted = wanted.replace(theirs, ours)
    return UsageError(f"{key[:_SHOWN]} in {where} is {value}; it should {wanted}", hint=_HINT)


def _of_audit(limits: AuditLimits, record: Mapping[str, Any]) -> Iterator[str]:
    """What the gate says of verdicts, the preset and the attacks."""
    conclusion, settings = record["conclusion"], record["settings"]
    if limits.conclusion is not None and conclusion not in limits.conclusion:
        yield f"the conclusion is {conclusion}"
    if limits.conclusion is not None and Verdict.BROKEN not in {*limits.conclusion, conclusion} and record["broken_by"]:
        yield f"the release was broken by {', '.join(record['broken_by'])}"
    order = get_args(_Preset)
    if limits.preset is not None and settings.get("preset") not in order[order.index(limits.preset) :]:
        yield f"the preset is {settings.get('preset')}; the gate asks for {limits.preset} at least"
    if limits.attacks is not None and (left_out := settings.get("left_out")) is None:
        yield "it is not known whether all attacks were asked for, and the gate wants all of them"
    elif limits.attacks is not None and left_out:
        yield f"these attacks were not asked for, and the gate wants all of them: {', '.join(left_out)}"
    if (limits.conclusion or limits.verdicts) and not settings.get("attacks", True):
        yield "no attack was asked for, and the gate has a say on what attacks find"
    for attack in record["attacks"]:
        if limits.verdicts is not None and attack["verdict"] not in limits.verdicts:
            yield f"the verdict on {attack['name']} is {attack['verdict']}"


def _failures(record: Mapping[str, Any]) -> Iterator[str]:
    """What ended with an error: an attack, in one round at least, on the release or a control; a part of the audit."""
    for where, found in [("", record), *((f" on {control['name']}", control) for control in record["controls"])]:
        for attack in found["refused"]:
            if attack["status"] == Status.FAILED.value:
                yield f"the attack {attack['name']}{where} failed ({attack['reason']}): nothing is known of it"
        for attack in found["attacks"]:
            rounds = _number(attack.get("extra", {}).get(ROUNDS_FAILED, 0.0))
            if not rounds <= 0:
                yield f"the attack {attack['name']}{where} failed in a part of its rounds: {rounds:g}"
    for each in (record.get("identification") or {}).get("undone", ()):
        if each["status"] == Status.FAILED.value:
            yield f"the recognizer {each['recognizer']} failed ({each['reason']}): nothing is known of it"
    for part in record["data"].get("unfinished", ()):
        yield f"{part['unit']}: not done ({part['status']}), and the gate wants the whole audit"


def _malformed(limits: AuditLimits, record: Mapping[str, Any]) -> Iterator[str]:
    """Checks of the form that fail, where no word on the conclusion tells of them and "broken" is not let through."""
    if limits.conclusion is None and Verdict.BROKEN not in (limits.verdicts or ()):
        for check in record["checks"]:
            if not (check["ok"] or check.get("of_copy", False)):
                yield f"the form of the release fails the check {check['name']}"


def _too_strong(key: str, limit: float, attacks: Sequence[Mapping[str, Any]]) -> list[str]:
    metric, kind = key.removesuffix("_advantage"), "advantage" if key.endswith("_advantage") else "attacker"
    found = [(each["measured"].get(metric, {}).get(kind), each["name"]) for each in attacks]
    values = [(value, name) for value, name in found if value is not None]
    if not values:
        return [f"no attack was measured by {metric}, and the gate has a threshold for {key}"]
    value, name = max(values)
    return [] if value <= limit else [f"{key} of {name} is {value:.4g}; the gate allows {limit:g}"]


def _recognizable(key: str, limit: float, found: Mapping[str, Any]) -> list[str]:
    """What passes a threshold of whom recognizers find; what was not measured does."""
    figure, questions = _OF_RECOGNIZERS[key]
    best = [found.get("maximum", {}).get(question) or {} for question in questions]
    values = [(value, each) for each in best if (value := each.get(figure)) is not None]
    if not values:
        return [f"{key} was not measured, and the gate has a threshold for it"]
    value, each = max(values, key=lambda pair: pair[0])
    who = (each.get(_WHO.get(figure, "")) or each)["recognizer"]
    return [] if value <= limit else [f"{key} of {who} is {value:.4g}; the gate allows {limit:g}"]


def _too_far(tier: Tier, limits: Mapping[str, float], rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for metric, limit in limits.items():
        value = _number(rows.get(metric, {}).get("mean"))
        if math.isnan(value):
            yield f"{metric} of tier {tier.value} was not measured, and the gate has a threshold for it"
        elif metric in _AT_LEAST and value < limit:
            yield f"{metric} of tier {tier.value} is {value:.4g}; the gate asks for {limit:g}"
        elif metric not in _AT_LEAST and abs(value) > limit:
            yield f"{metric} of tier {tier.value} is {abs(value):.4g}; the gate allows {limit:g}"


def _lost(task: Mapping[str, Any], limits: TaskLimits, tier: str) -> Iterator[str]:
    if limits.max_loss is None:
        return
    if not task["questions"]:
        yield f"task {task['name']} has no question, and the gate has a threshold for its loss"
    for question in task["questions"]:
        same = (cell["difference"] for cell in question["matrix"] if cell["train"] == cell["test"] == tier)
        bound = _number((next(same, None) or {}).get("lower"))
        if not bound >= -limits.max_loss:
            amount = "any amount (not measured)" if math.isnan(bound) else f"{-bound:.4g}"
            yield f"{question['name']} at tier {tier} may lose {amount}; the gate allows {limits.max_loss:g}"


def _unlike(task: Mapping[str, Any], limits: TaskLimits, tier: str) -> Iterator[str]:
    if limits.min_excellent is None:
        return
    measured = [each for each in task["agreements"] if each["set"] == tier]
    if not measured:
        yield f"texture at tier {tier} was not measured, and the gate has a threshold for it"
    for each in measured:
        share = _number(each["excellent_share"])
        if not share >= limits.min_excellent:
            yield (
                f"{share:.4g} of the texture features at tier {tier} agree excellently ({each['bins']}); the gate "
                f"asks for {limits.min_excellent:g}"
            )


def _number(value: float | None) -> float:
    """What report.json holds no number for is none, and passes nothing."""
    return math.nan if value is None else value
