"""Gate: thresholds that a release must not pass, from a TOML file. For those who let a machine decide.

    [audit]
    conclusion = ["no-evidence", "inconclusive"]   # conclusions that are let through
    verdicts = ["no-evidence", "inconclusive"]     # the same for every single attack
    preset = "standard"                            # this one at least
    attacks = "all"                                # none was left out

    [attacks]                                      # the strongest attack must stay at or below
    psnr = 20.0                                    # dB of its picture, the mean over the images
    ssim = 0.6
    support_auc = 0.55
    linkage_auc = 0.6
    psnr_advantage = 0.3                           # over the same attacker without information
    ssim_advantage = 0.01
    support_auc_advantage = 0.05
    linkage_auc_advantage = 0.05

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
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medveil.audit.request import was_attacked
from medveil.audit.results import METRICS, AttackResult, Audit, TierFidelity, Verdict
from medveil.audit.schema import broken_by
from medveil.audit.task_gate import TaskLimits, task_limits, too_much_lost
from medveil.errors import IntegrityError, UsageError
from medveil.files.reading import read_regular
from medveil.keys.tiers import Tier

_ATTACKS = (*METRICS, *(f"{metric}_advantage" for metric in METRICS))
_AT_LEAST = ("psnr", "ssim", "ms_ssim")
_AT_MOST = ("rmse", "mae", "me")
_AUDIT = {
    "conclusion": tuple(verdict.value for verdict in Verdict),
    "verdicts": tuple(verdict.value for verdict in Verdict if verdict is not Verdict.TOO_WEAK),
}
_TABLES = ("audit", "attacks", "fidelity", "tasks")
_PRESETS = ("quick", "standard", "paper")
_WORDS = {"preset": _PRESETS, "attacks": ("all",)}
_MAX_BYTES = 1 << 16
_MOST = 1e6  # no figure comes near; NaN is not within it either


@dataclass(frozen=True)
class Gate:
    """Thresholds; see the module.

    Attributes:
        audit: for `conclusion` and `verdicts`, those that are let through.
        asked: `preset`, the least one, and `attacks`, "all"; where the gate has them.
        attacks: metric, or metric_advantage, to the most that is let through.
        fidelity: tier to metric to the least, or most, that is let through.
        tasks: task to its thresholds.
    """

    audit: Mapping[str, tuple[str, ...]]
    asked: Mapping[str, str]
    attacks: Mapping[str, float]
    fidelity: Mapping[str, Mapping[str, float]]
    tasks: Mapping[str, TaskLimits] = field(default_factory=dict)


def read_gate(path: Path) -> Gate:
    """Read a gate. Raises UsageError where it cannot be read, or has a key or value that means nothing."""
    try:
        text = read_regular(path, limit=_MAX_BYTES, what="gate").decode()
        value = tomllib.loads(text)
    except (FileNotFoundError, UnicodeDecodeError, IntegrityError) as error:
        raise UsageError(f"the gate cannot be read: {type(error).__name__}", hint="name a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the gate is not TOML: {error}") from None
    _check_keys(value, _TABLES, "the gate")
    tables = {name: _table(value.get(name, {}), f"[{name}]") for name in _TABLES}
    _check_keys(tables["audit"], (*_AUDIT, *_WORDS), "[audit]")
    _check_keys(tables["attacks"], _ATTACKS, "[attacks]")
    _check_keys(tables["fidelity"], [tier.value for tier in Tier], "[fidelity]")
    tasks = {name: task_limits(name, _table(table, f"[tasks.{name}]")) for name, table in tables["tasks"].items()}
    if not any(tables[name] for name in ("audit", "attacks")) and not any((*tables["fidelity"].values(), *tasks)):
        raise UsageError("the gate has no threshold, so that everything would go through it")
    return Gate(
        {key: _verdicts(key, names) for key, names in tables["audit"].items() if key in _AUDIT},
        {key: _word(key, word) for key, word in tables["audit"].items() if key in _WORDS},
        _numbers(tables["attacks"], "[attacks]"),
        {tier: _fidelity(tier, table) for tier, table in tables["fidelity"].items()},
        tasks,
    )


def passed_thresholds(gate: Gate, audit: Audit) -> tuple[str, ...]:
    """A sentence for each threshold that the audit's figures pass; none where the release may go through."""
    found = []
    if "conclusion" in gate.audit and audit.conclusion.value not in gate.audit["conclusion"]:
        found.append(f"the conclusion is {audit.conclusion.value}")
    found += _broken(gate, audit) + _asked(gate, audit)
    if gate.audit and not was_attacked(audit.settings.get("attacks")):
        found.append("no attack was asked for, and the gate has a say on what attacks find")
    if "verdicts" in gate.audit:
        for attack in audit.attacks:
            if attack.verdict is not None and attack.verdict.value not in gate.audit["verdicts"]:
                found.append(f"the verdict on {attack.name} is {attack.verdict.value}")
    for key, limit in gate.attacks.items():
        found += _too_strong(key, limit, audit.attacks)
    measured = {tier.tier: tier for tier in audit.fidelity}
    for tier, limits in gate.fidelity.items():
        found += _too_far(tier, limits, measured.get(tier))
    return (*found, *too_much_lost(gate.tasks, audit))


