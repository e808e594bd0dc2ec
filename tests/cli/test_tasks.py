"""`medveil tasks`, and `medveil audit --tasks` as they are typed."""

from __future__ import annotations

from tests.audit.invented import audit
from tests.audit.scenes import use_small_effort
from tests.audit.task_scenes import Brightness, classification, tasked, use_tasks
from tests.cli.shell import run
from tests.cli.test_audit import _audit, asked  # noqa: F401

from medveil.errors import MissingDependencyError
from medveil.tasks import registry


def test_lines_and_json(monkeypatch):
    use_tasks(monkeypatch, Brightness())
    done = run("tasks")
    assert done.code == 0
    assert done.out.splitlines() == [
        "brightness: Telling bright from dark",
        "  needs:    labels",
        "  measures: how bright",
        "  costs:    seconds",
    ]
    (entry,) = run("tasks", "--json").json["tasks"]
    assert entry == {
        "name": "brightness", "title": "Telling bright from dark", "needs": "labels", "measures": "how bright",
        "cost": "seconds",
    }  # fmt: skip


def test_missing_package(monkeypatch):
    def missing():
        raise MissingDependencyError("tasks need monai, which is not installed", hint='pip install "medveil[audit]"')

    monkeypatch.setattr(registry, "all_tasks", missing)
    done = run("tasks", "--json")
    assert done.code == 20
    assert done.json["error"]["class"] == "MissingDependencyError"


def test_what_is_asked_for_arrives_and_is_told(asked):  # noqa: F811
    asked["found"] = tasked(audit(), classification())
    done = _audit("--tasks", "classification, radiomics", "--compare", "primis:4,lapped:36")
    assert asked["tasks"] == ("classification", "radiomics")
    assert asked["compare"] == ("primis:4", "lapped:36")
    lines = done.out.splitlines()
    assert "preview      kermany: normal against pneumonia: AUC 0.810" in "\n".join(lines)
    assert "controls: 5 of 6 as expected; not seeded-decoys" in lines
    (task,) = _audit("--tasks", "classification", "--json").json["tasks"]
    assert task["tiers"]["diagnostic"]["questions"]["kermany/normal-vs-pneumonia"] == "non-inferior"


def test_dry_run_says_what_tasks_would_see(shared_desk, monkeypatch):
    use_small_effort(monkeypatch)
    use_tasks(monkeypatch, Brightness())
    done = run("audit", "release", "--originals", "images", "-o", "report", "--tasks", "brightnes")
    assert done.code == 2
    assert "did you mean brightness?" in done.err
    assert not (shared_desk / "report").exists()
    words = ("release", "--originals", "images", "-o", "report", "--attacks", "none", "--tasks", "brightness")
    done = run("audit", *words, "--compare", "lapped:36", "--dry-run")
    assert done.code == 0, done.err
    assert done.out.splitlines()[:-3] == [
        "would attack nothing, and conclude nothing",
        "tasks would see 0 images of 0 patients: 0 with a label, 0 with a mask",
        "  set original: as the images were",
        "  set diagnostic: what recipients of this tier open",
        "  set lapped:36: codec lapped, quality 36 dB: not this release",
        "  task brightness: not possible: The manifest names no label.",
        "units of the plan: 3 fidelity, 1 check",
    ]
    record = run("audit", *words, "--dry-run", "--json").json
    assert record["tasks"][0]["refused"] == "The manifest names no label."
    assert record["attacks"] == []
