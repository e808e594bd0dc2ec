"""Tables of open releases: each method's risk by attacker, and what its pictures are good for."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.table import NOTHING, Layout, Row

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


TABLES: dict[str, Layout] = {
    "plane": Layout(
        ("plane",), "Open releases: risk and utility, longer side {side} px", _columns, _plane
    ),
    "plane-attackers": Layout(
        ("plane",), "Matched AUC of each attacker in its strongest mode", _attacker_columns, _attackers
    ),
    "anonymizers": Layout(
        ("anonymizers",), "Methods at their defaults, longer side {side} px, {jobs} processes", _SPEED, _speed
    ),
}  # fmt: skip
