"""Re-identification in words: whom somebody who holds other pictures finds in an open release, and how surely.

Everything here is made from the key `identification` of report.json; see `medveil.audit.results.Identification`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medveil.report.amounts import amount, interval, listed, percent
from medveil.report.charts import BAD, GOOD, Bar, Drawing, bar_canvas, draw_bars, drawing_style, finished

Found = Mapping[str, Any]
_QUESTIONS = {
    "released-real": "another real image of the person, against the released pictures",
    "released-released": "two released pictures of one person",
    "same-record": "the very image, against the released pictures",
    "averaged": "another real image of the person, against the mean of several releases",
    "averaged-same-record": "the very image, against the mean of several releases",
    "raw": "the untouched pictures among themselves",
}
_SHORT = {
    "released-real": "another image of the person", "released-released": "two released pictures",
    "same-record": "the very image", "averaged": "another image, mean of several releases",
    "averaged-same-record": "the very image, mean of several releases", "raw": "untouched pictures",
}  # fmt: skip
_LEARNED = {"real": "untouched", "released": "retrained on released", "both": "retrained on both"}
_QUERIES = {"real": "real", "anonymized": "anonymised too", "released": "released"}
_NO_MANIFEST = "Who is who was not said: whether pictures of one person can be told was not measured."


def question_words(question: str) -> str:
    """What was held against what."""
    return _QUESTIONS.get(question, question)


def risk_sentence(found: Found, method: str, *, whole: bool) -> str:
    """The one sentence about risk that the audit of an open release supports. Nothing is called de-identified where
    attackers were left out, or have not shown that they can see, and see nothing where nothing is.

    Args:
        found: the key `identification`.
        method: with its settings.
        whole: whether no attack was left out.
    """
    best = found["maximum"].get("any")
    if not best or best["matched_auc"] is None:
        return f"Risk: not measured. {_NO_MANIFEST}"
    count = len(found["recognizers"])
    attackers = f"{count} attacker{'' if count == 1 else 's'}"
    told = (
        f"one person's pictures are told from those of people alike with AUC {amount('auc', best['matched_auc'])} "
        f"({interval('auc', best['ci'], signed=False)}; by luck up to {amount('auc', best['null'])})"
    )
    controls = found["controls"]
    sound = whole and not found["undone"] and len(controls) > 1 and all(controls.values())
    begin = "De-identified" if sound else "This audit does not say whether people in it can be recognised"
    if _above(found) and controls.get("shuffled_at_null") is not False:
        begin = "People in it can be recognised"
    return f"{begin}: pictures made by medveil, method {method}; measured risk against {attackers}: {told}."


def _above(found: Found) -> bool:
    """Whether anything was found that luck does not explain."""
    return any(each["above_null"] or each.get("top_1_above_null") for each in found["maximum"].values() if each)


def risk_lines(found: Found) -> list[str]:
    """What somebody who holds other pictures finds, a sentence a question, in people and not in figures of merit."""
    best = found["maximum"]
    told = []
    other, same = best.get("released-real"), best.get("same-record")
    if other and other["top_1"] is not None:
        told.append(
            f"Of {other['people']} people, somebody who holds another image of one finds the right picture first in "
            f"{_share(other)}."
        )
    if same and same["top_1"] is not None:
        told.append(f"Somebody who holds the very image that was released finds its picture first in {_share(same)}.")
    averaged = best.get("averaged")
    if averaged and averaged["top_1"] is not None:
        told.append(
            f"If the same images were released several times, the mean of the pictures gives the person in "
            f"{percent(averaged['top_1'])}."
        )
    every = best.get("any")
    if every and every["matched_auc"] is not None:
        told.append(
            "Two pictures of one person are told from two of people of the same source, label, view and sex with AUC "
            f"{amount('auc', every['matched_auc'])} ({interval('auc', every['ci'], signed=False)}) at best, by "
            f"{attacker_words(every)}; 0.5 is chance, and by luck the best of these attackers reaches "
            f"{amount('auc', every['null'])}."
        )
    raw = found.get("raw")
    if raw and raw["matched_auc"] is not None:
        told.append(
            f"The same attackers on the untouched pictures: AUC {amount('auc', raw['matched_auc'])}, the right person "
            f"first in {percent(raw['top_1'])}."
        )
    metadata = [row["matched_auc"] for row in found.get("metadata", {}).values() if row["matched_auc"] is not None]
    if metadata:
        told.append(
            "What stands beside the pixels alone (size, length, attributes, labels): AUC "
            f"{amount('auc', max(metadata))}."
        )
    return told or [_NO_MANIFEST]


def _share(best: Found) -> str:
    luck = f", by luck up to {percent(best['top_1_null'])}" if best.get("top_1_null") is not None else ""
    return f"{percent(best['top_1'])}; chance {percent(best['top_1_chance'])}{luck}"


def told_maximum(found: Found) -> dict[str, dict[str, Any]]:
    """The strongest recognizer by question, in a few numbers, as the terminal's JSON has it."""
    names = ("recognizer", "matched_auc", "ci", "null", "above_null", "top_1", "top_1_chance", "people")
    return {question: {name: best[name] for name in names} for question, best in found["maximum"].items() if best}


