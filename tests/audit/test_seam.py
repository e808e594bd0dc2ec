"""A method that costs one file (`pixelation`) is audited as a keyed release is: attacks, controls, tasks, page."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image as Picture
from tests.audit.pixelation import open_target, release
from tests.audit.scenes import effort, preset
from tests.code_memory import remembered_codes

from medveil.attacks.applicability import Need
from medveil.attacks.reidentification.linkage import LinkagePicture
from medveil.audit.audit_run import audit_target
from medveil.audit.judging.pooling import merged
from medveil.audit.plan import plan_audit
from medveil.audit.presets import TaskBudget
from medveil.audit.protocol import target_round
from medveil.audit.request import request_of
from medveil.audit.results import Status, Verdict
from medveil.audit.scores.attack_scores import run_attack
from medveil.mechanisms.controls import control_named
from medveil.metrics.inference import LeastPatients
from medveil.metrics.ranking import auc
from medveil.report.first_page import gets
from medveil.report.page import write_report
from medveil.report.sentences import headline, measured_risk
from medveil.tasks.task import TaskEffort

SIDE, PATIENTS = 64, 12
ATTACKS = ("linkage-picture", "naive-decode", "linkage-code", "value-threshold", "wrong-key")
EFFORT = effort(working=32)
PRESET = preset(
    effort=EFFORT, control_effort=EFFORT, control_own=6, control_tested=6, fidelity_images=4, resamples=50,
    tasks=TaskBudget(100, TaskEffort(1, "resnet18", "unet", 16, 16, 1.0, 1.0, 50, 5)),
    least=LeastPatients(of_class=5, agreement=5),
)  # fmt: skip


def waves(generator, count, low, high):
    """A field of so many waves, `low` to `high` of them across the picture, of standard deviation 1."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    found = np.zeros((SIDE, SIDE))
    for _ in range(count):
        length, angle = generator.uniform(low, high), generator.uniform(0, 2 * np.pi)
        found += np.sin(2 * np.pi * length * (np.cos(angle) * rows + np.sin(angle) * columns) + generator.uniform(0, 7))
    return found / np.sqrt(count / 2)


