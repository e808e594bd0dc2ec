"""The folder that an audit grows in: what it may replace, and what it leaves alone."""

from __future__ import annotations

import errno
import os

import pytest
from tests.audit.invented import audit

from medveil.audit.audit_folder import UNITS, check_out, finish, growing_folder, report_folder
from medveil.audit.record import canonical, record_of
from medveil.errors import MedveilError, TargetExistsError, UsageError
from medveil.releases.records.state import MARK

_SETTINGS = {"preset": "tiny", "seed": 0}


def a_report(folder):
    """The files of an audit, as `write_report` leaves them."""
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "advantage.svg").write_text("<svg/>")
    (folder / "report.html").write_text("<html>")
    (folder / "report.json").write_bytes(canonical(record_of(audit())))
    return folder


def checked(tmp_path, **changed):
    values = {"out": tmp_path / "audit", "release": tmp_path / "release", "originals": tmp_path / "data"} | changed
    return check_out(values.pop("out"), values, force=True)


def test_force_takes_an_audit_for_one(tmp_path):
    a_report(tmp_path / "audit")
    assert checked(tmp_path) == (tmp_path / "audit").resolve()


@pytest.mark.parametrize("name", ["signed.pdf", "figures/thesis.svg", "figures/strip-a/notes.svg", ".hidden"])
def test_force_does_not_replace_what_others_have_put_beside_an_audit(tmp_path, name):
    mine = a_report(tmp_path / "audit") / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(TargetExistsError, match="not an audit, or not only one"):
        checked(tmp_path)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", [UNITS, "report", ".former"])
def test_nothing_of_the_users_is_reached_through_a_link_in_the_folder(tmp_path, name):
    own = a_report(tmp_path / "own")
    before = sorted(path.read_bytes() for path in own.rglob("*.*"))
    for resume in (False, True):
        (tmp_path / "audit.partial").mkdir(exist_ok=True)
        (tmp_path / "audit.partial" / MARK).touch()
        (tmp_path / "audit.partial" / name).symlink_to(own)
        with kept(tmp_path, resume=resume) as folder:
            a_report(report_folder(folder))
            finish(folder, tmp_path / "audit")
        assert sorted(path.read_bytes() for path in own.rglob("*.*")) == before


@pytest.mark.parametrize(
    "content", ["{}", "[]", "no JSON", '{"schema": 1}', '{"schema": 1, "release": {}, "tests": 4}']
)
def test_force_does_not_replace_the_reports_of_other_programs(tmp_path, content):
    (a_report(tmp_path / "audit") / "report.json").write_text(content)
    with pytest.raises(TargetExistsError, match="not an audit"):
        checked(tmp_path)


def test_links_are_not_what_an_audit_writes(tmp_path):
    a_report(tmp_path / "audit")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "audit" / "figures").rename(elsewhere)
    (tmp_path / "audit" / "figures").symlink_to(elsewhere)
    with pytest.raises(TargetExistsError, match="not an audit"):
        checked(tmp_path)


@pytest.mark.parametrize("asked", [{}, {"force": True}, {"resume": True}])
def test_the_unfinished_work_of_a_share_is_left_alone(tmp_path, asked):
    package = tmp_path / "audit.partial" / "packages" / "ab" / "one.mveil"
    package.parent.mkdir(parents=True)
    package.write_bytes(b"hours of work")
    (tmp_path / "audit.partial" / MARK).touch()
    asked = {"force": False, "resume": False} | asked
    with pytest.raises(TargetExistsError, match="unfinished work of another command"), kept(tmp_path, **asked):
        pass
    assert package.read_bytes() == b"hours of work"


def kept(tmp_path, *, resume=False, force=False):
    return growing_folder(tmp_path / "audit", _SETTINGS, resume=resume, force=force)


@pytest.mark.parametrize("asked", [{"force": True}, {"resume": True}])
def test_the_former_audit_stays_until_there_is_another(tmp_path, asked, monkeypatch):
    """Killed between the two renamings, and then run again by one of the two ways that are proposed."""
    former = a_report(tmp_path / "audit")
    replace = os.replace

    def killed(source, target):
        if str(source).endswith("report"):
            raise KeyboardInterrupt
        replace(source, target)

    with kept(tmp_path) as folder:
        (report_folder(folder) / "report.html").write_text("new")
        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            finish(folder, former)
    monkeypatch.undo()
    assert not former.exists()
    with pytest.raises(TargetExistsError, match="interrupted audit is there"), kept(tmp_path):
        pass
    with kept(tmp_path, **asked) as folder:
        assert former.exists() is ("force" in asked)
        assert (folder / ".former").exists() is ("resume" in asked)
        (report_folder(folder) / "report.html").write_text("newer")
        finish(folder, former)
    assert [path.name for path in former.iterdir()] == ["report.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["audit"]


def test_what_the_system_refuses_is_said_of_the_audit_and_names_resume(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(MedveilError, match="the audit could not read or write a file: No space") as caught,
        kept(tmp_path),
    ):
        raise full
    assert "--resume" in caught.value.hint
    assert "release" not in caught.value.message


def test_messages_of_the_staging_folder_speak_of_the_audit(tmp_path):
    with kept(tmp_path) as folder:
        (folder / UNITS).mkdir()
        (folder / UNITS / "one.npz").write_bytes(b"unit")
        with pytest.raises(TargetExistsError, match="another command works on this audit"), kept(tmp_path):
            pass
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "mine.partial" / "thesis.txt").write_text("mine")
    mine = growing_folder(tmp_path / "mine", _SETTINGS, resume=False, force=True)
    with pytest.raises(TargetExistsError, match=r"the folder <audit>[.]partial"), mine:
        pass
    named = growing_folder(tmp_path / "x.partial", _SETTINGS, resume=False, force=False)
    with pytest.raises(UsageError, match="an audit cannot have a name"), named:
        pass


def test_killed_before_it_was_cleared_an_audit_goes_on_to_its_end(tmp_path, monkeypatch):
    """The report has its name then, and units with pictures of patients are still beside it."""
    out = tmp_path / "audit"

    def killed(*_):
        raise KeyboardInterrupt

    def check(**asked):
        return check_out(out, {"release": tmp_path / "release"}, **asked)

    with monkeypatch.context() as patch, kept(tmp_path) as folder:
        (folder / UNITS).mkdir()
        (folder / UNITS / "one.npz").write_bytes(b"unit")
        a_report(report_folder(folder))
        patch.setattr("medveil.audit.audit_folder.clear", killed)
        with pytest.raises(KeyboardInterrupt):
            finish(folder, out)
    with pytest.raises(TargetExistsError, match="pictures of patients") as caught:
        check(force=False)
    assert "--resume" in caught.value.hint
    assert check(force=False, resume=True) == out.resolve()
    with kept(tmp_path, resume=True) as folder:
        assert (folder / UNITS / "one.npz").exists()
        a_report(report_folder(folder))
        finish(folder, out)
    assert [path.name for path in tmp_path.iterdir()] == ["audit"]


def test_resume_replaces_no_other_audit(tmp_path):
    a_report(tmp_path / "audit")
    with kept(tmp_path) as folder:
        (folder / UNITS).mkdir()
    with pytest.raises(TargetExistsError, match="holds files"):
        check_out(tmp_path / "audit", {"release": tmp_path / "release"}, force=False, resume=True)
