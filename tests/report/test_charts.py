"""Figures: the same audit gives the same bytes, and what is drawn is what was measured."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from tests.audit.invented import attack, attacks, audit, controls, curve, examples, face, fidelity, measured, pairs

from medveil.audit.results import Pairs
from medveil.report.charts import advantages, charts, joint_histogram, linkage_curves, matrix, roc, sensitivity_curve
from medveil.report.image_strips import attack_strip, difference_maps, psnr_between, strips


def test_every_chart_is_there():
    drawn = charts(audit())
    assert [one.name for one in drawn] == ["advantage", "linkage", "matrix", "sensitivity", "fidelity-diagnostic"]
    assert not any(one.patients for one in drawn)


@pytest.mark.slow
def test_same_audit_same_bytes_whatever_the_users_style():
    few = audit(controls=curve()[2:], attacks=attacks()[:2])
    first = charts(few) + strips(few)
    with mpl.rc_context({"font.size": 20, "savefig.dpi": 30}):
        second = charts(few) + strips(few)
    assert len(first) == 7
    assert [(one.svg, one.png) for one in first] == [(one.svg, one.png) for one in second]


def test_another_audit_gives_another_figure():
    assert advantages(attacks()).svg != advantages(attacks(broken=False)).svg


def test_nothing_of_time_or_machine_in_the_bytes():
    drawing = advantages(attacks())
    assert b"<dc:date>" not in drawing.svg
    assert b"Matplotlib" not in drawing.svg
    assert Image.open(io.BytesIO(drawing.png)).info.keys() <= {"dpi"}


def test_pictures_are_marked_as_such():
    drawn = strips(audit())
    assert [one.name for one in drawn] == ["strip-code-decoder", "strip-naive-decode", "worst-diagnostic"]
    assert all(one.patients for one in drawn)


def test_naive_picture_is_shown_even_if_others_are_stronger():
    strong = [attack(f"a{n}", measured("psnr", 0.2 - n / 100), examples=examples(1)) for n in range(4)]
    naive = attack("naive-decode", measured("psnr", 0.0), examples=examples(1))
    drawn = strips(audit(attacks=(naive, *strong), fidelity=()))
    assert [one.name for one in drawn] == ["strip-a0", "strip-a1", "strip-a2", "strip-naive-decode"]


def test_strip_of_one_example_is_lower_than_of_three():
    heights = [
        Image.open(io.BytesIO(attack_strip(attack("a", measured(), examples=examples(n))).png)).height for n in (1, 3)
    ]
    assert heights[0] * 2 < heights[1]


def test_nothing_to_draw():
    empty = audit(attacks=(), controls=(), fidelity=())
    assert charts(empty) == strips(empty) == ()
    assert advantages([attack("unet", refusal="no")]) is None
    assert sensitivity_curve(controls()[:1]) is None
    assert linkage_curves([attack("linkage-code", measured("linkage_auc"))]) is None


def test_one_class_of_pairs_has_no_curve():
    alone = Pairs(np.ones(3, np.float32), np.ones(3, bool), np.zeros((3, 2), np.int64))
    assert linkage_curves([attack("linkage-code", measured("linkage_auc"), pairs=alone)]) is None


@pytest.mark.parametrize("ties", [False, True])
def test_roc_has_the_area_of_the_reference(ties):
    found = pairs()
    score = np.round(found.score) if ties else found.score
    false, true = roc(Pairs(score, found.same, found.patients))
    assert (false[0], true[0], false[-1], true[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(found.same, score), abs=1e-12)


def test_matrix_needs_controls():
    assert matrix(audit(controls=())) is None
    assert "Attack × control" in matrix(audit()).caption


def test_histogram_says_how_many_pixels():
    assert "20,000 pixels" in joint_histogram(fidelity()).caption


def test_names_of_others_make_no_paths():
    drawing = attack_strip(attack("../../Evil name", measured(), examples=examples(1)))
    assert "/" not in drawing.name
    assert " " not in drawing.name


def test_psnr_of_strips():
    flat = np.zeros((4, 4), np.float32)
    assert psnr_between(flat, flat + 255) == 0.0
    assert psnr_between(flat, flat) == float("inf")
    assert psnr_between(flat, flat + 25.5) == pytest.approx(20.0)


def test_equal_pictures_can_be_shown():
    exact = fidelity()
    same = tuple(type(one)(one.number, one.original, one.original, one.baseline) for one in exact.examples)
    exact = type(exact)(exact.tier, exact.rows, exact.histogram, 1.0, same)
    assert difference_maps(exact).png


def test_curve_and_faces_are_not_constant():
    assert len(curve()) == 3
    assert face(1).std() > 1
