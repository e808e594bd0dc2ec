"""Tasks in the report: every number is there, the words say no more than it, and pictures stay out where asked."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from tests.audit.invented import HOSTILE, audit, small
from tests.audit.task_scenes import LOSSES, classification, matrix, overlay, radiomics, segmentation, tasked
from tests.report.test_page import Page

from medveil.audit.audit_folder import check_out
from medveil.audit.record import OWN_FIGURE, canonical, excellent_share, record_of, task_record
from medveil.audit.results import Verdict
from medveil.experiments.unit import Status
from medveil.metrics.inference import Compared, Standing
from medveil.report.charts import charts, losses, roc_curves, texture
from medveil.report.image_strips import contours, strips
from medveil.report.page import write_report
from medveil.report.sentences import image_sentences, question_sentence, task_lines, task_results
from medveil.report.tables import loss_table
from medveil.tasks.results import FeatureAgreement, Question, TaskResult

FAILED = TaskResult("odd", "An odd task", refusal="ValueError", status=Status.FAILED)
REFUSED = TaskResult("sad", "A sad task", refusal=f"No image has a mask: {HOSTILE}", status=Status.REFUSED)


@pytest.fixture(scope="module")
def found():
    return tasked(small(), classification(), segmentation(), radiomics(), FAILED, REFUSED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("tasks") / "report"
    write_report(found, path)
    return path


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_what_is_lost_stands_after_the_answer_and_beside_what_is_gained(page):
    text = page.text
    places = [text.index(part) for part in ("The answer", "What was asked", "What is lost at each quality")]
    assert places == sorted(places)
    assert "+1.20 dB by the strongest, code-decoder (picture, PSNR). In all: broken" in text
    assert "−0.001: non-inferior within 0.02" in text
    assert "−0.090: worse, by more than 0.02" in text
    assert "−0.020: not decided with 50 patients" in text
    assert "36.10 dB, 0.930" in text
    assert "not this release" in text


def test_matrix_baselines_cautions_and_refusals_are_on_the_page(page):
    text = page.text
    assert text.count(": trained on") == 3
    assert text.count("what the others are held against") == 3
    assert "view alone: 0.610 (0.550 to 0.660)" in text
    assert "Caution. The classes come from different data sets." in text
    assert "Failed : ValueError" in text
    assert f"Not done : No image has a mask: {HOSTILE}" in text
    assert "84 images of 70 patients tested (normal: 40, pneumonia: 44)" in text
    assert all(source.startswith(("data:image/", "#")) for source in page.loaded)


def test_record_follows_the_agreed_form(found):
    record = json.loads(canonical(record_of(found)))
    first, second, third, failing, refused = record["tasks"]
    assert [failing["status"], refused["status"], first["status"], first["reason"]] == ["failed", "refused", "done", ""]
    assert set(first) == {"name", "title", "status", "reason", "settings", "seconds", "notes", "questions",
                          "agreements"}  # fmt: skip
    question = first["questions"][0]
    assert set(question) == {"name", "title", "classes", "images", "patients", "metric", "caution", "baselines",
                             "matrix"}  # fmt: skip
    assert len(question["matrix"]) == 16
    (reference,) = [cell for cell in question["matrix"] if cell["difference"] is None]
    assert (reference["train"], reference["test"]) == ("original", "original")
    cell = next(cell for cell in question["matrix"] if cell["train"] == cell["test"] == "diagnostic")
    assert set(cell["difference"]) == {"difference", "ci", "lower", "upper", "margin", "standing"}
    assert cell["difference"]["standing"] == "non-inferior"
    assert cell["values"]["auc"] == {"mean": 0.899, "sd": 0.01, "ci": [0.879, 0.919]}
    assert question["baselines"] == [
        {"name": "view", "title": "view alone", "mean": 0.61, "sd": 0.02, "ci": [0.55, 0.66]}
    ]
    agreement = third["agreements"][0]
    assert set(agreement["features"]["glcm_Feature0"]) == {"are", "icc", "lower", "re"}
    assert agreement["features"]["firstorder_Feature0"]["lower"] is None
    assert sum(agreement["groups"].values()) == len(agreement["features"]) == 12
    assert agreement["excellent_share"] == pytest.approx(11 / 12, abs=1e-5)
    text = json.dumps(record)
    assert "picture" not in json.dumps(second)
    assert len(text) < 200_000


def test_the_same_results_give_the_same_files(folder):
    drawn = {drawing.name: drawing.svg for drawing in charts(tasked(small(), classification()))}
    assert {"loss", "roc-1"} <= set(drawn)
    assert drawn["roc-1"] == (folder / "figures" / "roc-1.svg").read_bytes()


def test_without_pictures_there_is_no_outline(found, tmp_path, folder):
    assert "contours-diagnostic.png" in {path.name for path in (folder / "figures").iterdir()}
    write_report(tasked(small(), segmentation(), classification()), tmp_path / "r", pictures=False)
    names = {path.name for path in (tmp_path / "r" / "figures").iterdir()}
    assert {"loss.svg", "roc-2.svg"} <= names
    assert not [name for name in names if name.startswith("contours")]
    assert "Contains pictures" not in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_a_report_with_tasks_can_be_replaced(folder, tmp_path):
    assert all(OWN_FIGURE.fullmatch(path.name) for path in (folder / "figures").iterdir())
    assert check_out(folder, {"release": tmp_path / "release"}, force=True) == folder.resolve()
    assert not OWN_FIGURE.fullmatch("texture-of-my-own.svg")


def test_lines_of_the_terminal_are_of_the_tiers(found):
    lines = task_lines(found)
    assert len(lines) == 2 * (2 + 1 + 2) + 2
    assert lines[0] == (
        "diagnostic   kermany: normal against pneumonia: AUC 0.899, −0.001 (−0.013 to +0.010) against originals: "
        "non-inferior within 0.02"
    )
    assert not any("primis" in line for line in lines)
    assert "91.7 % of 12 features agree excellently (64 bins" in "\n".join(lines)
    first = task_results(found)[0]["tiers"]
    assert first["preview"]["questions"]["kermany/normal-vs-pneumonia"] == "inferior"


def test_what_was_not_measured_is_said_so():
    unknown = Compared(math.nan, (math.nan, math.nan), math.nan, math.nan, 0.02, Standing.INCONCLUSIVE)
    cells = tuple(
        type(cell)(cell.train, cell.test, cell.values, unknown if cell.compared else None)
        for cell in matrix({"diagnostic": 0.0})
    )
    question = Question("a", "A", {}, 5, 1, "auc", cells)
    assert "not decided with 1 patient" in question_sentence(question, "diagnostic")
    assert question_sentence(question, "preview") == "A: not measured"
    assert losses([question]) is None
    result = TaskResult("classification", "t", {}, (question,))
    assert loss_table(tasked(audit(), result), record_of(tasked(audit(), result))) is not None


def test_audits_without_tasks_have_no_such_section(tmp_path):
    plain = small()
    assert loss_table(plain, record_of(plain)) is None
    assert task_lines(plain) == task_results(plain) == []
    assert not [drawing.name for drawing in charts(plain) if drawing.name.startswith(("loss", "roc", "texture"))]
    assert not [drawing.name for drawing in strips(plain) if drawing.name.startswith("contours")]


def test_features_that_cannot_be_judged_do_not_agree():
    (one,) = radiomics({"diagnostic": 0.0}, bins=("64 bins",)).agreements
    assert one.groups == {"poor": 0, "fair": 0, "good": 0, "excellent": 11, "undefined": 1}
    assert excellent_share(one) == 11 / 12


def test_heat_map_has_the_colours_of_the_groups():
    lower = np.array([np.nan, 0.4, 0.41, 0.75, 0.76])
    names = tuple(f"glcm_{place}" for place in range(5))
    agreement = FeatureAgreement("diagnostic", "64 bins", 9, 9, names, lower, lower, lower, {}, {})
    drawing = texture([agreement])
    pixels = np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB")).reshape(-1, 3)
    for colour in ("fde725", "5ec962", "21918c", "3b528b"):
        shown = (pixels == tuple(bytes.fromhex(colour))).all(axis=1).sum()
        assert shown > 200, colour
    assert "at most 0.4" in drawing.caption
    assert texture(()) is None


def test_curves_and_outlines_are_drawn():
    first, second = classification().questions
    assert roc_curves(second, 2) is None
    assert roc_curves(first, 1).name == "roc-1"
    strip = contours([overlay(0, "best")], "Diagnostic: A/B")
    assert strip.patients
    assert strip.name == "contours-diagnostic-a-b"
    empty = overlay(0, "worst")
    nothing = type(empty)(0, "x", "worst", 0.0, empty.picture, empty.truth, np.zeros_like(empty.found))
    assert contours([nothing], "x").png


def test_loss_is_told_of_sets_that_are_trained_and_tested_on():
    drawing = losses(classification().questions)
    assert "grey band" in drawing.caption
    assert losses([]) is None
    assert len(LOSSES) == 3


def test_an_audit_that_was_not_attacked_says_so_in_the_table():
    quiet = tasked(audit(Verdict.INCONCLUSIVE, attacks=(), controls=(), settings={"attacks": []}), classification())
    rows = loss_table(quiet, record_of(quiet))["rows"]
    assert [row["cells"][1] for row in rows] == ["all of it", "not attacked", "not attacked", "not this release"]


def test_the_page_of_an_audit_that_was_not_attacked_claims_nothing(tmp_path):
    asked = {"attacks": (), "controls": (), "fidelity": (), "settings": {"attacks": [], "chosen": True}}
    write_report(tasked(audit(Verdict.INCONCLUSIVE, **asked), REFUSED), tmp_path / "r")
    text = Page((tmp_path / "r" / "report.html").read_text(encoding="utf-8")).text
    assert "Not attacked: this audit says nothing of what somebody without a key gets" in text
    assert "Risk: not measured. This audit does not say whether the release is de-identified." in text
    assert "No attack was asked for." in text
    assert "No attack could be run" not in text
    assert "neither found a leak" not in text


def test_images_that_tasks_saw_are_told_and_masks_that_they_did_not():
    told = image_sentences({
        "images": 9, "patients": 1, "packages_with_original": 12, "labelled": 9, "masked": 6,
        "found": {"masks_of_another_size": 2, "masks_unreadable": 0, "folds_left_aside": 3},
    })  # fmt: skip
    assert told[0].startswith("Tasks saw 9 images of 1 patient: those that the manifest lists, of 12 packages")
    assert told[1] == "Masks that count as none, since they have another size than their image: 2."
    assert told[2].startswith("The manifest's folds were left aside")
    assert len(told) == 3
    assert image_sentences({}) == []


def test_settings_of_a_task_are_plain():
    record = task_record(TaskResult("a", "A", {"side": np.int64(96)}))
    assert json.loads(canonical(record))["settings"] == {"side": 96}
