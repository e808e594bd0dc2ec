"""An audit from a release to a report: repeatable, resumable, and careful with what is not its own."""

from __future__ import annotations

import json
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image as Picture
from tests.audit.scenes import Blind, Knowing, Noise, use
from tests.pictures import picture

from medveil.attacks.applicability import Need
from medveil.audit.audit_folder import check_out
from medveil.audit.audit_run import audit_release, forecast_release
from medveil.audit.results import Verdict
from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError, TargetExistsError, UsageError
from medveil.experiments.unit import Status
from medveil.keys.identity import generate
from medveil.report.findings import because
from medveil.report.page import write_report
from medveil.report.sentences import answer


@pytest.fixture
def run(scene, auditor, tmp_path, quick):
    def run(**changed):
        values = {
            "identity": auditor, "originals": scene / "data", "manifest": scene / "data" / "manifest.csv",
            "out": tmp_path / "audit", "preset": "tiny", "threads": 1,
        }  # fmt: skip
        return audit_release(scene / "release", **(values | changed))

    return run


def without_seconds(folder):
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items() if key != "seconds"}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return plain(json.loads((folder / "report.json").read_text()))


def snapshot(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_the_whole_road(run, scene, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise"), Blind("blind")])
    before = snapshot(scene)
    said = []
    audit = run(progress=lambda *line: said.append(line))
    assert snapshot(scene) == before
    assert audit.release["protection"] == "sealed"
    assert audit.release["packages"] == 12
    assert audit.data["images"] == 12
    assert audit.data["patients"] == 6
    assert audit.data["rounds"] == 2
    assert [result.name for result in audit.attacks] == ["noise", "blind"]
    assert {measured.metric for measured in audit.attacks[0].measured} == {"psnr", "ssim", "linkage_auc"}
    assert not any(result.verdict is Verdict.BROKEN for result in audit.attacks)
    assert [tier.tier for tier in audit.fidelity] == ["diagnostic"]
    assert 30 < next(row.mean for row in audit.fidelity[0].rows if row.metric == "psnr") < 60
    assert audit.conclusion is Verdict.TOO_WEAK  # no positive control was broken
    done, total, text = said[-1]
    assert done == total
    assert text == "writing the report"
    out = tmp_path / "audit"
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {path.name for path in out.iterdir()} == {"report.json"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in out.rglob("*") if path.is_file())
    assert [path.name for path in tmp_path.iterdir()] == ["audit"]


def test_a_dry_run_over_an_interrupted_audit_does_what_the_audit_would(run, scene, auditor, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise"), Blind("blind")])

    def forecast(**changed):
        return forecast_release(
            scene / "release", identity=auditor, originals=scene / "data", manifest=scene / "data" / "manifest.csv",
            out=tmp_path / "audit", preset="tiny", threads=1, **changed,
        )  # fmt: skip

    def stop(done, total, text):
        if done == 3 and total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop)
    before = snapshot(tmp_path)
    with pytest.raises(TargetExistsError, match="an interrupted audit is there"):
        forecast()
    with pytest.raises(UsageError, match="begun with another seed"):
        forecast(resume=True, seed=1)
    fresh, resumed = forecast(force=True), forecast(resume=True)
    assert (fresh.finished, resumed.finished) == (0, 3)
    assert fresh.units == resumed.units
    assert snapshot(tmp_path) == before


@pytest.mark.slow
def test_nothing_in_a_real_report_names_a_patient_or_a_file(scene, auditor, code_cache, tmp_path, monkeypatch):
    """The other tests write report.json alone."""
    use(monkeypatch, [Noise("noise")])
    monkeypatch.setattr("medveil.audit.targets.keyed.CodeCache", lambda: code_cache)
    audit_release(
        scene / "release", identity=auditor, originals=scene / "data", manifest=scene / "data" / "manifest.csv",
        out=tmp_path / "audit", preset="tiny", threads=1, write=write_report,
    )  # fmt: skip
    files = [path for path in (tmp_path / "audit").rglob("*") if path.is_file()]
    assert len([path for path in files if path.parent.name == "figures"]) >= 4
    assert b"<!DOCTYPE html>" in (tmp_path / "audit" / "report.html").read_bytes()
    for path in files:
        content = path.name.encode() + path.read_bytes()
        for name in (b"p0-0", b"patient 0", b"north", str(tmp_path).encode(), str(scene).encode()):
            assert name not in content, path.name
    assert check_out(tmp_path / "audit", {"release": scene / "release", "originals": scene / "data"}, force=True)


def test_attacks_that_were_not_asked_for_are_named(run, monkeypatch):
    use(monkeypatch, [Noise("noise"), Blind("blind")])
    audit = run(attacks=("noise",))
    assert audit.settings["left_out"] == ["blind"]
    assert "Not asked for, so that nothing can be ruled out: blind." in because(audit)


def test_packages_that_could_not_be_attacked_are_told(run, scene, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    data = shutil.copytree(scene / "data", tmp_path / "data")
    Picture.fromarray(picture(3, 63, 61)).save(data / "shared" / "p0-0.png")
    (data / "shared" / "p1-0.png").unlink()
    audit = run(originals=data, manifest=data / "manifest.csv")
    assert (audit.data["packages"], audit.data["packages_with_original"]) == (12, 10)
    assert any("have another size now" in line and line.endswith(": 1 package.") for line in because(audit))
    assert "Only 10 of 12 packages of images were compared with their originals." in answer(audit)


def test_nothing_in_a_report_names_a_patient_or_a_file(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    run()
    text = (tmp_path / "audit" / "report.json").read_text()
    assert "p0-0" not in text
    assert "patient 0" not in text
    assert "north" not in text
    assert str(tmp_path) not in text


@pytest.mark.slow
def test_a_second_run_says_the_same(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    run(out=tmp_path / "one")
    run(out=tmp_path / "two")
    run(out=tmp_path / "three", seed=1)
    one, two, three = (without_seconds(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one["attacks"] != three["attacks"]


def test_an_interrupted_audit_goes_on_and_says_the_same(run, tmp_path, monkeypatch):
    whole, first, second = Noise("noise"), Noise("noise"), Noise("noise")
    use(monkeypatch, [whole, Noise("other")])
    run(out=tmp_path / "whole")
    use(monkeypatch, [first, Noise("other", fails=KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not (tmp_path / "audit").exists()
    partial = tmp_path / "audit.partial"
    assert stat.S_IMODE(partial.stat().st_mode) == 0o700
    units = list((partial / "units").iterdir())
    assert len(units) == len(first.learned) == 1
    assert stat.S_IMODE(units[0].stat().st_mode) == 0o600
    use(monkeypatch, [second, Noise("other")])
    with pytest.raises(TargetExistsError, match="interrupted audit is there"):
        run()
    run(resume=True)
    assert len(whole.learned) - len(second.learned) == 1
    assert without_seconds(tmp_path / "audit") == without_seconds(tmp_path / "whole")
    assert not partial.exists()


def test_a_damaged_unit_is_run_again(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise"), Noise("other", fails=KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        run()
    unit = next((tmp_path / "audit.partial" / "units").iterdir())
    unit.write_bytes(unit.read_bytes()[:100])
    again = Noise("noise")
    use(monkeypatch, [again, Noise("other")])
    run(resume=True)
    assert len(again.learned) == 3  # two rounds and a control


@pytest.mark.parametrize("changed", [{"seed": 3}, {"attacks": ("noise",)}, {"manifest": None}, {"threads": 2}])
def test_an_audit_does_not_go_on_with_other_settings(run, monkeypatch, changed):
    use(monkeypatch, [Noise("noise"), Noise("other", fails=KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        run()
    with pytest.raises(UsageError, match=r"was begun with another (seed|attacks|release or images|threads)"):
        run(resume=True, **changed)


def test_what_was_interrupted_can_be_begun_anew(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise", fails=KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        run()
    use(monkeypatch, [Noise("noise")])
    run(force=True, seed=5)
    assert without_seconds(tmp_path / "audit")["settings"]["seed"] == 5


def test_an_audit_that_is_there_is_replaced_only_by_force(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    run()
    with pytest.raises(TargetExistsError, match="holds files"):
        run(seed=1)
    run(seed=1, force=True)
    assert without_seconds(tmp_path / "audit")["settings"]["seed"] == 1


def test_force_does_not_replace_what_is_not_an_audit(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "thesis.txt").write_text("years of work")
    with pytest.raises(TargetExistsError, match="not an audit"):
        run(force=True)
    assert (tmp_path / "audit" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("where", ["release", "release/audit", "release/packages/audit", "data/audit", "."])
def test_nothing_is_written_into_releases_and_originals(run, scene, monkeypatch, where):
    use(monkeypatch, [Noise("noise")])
    before = snapshot(scene)
    with pytest.raises(TargetExistsError, match=r"inside a release|lie in each other"):
        run(out=scene / where, force=True)
    assert snapshot(scene) == before


def test_a_key_without_identity_is_not_enough(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    with pytest.raises(NoFittingKeyError):
        run(identity=generate(tmp_path / "stranger.key"))


def test_refused_attacks_are_told_and_after_a_failed_one_nothing_is_ruled_out(run, tmp_path, monkeypatch):
    use(monkeypatch, [
        Noise("noise"), Knowing("unfit", requires=(Need.OWN_PATIENTS,)), Knowing("wrong", fails=ValueError("p0-0")),
        Knowing("bad", fails=IntegrityError("a broken code")),
    ])  # fmt: skip
    found = run(manifest=None)
    ended = {result.name: (result.status, result.refusal) for result in found.attacks if result.verdict is None}
    assert ended == {
        "unfit": (Status.REFUSED, Need.OWN_PATIENTS.words),
        "wrong": (Status.FAILED, "ValueError"),
        "bad": (Status.FAILED, "IntegrityError"),
    }
    assert found.conclusion is Verdict.TOO_WEAK
    assert any(line.startswith("Failed while running") and "wrong (ValueError)" in line for line in because(found))
    assert "p0-0" not in (tmp_path / "audit" / "report.json").read_text()


def test_without_memory_an_audit_ends_and_goes_on_later(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise"), Knowing("large", fails=MemoryError())])
    with pytest.raises(MedveilError, match="more memory than there is") as caught:
        run()
    assert "--resume" in caught.value.hint
    again = Noise("noise")
    use(monkeypatch, [again, Noise("large")])
    run(resume=True)
    assert len(again.learned) == 2  # of three


@pytest.mark.parametrize("stop", [3, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (1, 2, 4, 5))])
def test_killed_at_any_unit_it_goes_on_and_says_the_same(run, tmp_path, monkeypatch, stop):
    use(monkeypatch, [Noise("noise")])
    begun = []

    def kill(done, total, text):
        if total and text not in begun:
            begun.append(text)
            if len(begun) == stop:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=kill)
    assert len(list(tmp_path.glob("audit.partial/units/*"))) == stop - 1
    run(resume=True)
    run(out=tmp_path / "whole")
    assert without_seconds(tmp_path / "audit") == without_seconds(tmp_path / "whole")


@pytest.mark.slow
def test_an_executor_gives_the_same(run, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise"), Blind("blind")])
    run(out=tmp_path / "one")
    with ThreadPoolExecutor(2) as executor:
        run(out=tmp_path / "two", executor=executor)
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")


def test_a_part_of_the_audit_that_fails_is_told_and_nothing_is_concluded(run, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    use(monkeypatch, [Noise("noise")])
    monkeypatch.setattr("medveil.audit.plan.tier_fidelity", broken)
    found = run()
    assert (found.fidelity, found.conclusion) == ((), Verdict.TOO_WEAK)
    assert any("fidelity of tier diagnostic (ZeroDivisionError)" in line for line in because(found))


def test_without_a_manifest_linkage_is_not_judged_and_the_report_says_so(run, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    audit = run(manifest=None)
    assert audit.data["patients"] == 12
    assert not any(measured.metric == "linkage_auc" for measured in audit.attacks[0].measured)
    assert any("as a patient of its own" in line for line in because(audit))
