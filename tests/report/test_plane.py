"""The plane: which release is better than which, and what is written of it."""

from __future__ import annotations

import csv
import io
import json

import pytest
from tests.report.identified import report
from typer.testing import CliRunner

from medveil.cli.main import app
from medveil.errors import MedveilError, UsageError
from medveil.files import atomic
from medveil.report.plane import csv_of, dominates, point_of, questions_of, undominated, write_plane

QUESTION = "classification: k: a against b"


def points(*reports: dict):
    return [point_of(each, number) for number, each in enumerate(reports, 1)]


def test_a_release_that_is_less_risky_and_as_useful_is_better() -> None:
    risky, safe = points(report(auc=0.9), report("mixup", auc=0.6))
    assert dominates(safe, risky, QUESTION, "population")
    assert not dominates(risky, safe, QUESTION, "population")
    assert undominated([risky, safe], QUESTION, "population") == {2}


def test_where_one_is_safer_and_the_other_more_useful_none_is_better() -> None:
    both = points(report(auc=0.9, population=0.94), report("mixup", auc=0.6, population=0.8))
    assert undominated(both, QUESTION, "population") == {1, 2}


def test_a_gain_that_draws_of_the_same_patients_are_sure_of_is_seen_only_where_they_are_paired() -> None:
    first, second = report(auc=0.700), report("mixup", auc=0.699)
    assert dominates(*reversed(points(first, second)), QUESTION, "population")
    second["identification"]["people_digest"] = "cd"
    assert not dominates(*reversed(points(first, second)), QUESTION, "population")


def test_an_audit_without_figures_of_people_is_refused() -> None:
    bare = report()
    del bare["identification"]
    with pytest.raises(UsageError, match="no figures of re-identification"):
        point_of(bare, 3)


@pytest.mark.parametrize(
    "path", ["identification", "release", "tasks", "conclusion", "maximum", "matched_auc", "draws"]
)
@pytest.mark.parametrize("value", ["<script>", ["x"], {"x": "y"}])
def test_a_damaged_report_is_refused_and_none_of_it_is_told(path: str, value: object) -> None:
    whole = report()
    holders = {"maximum": whole["identification"], "matched_auc": whole["identification"]["maximum"]["any"]}
    holders["draws"] = holders["matched_auc"]
    holders.get(path, whole)[path] = value
    with pytest.raises(UsageError, match=r"damaged|no figures") as caught:
        point_of(whole, 1)
    assert "script" not in caught.value.message


def test_the_table_says_what_each_release_is_and_holds_no_formula() -> None:
    shown = points(report(cells=8), report("=cmd", auc=0.6, epsilon=0.1))
    rows = list(csv.DictReader(io.StringIO(csv_of(shown).decode())))
    assert [row["release"] for row in rows] == ["pixelate cells=8", "'=cmd epsilon=0.1"]
    assert rows[0]["population_undominated"] == "no"
    assert rows[0]["same_record_top_1"] == "1"
    assert rows[0]["picture"] == "0.8"


def test_a_plane_of_risks_alone_is_drawn_where_no_task_was_done(tmp_path) -> None:
    write_plane(points(report(population=None), report("warp", auc=0.7, population=None)), tmp_path / "plane")
    assert questions_of(points(report(population=None))) == []
    assert b"no task was done" in (tmp_path / "plane/index.html").read_bytes()


@pytest.fixture
def audits(tmp_path, monkeypatch):
    """Two folders of audits."""
    monkeypatch.setattr("medveil.audit.record.is_record", lambda value: True)
    for name, each in (("a", report()), ("b", report("warp", auc=0.6))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps({"schema": 2, **each}))
    return [str(tmp_path / name) for name in "ab"]


def test_compare_writes_the_plane_and_does_not_overwrite(audits, tmp_path) -> None:
    out = tmp_path / "plane"
    done = CliRunner().invoke(app, ["compare", *audits, "-o", str(out), "--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert told["paired"]
    assert [row["release"] for row in told["releases"]] == ["pixelate", "warp"]
    assert {each.name: each.stat().st_mode & 0o777 for each in out.iterdir()} == dict.fromkeys(
        ("index.html", "plane.csv", "plane.svg"), 0o600
    )
    before = (out / "plane.svg").read_bytes()
    assert CliRunner().invoke(app, ["compare", *audits, "-o", str(out)]).exit_code == 1
    assert CliRunner().invoke(app, ["compare", *audits, "-o", str(out), "--force"]).exit_code == 0
    assert (out / "plane.svg").read_bytes() == before
    (out / "mine.txt").write_text("kept")
    assert CliRunner().invoke(app, ["compare", *audits, "-o", str(out), "--force"]).exit_code == 1


def test_a_full_disk_leaves_no_half_of_a_plane_and_the_one_before_as_it_was(tmp_path, monkeypatch) -> None:
    out, real, calls = tmp_path / "plane", atomic._write_new, []

    def full(*arguments):
        calls.append(1)
        if len(calls) == 3:  # the page
            raise OSError(28, "No space left on device")
        return real(*arguments)

    first, second = points(report(population=None)), points(report("warp", population=None))
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_write_new", full)
        with pytest.raises(MedveilError, match="No space left"):
            write_plane(first, out)
    assert list(tmp_path.iterdir()) == []
    write_plane(first, out)
    assert out.stat().st_mode & 0o777 == 0o700
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    calls.clear()
    monkeypatch.setattr(atomic, "_write_new", full)
    with pytest.raises(MedveilError, match="No space left"):
        write_plane(second, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_compare_names_an_audit_by_its_number_only(audits, tmp_path) -> None:
    done = CliRunner().invoke(app, ["compare", audits[0], str(tmp_path / "John-Smith"), "-o", str(tmp_path / "plane")])
    assert done.exit_code == 2
    assert "audit 2" in done.stderr
    assert "Smith" not in done.stderr
    assert not (tmp_path / "plane").exists()