def attacker_words(row: Found) -> str:
    """hog, retrained on both, query anonymised too."""
    return f"{row['recognizer']}, {_LEARNED[row['learned']]}, query {_QUERIES[row['query']]}"


def control_lines(found: Found) -> list[str]:
    """Whether these attackers have shown that they can see, and that they see nothing where nothing is."""
    words = {
        "raw_linked": ("The untouched pictures were linked, as they must be", "The untouched pictures were not linked"),
        "shuffled_at_null": (
            "With identities shuffled nothing was found, as it must be", "With identities shuffled something was found"
        ),
    }  # fmt: skip
    told = []
    for name, (good, bad) in words.items():
        if name in found["controls"]:
            state = found["controls"][name]
            told.append(f"{good}." if state else f"{bad}: these figures are no measure." if state is False else
                        f"Not tried: {name.replace('_', ' ')}.")  # fmt: skip
    undone = [f"{one['recognizer']} ({one['reason'].rstrip('.')})" for one in found["undone"]]
    return told + ([f"Attackers that did not take part: {listed(list(dict.fromkeys(undone)))}."] if undone else [])


def failed_controls(found: Found) -> list[str]:
    """Of these lines those that make the figures worthless."""
    wrong = {name: state for name, state in found["controls"].items() if state is False}
    return control_lines({**found, "controls": wrong, "undone": []})


def table_rows(found: Found) -> list[dict[str, Any]]:
    """Every attacker in every mode, by question and the strongest first; numbers in words."""
    rows = [*found["rows"], *found["raw_rows"]]
    order = {name: place for place, name in enumerate(_QUESTIONS)}
    rows.sort(key=lambda row: (order.get(row["question"], len(order)), -(row["matched_auc"] or 0.0)))
    return [
        {
            "question": question_words(row["question"]), "name": row["recognizer"], "title": row["title"],
            "learned": _LEARNED[row["learned"]], "query": _QUERIES[row["query"]],
            "all": f"{amount('auc', row['auc'])} ({interval('auc', row['auc_ci'], signed=False)})",
            "matched": f"{amount('auc', row['matched_auc'])} ({interval('auc', row['matched_auc_ci'], signed=False)})",
            "people": amount("auc", row["patient_auc"]),
            "rate": f"{percent(row['tpr_at_1'])}, {percent(row['matched_tpr_at_1'])}",
            "first": _first(row), "map": "–" if row["map"] is None else amount("auc", row["map"]),
            "counts": f"{row['pairs']}, {row['patients']}",
        }
        for row in rows
    ]  # fmt: skip


def _first(row: Found) -> str:
    top = row["top"]
    if not top or top.get("1") is None:
        return "–"
    return f"{percent(top['1'])}, {percent(top.get('5'))}, {percent(top.get('15'))} ({percent(row['chance'].get('1'))})"


def chart(found: Found) -> Drawing | None:
    """Matched AUC of each attacker in its strongest mode, a panel a question, and the null as a band."""
    every = [*found["rows"], *found["raw_rows"]]
    panels = {name: rows for name in _QUESTIONS if (rows := _strongest([r for r in every if r["question"] == name]))}
    if not panels:
        return None
    with drawing_style():
        canvas, axes = bar_canvas([len(rows) for rows in panels.values()])
        for axis, (name, rows) in zip(axes, panels.items(), strict=True):
            best = found["raw"] if name == "raw" else found["maximum"].get(name)
            null = best["null"] if best and best["null"] is not None else 0.5
            draw_bars(axis, (0.5, null), [_bar(row, null) for row in rows], none=0.5)
            axis.set_xlabel(f"matched AUC, {_SHORT[name]}")
        caption = (
            "How well each attacker, in its strongest mode, tells one person's pictures from those of people of the "
            "same source, label, view and sex; point and 95 % interval by patient. Grey band: what the best of all "
            "attackers reaches by luck."
        )
        return finished(canvas, "identification", caption)


def _strongest(rows: list[Found]) -> list[Found]:
    """The strongest mode of each attacker, the strongest attacker first."""
    best: dict[str, Found] = {}
    for row in sorted(rows, key=lambda row: -(row["matched_auc"] or 0.0)):
        if row["matched_auc"] is not None:
            best.setdefault(row["recognizer"], row)
    return list(best.values())


def _bar(row: Found, null: float) -> Bar:
    mode = "" if row["question"] == "raw" else f" ({_LEARNED[row['learned']]}, {_QUERIES[row['query']]})"
    low, high = (row["matched_auc"] if end is None else end for end in row["matched_auc_ci"])
    look = ("more than luck", BAD) if row["matched_auc"] > null else ("no more than luck", GOOD)
    return Bar(f"{row['recognizer']}{mode}", row["matched_auc"], (low, high), low, look)
