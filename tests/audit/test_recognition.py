"""Open releases audited by recognizers, from files to report.json: what changes nothing is found, noise is not."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from PIL import Image as Picture
from tests.audit.scenes import effort, preset

from medveil.anonymizers.registration import IDENTITY
from medveil.anonymizers.registry import get_anonymizer
from medveil.attacks import registry
from medveil.attacks.reidentification.recognizer import RecognizerEffort
from medveil.attacks.reidentification.thumbnails import Thumbnails
from medveil.audit.audit_folder import growing_folder
from medveil.audit.audit_run import audit_release, audit_target, forecast_release, forecast_target
from medveil.audit.pace import Pace, Publishing
from medveil.audit.plan import KEPT, plan_audit
from medveil.audit.recognition import Question
from medveil.audit.record import record_of
from medveil.audit.request import request_of
from medveil.audit.results import Verdict
from medveil.audit.targets.anonymized import anonymized_target
from medveil.datasets.manifest import read_manifest
from medveil.errors import InputError, UsageError
from medveil.experiments.unit_store import UnitStore
from medveil.keys.identity import Identity
from medveil.registry import Registry
from medveil.releases.anonymizing import Row, anonymize

OWNER = Identity.fresh()
SIDE, PATIENTS = 32, 16
METHODS = {
    "same": ("pixelate", {"cells": "32"}),
    "noise": ("dp-pix", {"b": "1", "epsilon": "0.001", "m": "4"}),
    "groups": ("k-same", {"k": "4", "size": "64"}),
}
EFFORT = RecognizerEffort(16, 1, 2, "resnet18", 8, 100)
PRESET = preset(
    effort=effort(working=32), control_effort=effort(working=32), fidelity_images=2, resamples=40, recognition=EFFORT
)


def radiograph(patient, visit):
    """A few waves of one's own, seen through a little noise."""
    own, now = np.random.default_rng([1, patient]), np.random.default_rng([2, patient, visit])
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    angles, phases, lengths = (own.uniform(0, high, 6) for high in (6.3, 6.3, 4))
    field = sum(
        np.sin(6.3 * length * (np.cos(angle) * rows + np.sin(angle) * columns) + phase)
        for angle, phase, length in zip(angles, phases, lengths, strict=True)
    )
    return np.clip(128 + 25 * field + now.normal(0, 20, field.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_measured_or_registered():
    """No speed of this machine, and no place of a picture: all lie as they should."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medveil.audit.plan.measured_pace", lambda *_: Pace(*[Publishing(2.0, 1.0)] * 2, 0.5))
        patch.setattr("medveil.anonymizers.k_same.registered", lambda *_: IDENTITY)
        yield


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Sixteen patients with two radiographs each, released in several ways."""
    root = tmp_path_factory.mktemp("clinic")
    (root / "all").mkdir()
    with (root / "manifest.csv").open("w", newline="") as file:
        listed = csv.writer(file)
        listed.writerow(("image", "patient_id", "source", "view", "label", "sex"))
        for patient in range(PATIENTS):
            for visit in range(2):
                name = f"{patient}-{visit}.png"
                Picture.fromarray(radiograph(patient, visit)).save(root / "all" / name)
                listed.writerow((f"all/{name}", f"p{patient}", "here", "PA", "ab"[patient % 2], "FM"[patient // 2 % 2]))
    patients = {record.path.name: record.patient for record in read_manifest(root / "manifest.csv")}
    for name, (method, settings) in METHODS.items():
        anonymize(
            [root / "all"], root / name, root / f"{name}.csv", get_anonymizer(method, settings), owner=OWNER,
            again=True, jobs=1, rows=lambda tasks: {task.number: Row(patients[task.path.name]) for task in tasks},
        )  # fmt: skip
    return root


@dataclass
class Toy:
    """Pixels as they are, and what of them has been learned: it counts how often."""

    name: str = "toy"
    title: str = "pixels"
    source: str = ""
    cost: str = "nothing"
    learns: bool = True
    trains: bool = False
    pairwise: bool = False
    fitted: int = 0
    fails: Exception | None = None

    def fit(self, own, learned, effort, seed):
        self.fitted += 1
        if self.fails is not None:
            raise self.fails
        return self

    def scores(self, queries, gallery, wanted=None):
        found = Thumbnails().scores(queries, gallery)
        return found if wanted is None else np.where(wanted, found, np.nan)


@pytest.fixture
def known(monkeypatch):
    """Audits know these recognizers only, and no attack but by name."""

    def use(*recognizers, unavailable=()):
        built_in = {each.name: (lambda one=each: one) for each in recognizers}
        built_in |= dict.fromkeys(unavailable, "medveil.attacks.nowhere:Nothing")
        monkeypatch.setattr(registry, "RECOGNIZERS", Registry("recognizer", built_in, hint="see medveil attacks"))
        monkeypatch.setattr(registry, "ATTACKS", Registry("attack", {}, hint="see medveil attacks"))

    monkeypatch.setattr("medveil.audit.control_plan.all_controls", lambda **_: ())
    return use


def reader(clinic, name, *, manifest=True):
    return partial(
        anonymized_target, clinic / name, clinic / "all", clinic / f"{name}.csv",
        clinic / "manifest.csv" if manifest else None, None,
    )  # fmt: skip


def audited(clinic, name, out, *, manifest=True, attacks=(), **changed):
    return audit_target(
        reader(clinic, name, manifest=manifest), beside={"release": clinic / name}, out=out,
        preset=replace(PRESET, **changed), attacks=attacks, threads=1,
    )  # fmt: skip


def test_a_release_that_changes_nothing_gives_everybody_away(clinic, known, tmp_path):
    known(Thumbnails(), Toy())
    audit = audited(clinic, "same", tmp_path / "audit")
    found = audit.identification
    same = found.maximum[Question.SAME_RECORD.value]
    assert (same.first.found.patient_top[1], same.top_1_above_null) == (1.0, True)
    assert found.maximum["any"].above_null
    assert (found.people, found.images, found.pictures, found.controls["raw_linked"]) == (16, 32, 32, True)
    assert audit.conclusion is Verdict.MEASURED
    record = json.loads((tmp_path / "audit" / "report.json").read_bytes())["identification"]
    assert record == record_of(audit)["identification"]
    rows = {(row["recognizer"], row["learned"], row["query"], row["question"]) for row in record["rows"]}
    assert ("thumbnails", "real", "anonymized", "same-record") in rows
    assert ("toy", "released", "released", "released-released") in rows
    assert len(record["maximum"]["any"]["draws"]) == 400
    assert record["raw"]["matched_auc"] == pytest.approx(
        max(row["matched_auc"] for row in record["raw_rows"]), abs=1e-5
    )


def test_noise_gives_nobody_away_and_the_untouched_pictures_show_that_they_could_be(clinic, known, tmp_path):
    known(Thumbnails())
    audit = audited(clinic, "noise", tmp_path / "audit")
    found = audit.identification
    assert {"averaged", "averaged-same-record"} <= set(found.maximum)
    assert not found.maximum["any"].above_null
    assert found.maximum["same-record"].first.found.patient_top[1] < 0.3
    assert (found.raw.above_null, audit.conclusion) == (True, Verdict.MEASURED)


def test_of_a_group_that_is_right_which_holds_the_person(clinic, known, tmp_path):
    known(Thumbnails())
    found = audited(clinic, "groups", tmp_path / "audit").identification
    assert "released-released" not in found.maximum  # one picture a patient
    other = found.maximum["released-real"].first.found
    assert (found.people, found.images) == (16, 32)  # the images that were left out are looked for
    assert other.gallery < 8
    assert other.chance[1] > 1 / 8


def test_without_a_manifest_the_link_file_says_who_is_who(clinic, known, tmp_path):
    known(Thumbnails())
    found = audited(clinic, "same", tmp_path / "audit", manifest=False).identification
    assert (found.people, found.maximum["released-real"].row.found.patients) == (16, 16)


def test_attackers_who_see_nothing_are_too_weak(clinic, known, tmp_path):
    class Blind(Toy):
        def scores(self, queries, gallery, wanted=None):
            return np.zeros((len(queries), len(gallery)), np.float32)

    known(Blind())
    audit = audited(clinic, "same", tmp_path / "audit")
    assert (audit.identification.controls["raw_linked"], audit.conclusion) == (False, Verdict.TOO_WEAK)
    assert audit.grounds["control-missed"] == ("untouched-pictures",)


def test_what_is_not_done_is_told_with_its_reason(clinic, known, tmp_path):
    known(
        Thumbnails(), Toy(name="few", fails=InputError("these are too few")), Toy(name="broken", fails=ValueError("x")),
        unavailable=("absent",),
    )  # fmt: skip
    audit = audited(clinic, "same", tmp_path / "audit")
    told = {(each.recognizer, each.status, each.reason) for each in audit.identification.undone}
    assert {("few", "refused", "these are too few"), ("broken", "failed", "ValueError")} <= told
    assert {name for name, status, _ in told if status == "unavailable"} == {"absent"}
    assert (audit.grounds["failed"], audit.conclusion) == (("broken",), Verdict.TOO_WEAK)


def test_pairs_that_are_work_are_a_sample_and_say_nothing_of_ranks(clinic, known, tmp_path):
    known(Thumbnails(), Toy(name="slow", learns=False, pairwise=True))
    audit = audited(clinic, "same", tmp_path / "audit")
    found = audit.identification
    by_name = {row.recognizer: row.found for row in found.rows if row.question == "released-real"}
    slow, quick = by_name["slow"], by_name["thumbnails"]
    assert (slow.pairs, slow.ranked) == (quick.pairs, 0)
    assert 90 <= slow.negatives <= 110 < quick.negatives
    assert slow.auc == pytest.approx(quick.auc, abs=0.1)
    rows = record_of(audit)["identification"]["rows"]
    assert {row["recognizer"]: row["top"]["1"] for row in rows}["slow"] is None


def test_an_interrupted_audit_goes_on_and_learns_nothing_twice(clinic, known, tmp_path):
    toy = Toy()
    known(toy)
    whole = audited(clinic, "same", tmp_path / "whole")
    fitted, toy.fitted = toy.fitted, 0
    request = request_of(PRESET, 0, (), (), (), ())
    plan = plan_audit(reader(clinic, "same"), request, tmp_path / "audit", threads=1)
    ones = [unit for unit in plan.units.units if unit.kind == "recognition"]
    assert len(ones) == fitted == 6  # three ways to learn, in two rounds
    with growing_folder(tmp_path / "audit", plan.units.settings, resume=False, force=False) as partial_folder:
        store = UnitStore(partial_folder / "units", plan.units.settings, KEPT)
        for unit in ones[:4]:
            store.keep(unit.key, unit.attempt())
    toy.fitted = 0
    audit = audit_target(
        reader(clinic, "same"), beside={"release": clinic / "same"}, out=tmp_path / "audit", preset=PRESET, threads=1,
        resume=True,
    )  # fmt: skip
    assert toy.fitted == 2
    assert record_of(audit)["identification"] == record_of(whole)["identification"]


def test_names_choose_recognizers_and_a_dry_run_tells_them(clinic, known, tmp_path):
    known(Thumbnails(), Toy())
    asked = {"beside": {"release": clinic / "same"}, "out": tmp_path / "audit", "preset": PRESET}
    told = forecast_target(reader(clinic, "same"), **asked)
    assert (told.recognizers, told.units["recognition"], told.images) == (("thumbnails", "toy"), 8, 32)
    assert told.expected_seconds > 0
    few = forecast_target(reader(clinic, "same"), attacks=("toy",), **asked)
    assert (few.recognizers, few.units["recognition"]) == (("toy",), 6)
    none = forecast_target(reader(clinic, "same"), attacks=("none",), **asked)
    assert (none.recognizers, "recognition" in none.units) == ((), False)


def test_of_a_keyed_release_those_who_are_named_see_a_strangers_picture(scene, auditor, quick, known, tmp_path):
    known(Thumbnails())
    asked = {
        "identity": auditor, "originals": scene / "data", "manifest": scene / "data" / "manifest.csv", "preset": PRESET,
        "threads": 1,
    }  # fmt: skip
    found = audit_release(scene / "release", out=tmp_path / "audit", attacks=("thumbnails",), **asked)
    people = found.identification
    assert (people.people, people.images, people.pictures) == (6, 12, 12)
    assert not people.maximum["same-record"].top_1_above_null
    assert found.conclusion is Verdict.INCONCLUSIVE  # of keyed releases attacks decide, and none was asked for
    left = forecast_release(scene / "release", out=tmp_path / "other", attacks=("none",), **asked)
    assert (left.recognizers, "recognition" in left.units) == ((), False)


def test_a_name_of_neither_an_attack_nor_a_recognizer_is_refused(known):
    known(Thumbnails(), Toy())
    with pytest.raises(UsageError, match="thumbnails, toy") as error:
        request_of(PRESET, 0, ("thumbnail",), (), (), ())
    assert error.value.hint == "did you mean thumbnails?"
