"""Tables of open releases: each method's risk by attacker, and what its pictures are good for."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.table import NOTHING, Layout, Row, cell

ASKED = {
    "kermany, bacterial or viral": "kermany: bacterial pneumonia against viral pneumonia",
    "nih, normal or pneumonia": "nih: normal against pneumonia",
    "lungs, Dice": "segmentation",
}
"""Column -> how the title of its question ends, or begins."""
QUESTIONS = {
    "released-real": "another image", "released-released": "two released", "same-record": "same record",
}  # fmt: skip


def question_of(row: Row) -> str:
    """The column that a row of the plane belongs to; empty for further questions."""
    title = row["question"] or ""
    return next((name for name, words in ASKED.items() if title.endswith(words) or title.startswith(words)), "")


def _plane(results: Row) -> Iterator[Row]:
    releases = list(dict.fromkeys(row["audit"] for row in results["rows"]))
    for number in releases:
        rows = [row for row in results["rows"] if row["audit"] == number]
        told = {**rows[0], "risk": _risk(rows[0])}
        for name in ASKED:
            found = next((row for row in rows if question_of(row) == name), None)
            told[f"{name}/population"], told[f"{name}/picture"] = (
                _utility(found, "population"),
                _utility(found, "picture"),
            )
        yield told
    first = {name: next((row for row in results["rows"] if question_of(row) == name), None) for name in ASKED}
    untouched = next((row for row in results["rows"] if row["untouched_auc"] is not None), {})
    raw = {f"{name}/{kind}": f"{row['originals']:.3f}" if row else NOTHING
           for name, row in first.items() for kind in ("population", "picture")}  # fmt: skip
    yield {
        "release": "*untouched pictures*",
        "risk": f"{untouched['untouched_auc']:.3f}" if untouched else NOTHING,
        **raw,
    }


def _risk(row: Row) -> str:
    return f"{row['matched_auc']:.3f} ({row['matched_auc_low']:.2f} to {row['matched_auc_high']:.2f})"


def _utility(row: Row | None, kind: str) -> str:
    if row is None or row[kind] is None:
        return NOTHING
    return f"{row[kind]:.3f}" + (" ●" if row[f"{kind}_undominated"] else "")


def _columns(results: Row) -> dict[str, str]:
    shown = {
        "release": "{release}", "matched AUC of the best attacker (95 %)":
            "{risk}",
        "by luck up to": "{null_of_maximum:.3f}", "attacker": "`{attacker}`",
        "right person first (chance)": "{top_1:.1%} ({top_1_by_chance:.1%})",
        "very image first (chance)": "{same_record_top_1:.1%} ({same_record_top_1_by_chance:.1%})",
    }  # fmt: skip
    asked = {question_of(row) for row in results["rows"]}
    for name in (each for each in ASKED if each in asked):
        shown |= {f"{name}: population": f"{{{name}/population}}", f"{name}: picture": f"{{{name}/picture}}"}
    return shown


def _attackers(results: Row) -> Iterator[Row]:
    for each in results["attackers"]:
        for question, words in QUESTIONS.items():
            if question in each:
                yield {"release": each["release"], "asked": words, **each[question]}


def _attacker_columns(results: Row) -> dict[str, str]:
    names = dict.fromkeys(
        name for each in results["attackers"] for question in QUESTIONS for name in each.get(question, {})
    )
    return {"release": "{release}", "question": "{asked}", **{f"`{name}`": f"{{{name}:.3f}}" for name in names}}


_SPEED = {
    "method": "`{method}`", "settings": "`{settings}`", "library: images/s": "{library[images_a_second]:.0f}",
    "CPU s an image": "{library[cpu_seconds_an_image]:.4f}",
    "`medveil anonymize`: images/s": "{program[images_a_second]:.0f}",
    "CPU s an image, files and all": "{program[cpu_seconds_an_image]:.4f}",
    "images in two CPU s": "{in_two_seconds:.0f}",
}  # fmt: skip


def _speed(results: Row) -> Iterator[Row]:
    for row in results["rows"]:
        yield {**row, "in_two_seconds": 2 / row["program"]["cpu_seconds_an_image"]}


_LEARNED = {"released": "learned from released", "both": "from both", "both sides": "and changes her own too"}
"""What an attacker learned from -> the column's header."""