def radiograph(patient, visit):
    """Coarsely everybody is alike and no two visits are; what is one's own is fine."""
    everybody, own, now = (np.random.default_rng(seed) for seed in ([0], [1, patient], [2, patient, visit]))
    field = 30 * waves(everybody, 6, 0, 2) + 20 * waves(own, 8, 5, 10) + 8 * waves(now, 4, 0, 2)
    return np.clip(128 + field + now.normal(0, 3, field.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Twelve patients with two radiographs each, with lung masks, and who is who."""
    root = tmp_path_factory.mktemp("clinic")
    rows, columns = np.mgrid[:SIDE, :SIDE]
    lung = (((rows - 32) ** 2 + (columns - 32) ** 2 < 400) * 255).astype(np.uint8)
    for name in ("originals", "masks"):
        (root / name).mkdir()
    with (root / "manifest.csv").open("w", newline="") as file:
        listed = csv.writer(file)
        listed.writerow(("image", "patient_id", "view", "label", "mask"))
        for patient in range(PATIENTS):
            for visit in range(2):
                name = f"p{patient}-{visit}.png"
                Picture.fromarray(radiograph(patient, visit)).save(root / "originals" / name)
                Picture.fromarray(lung).save(root / "masks" / name)
                listed.writerow((f"originals/{name}", f"patient {patient}", "PA", "normal", f"masks/{name}"))
    return root


def reader(clinic, name, cells):
    """What reads a release of the clinic's pictures, in so many squares a side."""
    if not (clinic / name).exists():
        release(clinic / "originals", clinic / name, cells)
    return partial(open_target, clinic / name, clinic / "originals", clinic / "manifest.csv", cells)


@pytest.fixture(scope="module")
def fine(clinic):
    """A whole audit, page included, held against a few controls; and its folder."""
    few = tuple(control_named(name) for name in ("unprotected", "weighted-mixing", "shuffled-identities"))
    with remembered_codes(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("medveil.audit.control_plan.all_controls", lambda **_: few)
        patch.setattr("medveil.report.charts.texture", lambda _: None)  # slow; tests/report/test_tasks.py draws it
        out = clinic / "audit"
        found = audit_target(
            reader(clinic, "fine", 32), beside={"release": clinic / "fine", "originals": clinic / "originals"}, out=out,
            preset=PRESET, attacks=ATTACKS, tasks=("radiomics",), write=write_report, threads=1,
        )  # fmt: skip
        return found, out


def planned(clinic, name, cells):
    """What an audit of such a release would do."""
    return plan_audit(reader(clinic, name, cells), request_of(PRESET, 0, ATTACKS, (), (), ()), clinic / "audit")


def linked(clinic, name, cells):
    """How well patients are told apart by the pictures of a release: an area under the curve."""
    found = planned(clinic, name, cells)
    rounds = [target_round(found.target, each, EFFORT) for each in found.rounds]
    sample = merged([[run_attack(LinkagePicture(), each) for each in rounds]])
    return auc(sample.pairs.score, sample.pairs.same)


def test_attacks_controls_and_tasks_are_done_and_told(fine):
    audit, out = fine
    assert audit.conclusion in (Verdict.MEASURED, Verdict.TOO_WEAK)
    record = json.loads((out / "report.json").read_bytes())
    assert record["conclusion"] == audit.conclusion.value
    assert record["release"]["kind"] == "open"
    assert {each["name"] for each in record["attacks"]} == {"linkage-picture", "naive-decode"}
    assert {each["name"] for each in record["controls"]} == {"unprotected", "weighted-mixing", "shuffled-identities"}
    assert [each["tier"] for each in record["fidelity"]] == ["anonymized"]
    assert [each["kind"] for each in record["data"]["tasks"]["sets"]] == ["original", "anonymized"]
    (task,) = record["tasks"]
    assert {each["set"] for each in task["agreements"]} == {"anonymized"}
    assert task["agreements"][0]["images"] >= 5
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "pixelation" in page
    assert "patient 0" not in page


def test_what_was_measured_is_not_called_de_identified(fine):
    measured = replace(fine[0], conclusion=Verdict.MEASURED)
    assert headline(measured).startswith("Measured: ")
    quiet = replace(measured, attacks=tuple(each for each in measured.attacks if each.verdict is not Verdict.BROKEN))
    assert measured_risk(measured).startswith("Not de-identified: ")
    assert "does not say whether the release is de-identified" in measured_risk(quiet)
    assert gets(measured)
    assert gets(quiet)


def test_what_needs_a_code_is_refused_with_its_reason(fine):
    refused = {each.name: each for each in fine[0].attacks if each.verdict is None}
    assert {name: each.refusal for name, each in refused.items()} == {
        "linkage-code": Need.ENCODING.words, "value-threshold": Need.CODE.words, "wrong-key": Need.CODE.words,
    }  # fmt: skip
    assert {each.status for each in refused.values()} == {Status.REFUSED}
    ran = {attack.name for control in fine[0].controls for attack in control.attacks}
    assert not ran & {"value-threshold", "wrong-key"}


def test_without_a_codec_there_are_no_controls_on_it(clinic):
    controls = planned(clinic, "fine", 32).controls
    assert {"unprotected", "linear-encoding", "random-codes"} <= {each.name for each in controls}
    assert not any(each.release for each in controls)
    assert not any(set(each.expected) <= {"value-threshold", "wrong-key"} for each in controls if each.positive)


def test_finer_pictures_tell_more_of_whose_they_are(clinic):
    assert linked(clinic, "fine", 32) > 0.9 > linked(clinic, "coarse", 2) + 0.15


def test_pictures_of_others_tell_nothing(clinic):
    """The same folder, linked to the wrong images: what is found in it then is not there."""
    reader(clinic, "fine", 32)
    (clinic / "mixed").mkdir()
    (clinic / "mixed" / "public").symlink_to(clinic / "fine" / "public")
    with (clinic / "fine" / "link.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    moved = [rows[place]["released"] for place in np.random.default_rng(4).permutation(len(rows))]
    with (clinic / "mixed" / "link.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "released"), *zip([row["image"] for row in rows], moved, strict=True)])
    assert abs(linked(clinic, "mixed", 32) - 0.5) < 0.25
