"""Tables and bars of the audits of releases, and of how repeatable and how long an audit is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.table import Bar, Collected, Table, results_of

Results = Mapping[str, Any]
LEVELS = ("sealed", "encrypted")
_UNITS = {"psnr": "dB", "ssim": "SSIM", "support_auc": "support AUC", "linkage_auc": "linkage AUC"}
_DIGITS = {"psnr": 2, "ssim": 4, "support_auc": 3, "linkage_auc": 3}


def audit(level: str, collected: Collected) -> Table:
    """Every metric of every attack on the release."""
    found = results_of(collected, f"audit_{level}")
    rows: list[tuple[str, ...]] = []
    for attack in found["attacks"]:
        for metric, one in attack["measured"].items():
            number = partial(_number, metric)
            rows.append(
                (f"`{attack['name']}`", _UNITS[metric], number(one["attacker"]), number(one["baseline"]),
                 _gain(metric, one), number(one["upper"]), number(one["margin"]), number(one["smallest_visible"]),
                 _p(one["p"]), one["verdict"])
            )  # fmt: skip
    rows += [(f"`{each['name']}`", *("–" for _ in range(8)), "makes no sense here") for each in found["refused"]]
    header = (
        "attack", "metric", "with the package", "with another one", "advantage (95 %)", "upper bound", "margin",
        "smallest visible", "p", "verdict",
    )  # fmt: skip
    return Table(f"Attacks on a {level} release, preset {found['settings']['preset']}", header, rows)


def summary(collected: Collected) -> Table:
    """The audits in one line each."""
    rows = []
    for level in LEVELS:
        found = results_of(collected, f"audit_{level}")
        data = found["data"]
        verdicts = [attack["verdict"] for attack in found["attacks"]]
        counts = [str(verdicts.count(name)) for name in ("broken", "inconclusive", "no-evidence")]
        right = sum(control["ok"] for control in found["controls"])
        rows.append(
            (level, f"**{found['conclusion']}**", *counts, str(len(found["refused"])),
             f"{right} of {len(found['controls'])}", f"{data['images']} of {data['patients']}",
             str(sum(data["own_images"])), f"{found['seconds'] / 60:.0f}")
        )  # fmt: skip
    header = (
        "release", "conclusion", "attacks: broken", "inconclusive", "no evidence", "make no sense",
        "controls as expected", "images of patients attacked", "attacker's own images", "minutes",
    )  # fmt: skip
    return Table("Audits of a release of the test fold", header, rows)


def controls(collected: Collected) -> Table:
    """Every control: what broke it, and what tried."""
    rows = []
    for control in results_of(collected, "audit_sealed")["controls"]:
        broken = [attack["name"] for attack in control["attacks"] if attack["verdict"] == "broken"]
        others = [attack["name"] for attack in control["attacks"] if attack["verdict"] != "broken"]
        rows.append(
            (f"{control['title']} (`{control['name']}`)", control["expected"], control["got"],
             "yes" if control["ok"] else "**no**", _most(control), _listed(broken), _listed(others))
        )  # fmt: skip
    header = ("control", "expected", "got", "as expected", "largest advantage (95 %)", "broken by", "not by")
    return Table("Controls: what the audit of the sealed release sees in the same run", header, rows)


def sensitivity(collected: Collected) -> Table:
    """What the audit sees where a share of the true entries is told: the strongest attack of each metric."""
    points = results_of(collected, "audit_sealed")["sensitivity"]
    rows = []
    groups = dict.fromkeys((point["control"], point["metric"]) for point in points)
    for control, metric in sorted(groups, key=lambda group: (group[1], group[0].partition("@")[2], group[0])):
        own = [point for point in points if (point["control"], point["metric"]) == (control, metric)]
        best = max(own, key=lambda point: _or_least(point["advantage"]))
        verdicts = {point["verdict"] for point in own}
        verdict = "broken" if "broken" in verdicts else "inconclusive" if "inconclusive" in verdicts else "no-evidence"
        rows.append(
            (f"`{control}`", f"{best['percent']:g} %", _UNITS[metric], f"`{best['attack']}`", _gain(metric, best),
             _number(metric, best["margin"]), verdict)
        )  # fmt: skip
    header = ("control", "entries told", "metric", "strongest", "advantage (95 %)", "margin", "verdict of all attacks")
    return Table("Where the audit of the sealed release starts to see", header, rows)


def repeat(collected: Collected) -> Table:
    """Both parts of the repeatability benchmark."""
    found = results_of(collected, "audit_repeat")
    rows = []
    for key, words in (("twice", "two runs"), ("timed", "one run")):
        if key in found:
            one = found[key]
            same = "–" if key == "timed" else f"{len(one['differences'])} of {one['figures']}"
            minutes = ", ".join(f"{value:.1f}" for value in one["minutes"])
            rows.append((words, str(one["images"]), f"{one['side']} px", str(found["threads"]), minutes, same))
    header = ("preset quick", "images", "longer side", "threads", "minutes", "entries of report.json that differ")
    return Table("Repeatability and time of preset quick", header, rows)


def audit_bars(level: str, results: Results) -> Iterator[Bar]:
    """What issue 4 asks of the audit of one level."""
    verdicts = [attack["verdict"] for attack in results["attacks"]]
    broken = [attack["name"] for attack in results["attacks"] if attack["verdict"] == "broken"]
    blind = [
        attack["name"] for attack in results["attacks"]
        if attack["verdict"] == "inconclusive" and _blind(attack["measured"])
    ]  # fmt: skip
    preset = results["settings"]["preset"]
    counts = f"{verdicts.count('no-evidence')} no evidence, {verdicts.count('inconclusive')} inconclusive"
    met = not broken and not blind and preset != "quick" and bool(verdicts)
    words = f"{counts}, {len(broken)} broken" + (f"; no smallest effect: {_listed(blind)}" if blind else "")
    yield Bar(
        f"`{level}`, preset {preset}: every attack", "no evidence, or inconclusive with smallest visible effect", "",
        words, met, met and set(verdicts) == {"no-evidence"},
    )  # fmt: skip
    if level == "sealed":
        yield from _control_bars(results)


def _control_bars(results: Results) -> Iterator[Bar]:
    by_name = {control["name"]: control for control in results["controls"]}
    for name, words in (("linear-encoding", "NeuraCrypt-like"), ("weighted-mixing", "InstaHide-like")):
        control = by_name.get(name)
        if control is None:
            yield Bar(f"control {words}", "broken, interval apart from 0", "", "not run", False)
            continue
        apart = any(
            metric in ("psnr", "linkage_auc") and one["verdict"] == "broken" and _or_least(one["ci"][0]) > 0
            for attack in control["attacks"] for metric, one in attack["measured"].items()
        )  # fmt: skip
        measured = f"broken by {_listed(control['by']) or 'none'}; {_most(control, ('psnr', 'linkage_auc'))}"
        yield Bar(f"control {words}: linkage or picture", "broken, interval apart from 0", "", measured, apart)
    wrong = [control["name"] for control in results["controls"] if not control["ok"]]
    total = len(results["controls"])
    yield Bar(
        "controls of the audit of the sealed release", "all as expected", "",
        f"{total - len(wrong)} of {total}" + (f"; not {_listed(wrong)}" if wrong else ""), not wrong,
    )  # fmt: skip
    told = sorted({point["percent"] for point in results["sensitivity"] if point["verdict"] == "broken"})
    seen = f"from {told[0]:g} % of the entries told" if told else "not even at the largest share"
    yield Bar("sensitivity curve: where the audit starts to see", "at 10 % at the latest", "", seen, bool(told))


def repeat_bars(results: Results) -> Iterator[Bar]:
    twice, timed = results.get("twice"), results.get("timed")
    if twice is not None:
        yield Bar(
            f"the same report.json but for seconds: CPU, {results['threads']} threads, one seed, two runs",
            "no difference", "", f"{len(twice['differences'])} of {twice['figures']} entries differ",
            not twice["differences"],
        )  # fmt: skip
    if timed is not None:
        (minutes,) = timed["minutes"]
        yield Bar(
            f"preset quick, {timed['images']} images of {timed['side']} px, {results['threads']} threads",
            "≤ 10 minutes", "", f"{minutes:.1f} minutes", minutes <= 10,
        )  # fmt: skip


def _blind(measured: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether an inconclusive metric says no smallest visible effect."""
    return any(one["verdict"] == "inconclusive" and one["smallest_visible"] is None for one in measured.values())


