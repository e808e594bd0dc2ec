"""Tables of what attackers get: the two-image game, audits of releases, decoys, translation attacks, the CLUB view."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.published_values import ATTACKS
from benchmarks.table import NOTHING, Layout, Row, cell, lines, listed

UNITS = {"psnr": "dB", "ssim": "SSIM", "support_auc": "support AUC", "linkage_auc": "linkage AUC"}
_DIGITS = {"psnr": ".2f", "ssim": ".4f", "support_auc": ".3f", "linkage_auc": ".3f"}
_GAIN = "{advantage:+{digits}} ({ci[0]:+{digits}} to {ci[1]:+{digits}})"
_RATIOS = {1: "S_n = S_x", 3: "S_n = 3 S_x", 7: "S_n = 7 S_x", None: "all empty cells"}
_TABLE_4 = {"MAE": "mae:.2±", "ME": "me:.2±", "RMSE": "rmse:.2±", "PSNR": "psnr:.2±", "SSIM": "ssim:.3±"}


# The two-image game


def _game(results: Row) -> Iterator[Row]:
    yield {"what": "**sealed**", **results["sealed"]}
    for row in results["revealed"]:
        yield {"what": f"{100 * row['share']:g} % of the cells revealed", **row}
    yield {"what": "two packages of one picture", **results["same_image"]}
    yield from ({"what": f"planted fault: {row['fault']}", **row} for row in results["faults"])


# Audits


def _shown(metric: str, one: Row) -> Row:
    """A measured metric with what its format needs; without an advantage there is no interval either."""
    p = one.get("p")
    shown = {**one, "unit": UNITS[metric], "digits": _DIGITS[metric], "p": p if p is None else f"{p:.3f}"}
    if p is not None and p < 0.001:
        shown["p"] = "< 0.001"
    return shown if one["advantage"] is not None else {**shown, "ci": None}


def _audit(results: Row) -> Iterator[Row]:
    for attack in results["attacks"]:
        for metric, one in attack["measured"].items():
            yield {"attack": attack["name"], **_shown(metric, one)}
    yield from ({"attack": each["name"], "verdict": "makes no sense here"} for each in results["refused"])


def _audits(*results: Row) -> Iterator[Row]:
    for found in results:
        verdicts = [attack["verdict"] for attack in found["attacks"]]
        counts = {name.replace("-", "_"): verdicts.count(name) for name in ("broken", "inconclusive", "no-evidence")}
        right = f"{sum(control['ok'] for control in found['controls'])} of {len(found['controls'])}"
        yield {**found, **counts, "senseless": len(found["refused"]), "right": right,
               "own": sum(found["data"]["own_images"]), "minutes": found["seconds"] / 60}  # fmt: skip


def _controls(results: Row) -> Iterator[Row]:
    for control in results["controls"]:
        names = {
            broken: listed(each["name"] for each in control["attacks"] if (each["verdict"] == "broken") is broken)
            for broken in (True, False)
        }
        yield {**control, "right": "yes" if control["ok"] else "**no**", "most": largest(control),
               "broken_by": names[True], "not_by": names[False]}  # fmt: skip


def largest(control: Row, metrics: Sequence[str] = tuple(UNITS)) -> str:
    """The largest advantage over a control, in margins."""
    every = [
        (metric, one) for attack in control["attacks"] for metric, one in attack["measured"].items()
        if metric in metrics and one["advantage"] is not None
    ]  # fmt: skip
    if not every:
        return NOTHING
    return cell(f"{_GAIN} {{unit}}", _shown(*max(every, key=lambda each: each[1]["advantage"] / each[1]["margin"])))


def _sensitivity(results: Row) -> Iterator[Row]:
    """The strongest attack of each control and metric."""
    points = results["sensitivity"]
    groups = dict.fromkeys((point["control"], point["metric"]) for point in points)
    for control, metric in sorted(groups, key=lambda group: (group[1], group[0].partition("@")[2], group[0])):
        own = [point for point in points if (point["control"], point["metric"]) == (control, metric)]
        best = max(own, key=lambda point: -math.inf if point["advantage"] is None else point["advantage"])
        verdicts = {point["verdict"] for point in own}
        verdict = next((each for each in ("broken", "inconclusive") if each in verdicts), "no-evidence")
        yield {**_shown(metric, best), "verdict": verdict}


def _repeat(results: Row) -> Iterator[Row]:
    for key, words in (("twice", "two runs"), ("timed", "one run")):
        if key in results:
            one = results[key]
            same = {"same": f"{len(one['differences'])} of {one['figures']}"} if key == "twice" else {}
            minutes = ", ".join(f"{value:.1f}" for value in one["minutes"])
            yield {**one, **same, "what": words, "threads": results["threads"], "minutes": minutes}


# Recognizers


def _recognition(results: Row) -> Iterator[Row]:
    """Each attacker on each data set at the last preset, and what it found at the first one.

    A data set with pairs of a single person has no row.
    """
    first, last = results["presets"][0], results["presets"][-1]
    before = {row["recognizer"]: row["sources"] for row in first["rows"]}
    for row in last["rows"]:
        for source, found in ((name, each) for name, each in row["sources"].items() if each["people"] > 1):
            yield {**row, **found, "source": source, "before": before[row["recognizer"]][source]}


def _recognition_columns(results: Row) -> dict[str, str]:
    first, last = results["presets"][0]["preset"], results["presets"][-1]["preset"]
    return {
        "attacker": "`{recognizer}`", "data set": "{source}", f"AUC (95 %), {last}": "{auc:.2–}",
        first: "{before[auc][mean]:.2f}", f"matched negatives, {last}": "{matched_auc:.2–}",
        f"matched, {first}": "{before[matched_auc][mean]:.2f}", "TPR at FPR 1 %": "{tpr_at_1:.2f}",
        "matched TPR": "{matched_tpr_at_1:.2f}", "found first": "{top_1:.1%}", "by chance": "{chance:.1%}",
        "CPU s": "{seconds:.0f}",
    }  # fmt: skip


def _sourced(rows: Sequence[Row]) -> Iterator[Row]:
    yield from ({**row, **found, "source": source} for row in rows for source, found in row["sources"].items())


_FOUND = {
    "attacker": "`{recognizer}`", "data set": "{source}", "AUC (95 %)": "{auc:.2–}",
    "matched negatives": "{matched_auc:.2–}", "TPR at FPR 1 %": "{tpr_at_1:.2f}", "found first": "{top_1:.1%}",
    "by chance": "{chance:.1%}", "people with a pair": "{people}",
}  # fmt: skip


# Decoys, networks, the CLUB view


def _tried(rows: Sequence[Row], words: str = "") -> Iterator[Row]:
    yield from ({**row, "name": f"{words}`{row['attack']}`"} for row in rows)


def _reference(results: Row) -> Iterator[Row]:
    found = results["reference"]
    yield from _tried(found["attacks"])
    yield {"name": "mean of the attacker's own pictures", "figures": {"psnr": found["mean_picture"]["psnr"]}}
    yield {"name": "key holder", "figures": {"psnr": found["key_holder_psnr"]}}


def _curve(results: Row) -> Iterator[Row]:
    for row in results["matched"]:
        tried = {each["attack"]: each for each in row["attacks"]}
        best = {figure: tried.get(row["strongest"].get(figure), {}) for figure in ("psnr", "support_auc")}
        yield {**row, "decoys": _RATIOS[row["ratio"]], "best": best, "naive": tried.get("naive-decode", {})}


def _matched(results: Row) -> Iterator[Row]:
    for row in results["matched"]:
        yield from _tried(row["attacks"], f"{_RATIOS[row['ratio']]}, ")


def _translation(results: Row) -> Iterator[Row]:
    for name, printed in ATTACKS.items():
        yield {"name": f"published: {name}", **dict(zip(_TABLE_4, printed, strict=True))}
    for mechanism in results["mechanisms"]:
        for row in _tried(mechanism["attacks"], f"{mechanism['words']}: "):
            yield {**row, **_errors(row.get("figures", {}))}
    yield {"name": "mean of the attacker's own pictures", **_errors(results["mean_picture"])}


def _errors(figures: Row) -> dict[str, str]:
    return {name: cell(f"{{{form}}}", figures) for name, form in _TABLE_4.items()}


def _club(results: Row) -> Iterator[Row]:
    for point in results["points"]:
        best = next((each for each in point["attacks"] if each["attack"] == point["strongest"]), {})
        yield {**point, "best": best}


_TRIED: Mapping[str, str] = {
    "support AUC": "{figures[support_auc]:.3to}",
    "hits among the likeliest": "{figures[hit_rate][mean]:.1%} ({figures[hit_rate_by_chance][mean]:.1%})",
    "picture, dB (95 %)": "{figures[psnr]:.2to}",
    "with another package, dB": "{no_information[psnr]:.2to}",
    "gain, dB (95 %)": "{gain[psnr]:.2to}",
    "SSIM": "{figures[ssim]:.3to}",
}
_METRIC = ("{attacker:{digits}}", "{baseline:{digits}}", _GAIN, "{upper:{digits}}", "{margin:{digits}}",
           "{smallest_visible:{digits}}")  # fmt: skip


def _audit_layout(level: str) -> Layout:
    header = ("with the package", "with another one", "advantage (95 %)", "upper bound", "margin", "smallest visible")
    return Layout(
        (f"audit_{level}",), f"Attacks on a {level} release, preset {{settings[preset]}}",
        {"attack": "`{attack}`", "metric": "{unit}", **dict(zip(header, _METRIC, strict=True)), "p": "{p}",
         "verdict": "{verdict}"},
        _audit,
    )  # fmt: skip


TABLES: dict[str, Layout] = {
    "two-image-game": Layout(
        ("two_image_game",), "Two-image game",
        {"what the attacker is given": "{what}", "advantage": "{advantage:+.4f}",
         "lower bound, 99 %": "{lower_99:+.4f}", "upper bound, 99 %": "{upper_99:+.4f}", "packages": "{packages}",
         "strongest": "{strongest}"},
        _game,
    ),
    "audits": Layout(
        ("audit_sealed", "audit_encrypted"), "Audits of a release of the test fold",
        {"release": "{release[protection]}", "conclusion": "**{conclusion}**", "attacks: broken": "{broken}",
         "inconclusive": "{inconclusive}", "no evidence": "{no_evidence}", "make no sense": "{senseless}",
         "controls as expected": "{right}", "images of patients attacked": "{data[images]} of {data[patients]}",
         "attacker's own images": "{own}", "minutes": "{minutes:.0f}"},
        _audits,
    ),
    "audit-sealed": _audit_layout("sealed"),
    "audit-encrypted": _audit_layout("encrypted"),
    "audit-controls": Layout(
        ("audit_sealed",), "Controls: what the audit of the sealed release sees in the same run",
        {"control": "{title} (`{name}`)", "expected": "{expected}", "got": "{got}", "as expected": "{right}",
         "largest advantage (95 %)": "{most}", "broken by": "{broken_by}", "not by": "{not_by}"},
        _controls,
    ),
    "audit-sensitivity": Layout(
        ("audit_sealed",), "Where the audit of the sealed release starts to see",
        {"control": "`{control}`", "entries told": "{percent:g} %", "metric": "{unit}", "strongest": "`{attack}`",
         "advantage (95 %)": _GAIN, "margin": "{margin:{digits}}", "verdict of all attacks": "{verdict}"},
        _sensitivity,
    ),
    "audit-repeat": Layout(
        ("audit_repeat",), "Repeatability and time of preset quick",
        {"preset quick": "{what}", "images": "{images}", "longer side": "{side} px", "threads": "{threads}",
         "minutes": "{minutes}", "entries of report.json that differ": "{same}"},
        _repeat,
    ),
    "recognition": Layout(
        ("recognition",), "Who is found again on untouched radiographs of the test fold", _recognition_columns,
        _recognition,
    ),
    "recognition-folds": Layout(
        ("recognition",), "All people in turn", _FOUND,
        lambda results: _sourced(results["folds"]["rows"] if "folds" in results else ()),
    ),
    "recognition-phantoms": Layout(
        ("recognition",), "Invented patients", _FOUND, lambda results: _sourced(results["phantoms"])
    ),
    "recognition-controls": Layout(
        ("recognition",), "Where nobody should be found",
        {"control": "{name}", "images": "{images}", "matched AUC, best attacker": "{matched_auc:.3f}",
         "where shuffled, 97.5 %": "{null_auc:.3f}", "found first": "{top_1:.1%}",
         "found first where shuffled, 97.5 %": "{null_top_1:.1%}", "at the null": "{at_null}"},
        lambda results: results["controls"],
    ),
    "decoy-gap": Layout(
        ("decoy_curve",), "From the public values alone", {"published decoys": "{what}", "measured": "{measured}"},
        lambda results: lines({
            "true negative entries among the smallest values, as many": "{negatives_found:.1%}",
            "images in which these are just the true ones": "{negatives_exact:.1%}",
            "true entries below the gap": "{true_below_gap:.1%}",
            "decoys above the gap, to be dropped by eye": "{decoys_above_gap:.1%}",
            "public bits a pixel": "{public_bpp:.2f}",
        }, results["reference"]),
    ),
    "decoy-reference": Layout(
        ("decoy_curve",), "Published law of decoys, codec primis",
        {"attack on the published decoys": "{name}", **_TRIED}, _reference,
    ),
    "decoy-curve": Layout(
        ("decoy_curve",), "Matched decoys against the strongest attacker",
        {
            "matched decoys": "{decoys}", "public bpp": "{public_bpp:.2f}",
            "support AUC of the strongest": "{best[support_auc][figures][support_auc]:.3to}, "
                                            "`{best[support_auc][attack]}`",
            "its hits (by chance)": "{best[support_auc][figures][hit_rate][mean]:.1%} "
                                    "({best[support_auc][figures][hit_rate_by_chance][mean]:.1%})",
            "picture of the strongest, dB": "{best[psnr][figures][psnr]:.2to}, `{best[psnr][attack]}`",
            "with another package, dB": "{best[psnr][no_information][psnr]:.2to}",
            "gain, dB": "{best[psnr][gain][psnr]:.2to}",
            "public code as it is, dB": "{naive[figures][psnr]:.2to}",
            "mean picture, dB": "{mean_picture[psnr]:.2to}", "key holder, dB": "{key_holder_psnr:.2to}",
        },
        _curve,
    ),
    "decoy-attacks": Layout(
        ("decoy_curve",), "Every attack on matched decoys", {"decoys, attack": "{name}", **_TRIED}, _matched
    ),
    "translation": Layout(
        ("translation_attacks",), "PRIMIS, Table 4: published and ours, mean ± SD",
        {"attack": "{name}", **{name: f"{{{name}}}" for name in _TABLE_4},
         "PSNR with another package": "{no_information[psnr]:.2to}", "gain, dB (95 %)": "{gain[psnr]:.2to}"},
        _translation,
    ),
    "club": Layout(
        ("club",), "CLUB view: public bits, key holder, attacker",
        {"level, codec, budget": "{series}, {budget}", "public bpp": "{public_bpp:.3f}",
         "key holder, dB": "{key_holder_psnr:.2to}",
         "strongest attacker, dB": "{best[figures][psnr]:.2to}, `{best[attack]}`",
         "with another package, dB": "{best[no_information][psnr]:.2to}",
         "mean picture, dB": "{mean_picture_psnr:.2to}"},
        _club,
    ),
}  # fmt: skip