def _each_source(found: Row | None) -> str:
    """Figures of the data sets, one after the other."""
    if not found:
        return NOTHING
    return " / ".join(cell("{mean:.3f} ± {sd:.3f}" if "sd" in each else "{mean:.3f}", each) for each in found.values())


def _prichexy(results: Row) -> Iterator[Row]:
    for row in results["rows"]:
        asked = list(row["attackers"].values())
        most = {
            source: max((found[source] for each in asked for found in each.values()), key=lambda one: one["mean"])
            for source in row["classes"]
        }
        network = row["attackers"].get("contrastive", {})
        yield {
            **row, "classifier": _each_source(row["classes"]), "network": _each_source(network.get("released")),
            "most": _each_source(most), **results["published"].get(row["release"], {}),
        }  # fmt: skip


def _prichexy_columns(results: Row) -> dict[str, str]:
    sources = " / ".join(results["rows"][0]["classes"])
    return {
        "release": "{release}", "pixels move by (largest)": "{rms_px:.2f} ({most_px:.2f}) px",
        f"network retrained as published: {sources}": "{network}", "the publication: verifier": "{verifier:.1±} %",
        f"best attacker: {sources}": "{most}",
        f"fixed classifier: {sources}": "{classifier}", "the publication: classifier": "{classes_published:.1–} %",
    }  # fmt: skip


def _prichexy_attackers(results: Row) -> Iterator[Row]:
    for row in results["rows"]:
        for name, by_question in row["attackers"].items():
            told = {learned: _each_source(by_question.get(learned)) for learned in _LEARNED}
            first = by_question.get("both") or by_question["released"]
            yield {"release": row["release"], "attacker": name, **told, "ci": " / ".join(
                cell("{ci[0]:.2f} to {ci[1]:.2f}", each) for each in first.values()
            )}  # fmt: skip


def _prichexy_attacker_columns(results: Row) -> dict[str, str]:
    shown = {words: f"{{{learned}}}" for learned, words in _LEARNED.items()}
    return {"release": "{release}", "attacker": "`{attacker}`", **shown, "95 % by patient, of both": "{ci}"}


def _cohort(results: Row) -> Iterator[Row]:
    for row in results["rows"]:
        for name, found in row["found"].items():
            other, very = (found[question] for question in ("another image", "very image"))
            members = row["membership"][name]
            yield {
                "release": row["release"], "source": row["source"], "pictures": row["pictures"], "attacker": name,
                "other": _auc(other.get("matched")), "very": _auc(very.get("all")), "first": _first(very),
                "member_other": _auc(members["another image"]), "member_very": _auc(members["very image"]),
            }  # fmt: skip


def _auc(found: Row | None) -> str:
    return cell("{mean:.3f} ({ci[0]:.2f} to {ci[1]:.2f})", found) if found else NOTHING


def _first(found: Row) -> str:
    return f"{found['first']['mean']:.3f} ({found['chance']:.3f})" if found else NOTHING


_COHORT = {
    "release": "`{release}`", "data set": "{source}", "pictures a release": "{pictures:.1f}",
    "attacker": "`{attacker}`", "another image, matched AUC": "{other}", "very image, AUC within its kind": "{very}",
    "very image first (chance)": "{first}", "member, by another image: AUC": "{member_other}",
    "member, by the very image: AUC": "{member_very}",
}  # fmt: skip


TABLES: dict[str, Layout] = {
    "plane": Layout(
        ("plane",), "Open releases: risk and utility, longer side {side} px", _columns, _plane
    ),
    "plane-attackers": Layout(
        ("plane",), "Matched AUC of each attacker in its strongest mode", _attacker_columns, _attackers
    ),
    "prichexy": Layout(
        ("prichexy",), "PriCheXy-Net, longer side {side} px: AUC, mean over {seeds} seeds", _prichexy_columns, _prichexy
    ),
    "prichexy-attackers": Layout(
        ("prichexy",), "Matched AUC of each attacker, retrained", _prichexy_attacker_columns, _prichexy_attackers
    ),
    "cohort": Layout(
        ("cohort",), "Random groups: mean over {folds} folds and {groupings} releases of each", _COHORT, _cohort
    ),
    "anonymizers": Layout(
        ("anonymizers",), "Methods at their defaults, longer side {side} px, {jobs} processes", _SPEED, _speed
    ),
}  # fmt: skip