def _broken(gate: Gate, audit: Audit) -> list[str]:
    """Attacks that broke the release, unless the gate lets "broken" through or has said it of the conclusion."""
    names, allowed = broken_by(audit), gate.audit.get("conclusion")
    if not names or allowed is None or Verdict.BROKEN.value in allowed or audit.conclusion is Verdict.BROKEN:
        return []
    return [f"the release was broken by {', '.join(names)}"]


def _asked(gate: Gate, audit: Audit) -> list[str]:
    found = []
    least, preset = gate.asked.get("preset"), audit.settings.get("preset")
    if least is not None and preset not in _PRESETS[_PRESETS.index(least) :]:
        found.append(f"the preset is {preset}; the gate asks for {least} at least")
    if "attacks" in gate.asked:
        left_out = audit.settings.get("left_out")
        if left_out is None:
            found.append("it is not known whether all attacks were asked for, and the gate wants all of them")
        elif left_out:
            found.append(f"these attacks were not asked for, and the gate wants all of them: {', '.join(left_out)}")
    return found


def _too_strong(key: str, limit: float, attacks: tuple[AttackResult, ...]) -> list[str]:
    metric, wants_advantage = key.removesuffix("_advantage"), key.endswith("_advantage")
    values = [
        (each.advantage if wants_advantage else each.attacker, attack.name)
        for attack in attacks
        for each in attack.measured
        if each.metric == metric
    ]
    if not values:
        return [f"no attack was measured by {metric}, and the gate has a threshold for {key}"]
    value, name = max(values)
    if value <= limit:
        return []
    return [f"{key} of {name} is {value:.4g}; the gate allows {limit:g}"]


def _too_far(tier: str, limits: Mapping[str, float], measured: TierFidelity | None) -> list[str]:
    rows = {row.metric: row.mean for row in measured.rows} if measured is not None else {}
    found = []
    for metric, limit in limits.items():
        if metric not in rows:
            found.append(f"{metric} of tier {tier} was not measured, and the gate has a threshold for it")
        elif metric in _AT_LEAST and rows[metric] < limit:
            found.append(f"{metric} of tier {tier} is {rows[metric]:.4g}; the gate asks for {limit:g}")
        elif metric in _AT_MOST and abs(rows[metric]) > limit:
            found.append(f"{metric} of tier {tier} is {abs(rows[metric]):.4g}; the gate allows {limit:g}")
    return found


def _fidelity(tier: str, value: Any) -> Mapping[str, float]:
    where = f"[fidelity.{tier}]"
    table = _table(value, where)
    _check_keys(table, (*_AT_LEAST, *_AT_MOST), where)
    return _numbers(table, where)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} of the gate is not a table")
    return value


def _check_keys(table: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    allowed = list(allowed)
    for key in table:
        if key not in allowed:
            raise UsageError(f"{where} has the unknown key {key[:40]!r}; allowed are {', '.join(allowed)}")


def _numbers(table: Mapping[str, Any], where: str) -> dict[str, float]:
    for key, value in table.items():
        if type(value) not in (int, float) or not _MOST >= value >= -_MOST:
            raise UsageError(f"{key} in {where} of the gate is not a number, or one that nothing could pass")
    return {key: float(value) for key, value in table.items()}


def _word(key: str, value: Any) -> str:
    if value not in _WORDS[key]:
        raise UsageError(f"{key} in [audit] of the gate is not one of {', '.join(_WORDS[key])}")
    return str(value)


def _verdicts(key: str, value: Any) -> tuple[str, ...]:
    allowed = _AUDIT[key]
    if not isinstance(value, list) or not value or any(name not in allowed for name in value):
        raise UsageError(f"{key} in [audit] of the gate is not a list of some of {', '.join(allowed)}")
    return tuple(value)