def _most(control: Mapping[str, Any], metrics: Sequence[str] = tuple(_UNITS)) -> str:
    """The largest advantage in margins."""
    every = [
        (metric, one) for attack in control["attacks"] for metric, one in attack["measured"].items()
        if metric in metrics and one["advantage"] is not None
    ]  # fmt: skip
    if not every:
        return "–"
    metric, one = max(every, key=lambda each: each[1]["advantage"] / each[1]["margin"])
    return f"{_gain(metric, one)} {_UNITS[metric]}"


def _gain(metric: str, one: Mapping[str, Any]) -> str:
    if one["advantage"] is None:
        return "–"
    low, high = (_signed(metric, value) for value in one["ci"])
    return f"{_signed(metric, one['advantage'])} ({low} to {high})"


def _signed(metric: str, value: float | None) -> str:
    return "–" if value is None else f"{value:+.{_DIGITS[metric]}f}"


def _number(metric: str, value: float | None) -> str:
    return "–" if value is None else f"{value:.{_DIGITS[metric]}f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


BARS: dict[str, Callable[[Results], Iterator[Bar]]] = {
    **{f"audit_{level}": partial(audit_bars, level) for level in ("sealed", "encrypted")},
    "audit_repeat": repeat_bars,
}
TABLES: dict[str, tuple[tuple[str, ...], Callable[[Collected], Table]]] = {
    "audits": (tuple(f"audit_{level}" for level in LEVELS), summary),
    **{f"audit-{level}": ((f"audit_{level}",), partial(audit, level)) for level in LEVELS},
    "audit-controls": (("audit_sealed",), controls),
    "audit-sensitivity": (("audit_sealed",), sensitivity),
    "audit-repeat": (("audit_repeat",), repeat),
}
