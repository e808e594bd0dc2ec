"""`medveil audit`: messages and exit codes on an invented audit, and the real road where it is quick."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import replace

import pytest
from tests.audit.invented import attack, attacks, audit, control, measured, small
from tests.audit.scenes import use_small_effort
from tests.cli.shell import run

from medveil.audit import audit_run
from medveil.audit.facts import told_settings
from medveil.audit.judging.possible_verdicts import Judged, PossibleVerdicts
from medveil.audit.plan import Forecast
from medveil.audit.results import Recognized, Undone, Verdict
from medveil.errors import UsageError
from medveil.experiments.unit import Status
from medveil.registry import Availability
from medveil.report.findings import because
from medveil.tasks.results import TaskResult

_GATE = "[audit]\nconclusion = ['no-evidence', 'inconclusive']\n[attacks]\npsnr_advantage = 0.3\n"


@pytest.fixture
def asked(shared_desk, monkeypatch):
    """The arguments with which the audit was asked for; nothing is attacked."""
    arguments = {}

    def fake(read, **named):
        arguments.update(named, read=read)
        for stage in ("reading", "reading", "release-0: unet (about 2 minutes left)"):
            named["progress"](1, 4, stage)
        return arguments.get("found", small())

    monkeypatch.setattr(audit_run, "audit_target", fake)
    return arguments


def _audit(*more):
    return run("audit", "release", "--originals", "images", "-o", "report", *more)


def test_result_in_words(asked):
    asked["found"] = audit()
    done = _audit()
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("Broken: ")
    assert lines[1].startswith("broken       Code decoder gets +1.24 dB over no information")
    assert "controls: 5 of 6 as expected; not seeded-decoys" in lines
    assert "report.html" in lines[-1]
    assert "pictures of patients" in done.err


def test_pictures_of_patients_are_told_where_there_are_some(asked):
    asked["found"] = replace(audit(), attacks=(), fidelity=(), tasks=())
    assert "pictures of patients" not in _audit().err


def test_an_attack_that_cannot_be_loaded_is_named(asked, monkeypatch):
    lost = (Availability("other", False, "attack other is not available: it fails to load (OSError)"),)
    monkeypatch.setattr("medveil.attacks.registry.unavailable_attacks", lambda: lost)
    found = audit()
    settings = told_settings({"preset": {"name": "quick"}, "seed": 0, "threads": 1, "attacks": [], "version": {}},
                             chosen=False, unavailable=lost)  # fmt: skip
    told = because(replace(found, settings={**found.settings, "unavailable": settings["unavailable"]}))
    assert any("nothing is said of it: other (attack other is not available" in sentence for sentence in told)
    _audit("-q")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medveil.cli.session.Session.warn", lambda _, text: asked.setdefault("warned", []).append(text))
        asked["begun"](Forecast(2, 2, 3, 1, 2, ("unet",), (), "quick", ""))
    assert asked["warned"] == [lost[0].because]


def test_recognizers_that_are_not_installed_are_named_with_what_installs_them(asked, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    told = []
    monkeypatch.setattr("medveil.cli.session.Session.warn", lambda _, text: told.append(text))
    _audit("-q")
    told.clear()
    keyed = Forecast(2, 2, 3, 1, 2, ("unet",), (), "quick", "")
    asked["begun"](keyed)
    assert told == []
    asked["begun"](replace(keyed, recognizers=("hog",)))
    sift, xfeat = told
    assert sift.startswith('recognizer sift needs cv2, which is not installed: pip install "medveil[matching]"; ')
    assert xfeat.startswith("recognizer xfeat needs cv2")
    _audit("-q", "--attacks", "hog")  # who names some has chosen
    told.clear()
    asked["begun"](replace(keyed, recognizers=("hog",)))
    assert told == []


def test_result_as_json(asked):
    asked["found"] = audit(Verdict.TOO_WEAK)
    record = _audit("--json", "-q").json
    assert (record["ok"], record["conclusion"], record["done"]) == (True, "too-weak", 5)
    assert record["verdicts"]["code-decoder"] == "broken"
    assert "intersection" not in record["verdicts"]
    assert record["failed_controls"] == ["seeded-decoys"]
    assert record["broken_by"] == ["code-decoder"]
    assert "broken by code-decoder" in _audit().out.splitlines()[0]


def test_what_is_asked_for_arrives(asked, shared_desk, monkeypatch):
    monkeypatch.setattr("medveil.audit.targets.keyed.keyed_target", lambda *what, **how: (what, how))
    monkeypatch.setattr("medveil.releases.release.Release", lambda folder, owner: (folder, owner))
    (shared_desk / "gate.toml").write_text("[attacks]\npsnr = 90.0\n")
    done = _audit("--manifest", "m.csv", "--preset", "standard", "--attacks", "unet, vnet", "--gate", "gate.toml",
                  "--resume", "--seed", 7, "--owner", "alice.pub", "--force", "--no-pictures", "-j", 2)  # fmt: skip
    assert done.code == 0, done.err
    ((folder, owner), _, originals, manifest), how = asked["read"](seed=7)
    assert [str(path) for path in (folder, originals, manifest)] == ["release", "images", "m.csv"]
    assert owner.fingerprint
    assert how == {"seed": 7}
    assert (asked["preset"], asked["attacks"], asked["seed"]) == ("standard", ("unet", "vnet"), 7)
    assert (asked["resume"], asked["force"], asked["threads"]) == (True, True, 2)
    assert asked["write"].keywords == {"pictures": False}
    assert "pictures of patients" not in done.err


def test_progress_in_a_log_is_one_line_a_stage(asked):
    told = [line for line in _audit().err.splitlines() if line.startswith("[")]
    assert told == ["[1/4] reading", "[1/4] release-0: unet (about 2 minutes left)"]
    assert "[" not in _audit("-q").err


def test_rows_that_name_no_image_are_told_before_the_work_and_by_a_dry_run(asked, shared_desk, monkeypatch):
    expected = Forecast(2, 2, 3, 1, 2, ("unet",), (), "quick", "", manifest={"rows": 5, "unmatched": 2, "unlisted": 1})
    told = ["Rows of the manifest that name no file among the originals: 2 of 5.",
            "The manifest does not list 1 image of the release: each counts as a patient of its own."]  # fmt: skip
    _audit("-q")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medveil.cli.session.Session.warn", lambda _, text: asked.setdefault("warned", []).append(text))
        asked["begun"](expected)
    assert asked["warned"] == told
    monkeypatch.setattr(audit_run, "forecast_target", lambda *_, **__: expected)
    assert set(told) <= set(_audit("--dry-run").out.splitlines())
    assert "that name no file" not in _audit("--dry-run", "--json").err


def test_gate_that_is_passed_ends_with_13(asked, shared_desk):
    (shared_desk / "gate.toml").write_text(_GATE)
    done = _audit("--gate", "gate.toml")
    assert done.code == 13
    assert "gate: the conclusion is broken" in done.err
    assert "gate: psnr_advantage of code-decoder is 1.2; the gate allows 0.3" in done.err
    assert "report.html" in done.out
    record = _audit("--gate", "gate.toml", "--json").json
    assert record["ok"] is False
    assert len(record["gate"]) == 2


def test_gate_that_holds_ends_with_0(asked, shared_desk):
    (shared_desk / "gate.toml").write_text("[attacks]\npsnr_advantage = 1.3\n")
    assert _audit("--gate", "gate.toml").code == 0


_FAILED = attack("vnet", refusal="ValueError", status=Status.FAILED)


@pytest.mark.parametrize(("changed", "name", "reason"), [
    ({"attacks": (*attacks(broken=False), _FAILED)}, "vnet", "ValueError"),
    ({"attacks": (attack("vnet", measured(), extra={"rounds_failed": 1.0}),)}, "vnet", ""),
    ({"controls": (control("twin", _FAILED, positive=False),)}, "vnet on twin", "ValueError"),
    ({"data": {"unfinished": [{"unit": "checks", "status": "failed", "reason": "OSError"}]}}, "checks", "OSError"),
    ({"tasks": (TaskResult("texture", "T", refusal="OSError", status=Status.FAILED),)}, "task texture", "OSError"),
    ({"identification": Recognized(
        0, 0, 0, (), (), ("hog",), (), (), {}, None, {}, 0, {"raw_linked": None, "shuffled_at_null": None},
        tuple(Undone("hog", learned, "release-0", "failed", "OSError") for learned in ("real", "both")), "",
    )}, "recognizer hog", "OSError"),
])  # fmt: skip
def test_what_failed_ends_with_3(asked, shared_desk, changed, name, reason):
    asked["found"] = small(Verdict.TOO_WEAK, **changed)
    done = _audit("--json", "-q")
    assert (done.code, done.json["ok"]) == (3, False)
    assert done.json["failed"] == [{"input": name, "error": reason, "message": f"{name} failed"}]
    assert f"failed: {name} (" in done.err
    (shared_desk / "gate.toml").write_text(_GATE)
    assert _audit("--gate", "gate.toml").code == 13


def test_a_control_on_which_nothing_ran_is_not_as_expected(asked):
    asked["found"] = small(controls=(control("random-codes", positive=False),))
    assert "controls: 0 of 0 as expected; not tried: random-codes" in _audit().out.splitlines()


@pytest.mark.parametrize("text", ["[attack]\npsnr = 1\n", "no toml at all", "[attacks]\npsnr = 'high'\n"])
def test_wrong_gate_is_known_before_anything_runs(asked, shared_desk, text):
    (shared_desk / "gate.toml").write_text(text)
    assert _audit("--gate", "gate.toml").code == 2
    assert "folder" not in asked


def test_wrong_preset(asked):
    done = _audit("--preset", "quik")
    assert done.code == 2
    assert "did you mean quick?" in done.err
    assert "folder" not in asked


def test_missing_package(asked, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "monai" else there(name))
    done = _audit()
    assert done.code == 20
    assert "needs monai" in done.err
    assert 'pip install "medveil[audit]"' in done.err
    assert "folder" not in asked


def test_errors_name_no_paths(shared_desk, monkeypatch):
    def fail(read, **named):
        raise UsageError("none of the 2 packages has its original among the 0 files of --originals")

    monkeypatch.setattr(audit_run, "audit_target", fail)
    done = run("audit", "release", "--originals", "Smith^John", "-o", "Doe^Jane")
    assert done.code == 2
    assert "Smith" not in done.err + done.out
    assert "Doe" not in done.err + done.out


def test_dry_run_in_words(asked, monkeypatch):
    expected = Forecast(60, 31, 64, 80, 2, ("unet", "vnet"), ("unprotected",), "quick", "a first look",
                        {"attack": 4, "control": 1}, expected_seconds=540.0,
                        verdicts=(PossibleVerdicts(Judged.LINKAGE, 3, 5, 5, 20),))  # fmt: skip
    monkeypatch.setattr(audit_run, "forecast_target", lambda read, **named: expected)
    done = _audit("--dry-run")
    assert done.code == 0
    assert done.out.splitlines() == [
        "would attack 60 images of 31 patients, of 64 packages in the release",
        "the attacker would learn from 80 images of her own in each of 2 rounds",
        "attacks: unet, vnet",
        "controls: unprotected",
        "No verdict on whether two packages show one person: 3 patients with several images of one data set, view and "
        "size; it takes 5.",
        "units of the plan: 4 attack, 1 control",
        "preset quick: a first look",
        "about 9 minutes on this machine, as fast as it was just now",
        "nothing was written",
    ]
    record = _audit("--dry-run", "--json").json
    assert (record["dry_run"], record["own_images"], record["rounds"]) == (True, 80, 2)
    assert "folder" not in asked


def test_real_dry_run_writes_nothing(shared_desk, monkeypatch):
    use_small_effort(monkeypatch)
    before = sorted(path for path in shared_desk.rglob("*"))
    done = _audit("--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.json["images"] == 2
    assert done.json["packages"] == 2
    assert sorted(path for path in shared_desk.rglob("*")) == before


def test_others_cannot_audit(shared_desk):
    done = _audit("--dry-run", "-i", "mallory.key")
    assert done.code == 10
    done = _audit("--dry-run", "-i", "alice.key")
    assert done.code == 10
    assert "whose they are" in done.err


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    from medveil.cli.session import Session

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    session, bar = Session("audit"), Session("share")
    session.stage(1, 2, "unet (about 3 min left)")
    bar.progress(1, 2, "image #1")
    columns = [[type(column).__name__ for column in each._bar.columns] for each in (session, bar)]
    session.close()
    bar.close()
    assert ["TimeRemainingColumn" in each for each in columns] == [False, True]  # one estimate, not two


def test_help_is_light():
    text = run("audit", "--help").out
    assert re.search(r"--originals FOLDER", text)
    assert "[required]" in text
