"""keygen, share, verify, inspect, list, open: a session at the keyboard."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import numpy as np
from PIL import Image
from tests import image_files
from tests.cli.shell import listed, run
from tests.pictures import picture


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keygen_writes_a_key_pair(desk: Path) -> None:
    assert _mode(desk / "alice.key") == 0o600
    assert (desk / "alice.pub").read_text().splitlines()[-1].startswith("age1")
    again = run("keygen", "-o", "alice.key")
    assert again.code == 1
    assert "hint: " in again.err
    assert run("keygen", "-o", "alice.key", "--force", "--json").json["fingerprint"]


def test_the_whole_road(desk: Path) -> None:
    shared = run("share", "images", "--to", "alice.pub", "-o", "release")
    assert shared.code == 0
    assert shared.out.startswith("shared 2 files; 0 there already; 0 failed\n")
    assert "bits a pixel" in shared.out
    assert "Your key was made now" in shared.err

    checked = run("verify", "release")
    assert checked.code == 0
    assert checked.out.startswith("verified: 2 packages, founded by key ")

    opened = run("open", "release", "-i", "alice.key", "-o", "opened")
    assert opened.code == 0
    assert opened.out == "opened 2 files (2 at tier diagnostic); 0 failed\n"
    files = [path for path in (desk / "opened").rglob("*") if path.is_file()]
    assert [path.suffix for path in files] == [".png", ".png"]
    assert _mode(desk / "opened") == 0o700

    listed = run("list", "release")
    assert [line.split()[1] for line in listed.out.splitlines()] == ["images/a/IM1.png", "images/b/IM1.png"]

    mine = run("open", "release", "-o", "mine")
    assert mine.code == 0
    original = np.asarray(Image.open(desk / "images" / "a" / "IM1.png"), dtype=float)
    back = np.asarray(Image.open(desk / "mine" / "images" / "a" / "IM1.png"), dtype=float)
    assert np.sqrt(np.mean((original - back) ** 2)) < 12


def test_share_again_does_nothing_and_other_settings_are_refused(shared_desk: Path) -> None:
    again = run("share", "images", "--to", "alice.pub", "-o", "release")
    assert again.code == 0
    assert again.out.startswith("shared 0 files; 2 there already; 0 failed\n")
    other = run("share", "images", "--to", "alice.pub", "-o", "release", "--protection", "encrypted")
    assert other.code == 1
    assert "hint: " in other.err


def test_add(shared_desk: Path) -> None:
    Image.fromarray(np.full((70, 50), 9, dtype=np.uint8)).save(shared_desk / "new.png")
    assert run("share", "new.png", "-o", "release").code == 1
    added = run("share", "new.png", "--to", "alice.pub", "-o", "release", "--add", "--json").json
    assert (added["done"], added["ok"]) == (1, True)
    assert run("verify", "release").out.startswith("verified: 3 packages")


def test_a_stranger(shared_desk: Path) -> None:
    seen = run("inspect", "release", "--render", "view.png")
    assert seen.code == 0
    assert "IM1" not in seen.out + seen.err
    with Image.open(shared_desk / "view.png") as view:
        assert view.mode == "L"
    assert run("inspect", "release", "--render", "view.png").code == 1
    assert run("inspect", "release", "--render", "view.png", "--force").code == 0
    package = run("list", "release", "--json").json["packages"][0]["package"]
    one = run("inspect", "release", package, "--json").json["public"]["package"]
    assert one["id"] == package

    refused = run("open", "release", "-i", "mallory.key", "-o", "stolen")
    assert refused.code == 10
    assert not (shared_desk / "stolen").exists()
    assert run("list", "release", "-i", "alice.key").code == 10


def test_verify_names_the_owner(shared_desk: Path) -> None:
    assert run("verify", "release", "--owner", "mallory.pub").code == 11


def test_a_signer_is_unknown_until_seen(shared_desk: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(shared_desk / "other-machine"))
    assert run("verify", "release").out.startswith("signer unknown: 2 packages")
    assert run("verify", "release").out.startswith("same signer as on 2")


def test_a_changed_package_fails_and_the_others_open(shared_desk: Path) -> None:
    victim = sorted((shared_desk / "release" / "packages").rglob("*.mveil"))[0]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    assert run("verify", "release").code == 11
    opened = run("open", "release", "-i", "alice.key", "-o", "opened")
    assert opened.code == 11
    assert opened.out == "opened 1 file (1 at tier diagnostic); 1 failed\n"


def test_open_overwrites_only_when_told(shared_desk: Path) -> None:
    (shared_desk / "opened").mkdir()
    (shared_desk / "opened" / "mine.txt").write_text("mine")
    assert run("open", "release", "-i", "alice.key", "-o", "opened").code == 1
    assert run("open", "release", "-i", "alice.key", "-o", "opened", "--force").code == 0
    assert (shared_desk / "opened" / "mine.txt").read_text() == "mine"


def test_dry_run_writes_nothing(desk: Path) -> None:
    before = sorted(desk.rglob("*"))
    would = run("share", "images", "--to", "alice.pub", "-o", "release", "--dry-run", "-i", "mallory.key")
    assert would.code == 0
    assert would.out.startswith("would share 2 files")
    assert sorted(desk.rglob("*")) == before


def test_a_dry_run_of_open_writes_nothing(shared_desk: Path) -> None:
    would = run("open", "release", "-i", "alice.key", "-o", "opened", "--dry-run")
    told = (
        r"would open 2 packages up to tier diagnostic, without names: \d+ bytes at most \(\S+ kB\); nothing was written"
    )
    assert re.fullmatch(told, would.out.rstrip())
    assert not (shared_desk / "opened").exists()
    assert run("open", "release", "-i", "mallory.key", "-o", "opened", "--dry-run").code == 10
    assert "with names" in run("open", "release", "-o", "opened", "--dry-run").out


def test_burned_in_text_is_warned_of_or_refused(desk: Path) -> None:
    """Which files it is of stands in the list."""
    scans = desk / "scans"
    scans.mkdir()
    said = {
        "Doe-yes": {"BurnedInAnnotation": "YES"},
        "Doe-us": {"Modality": "US"},
        "Doe-no": {"BurnedInAnnotation": "NO"},
    }
    for number, (name, stated) in enumerate(said.items()):
        pixels = picture(number, 24, 32, bits=12).astype(np.uint16)
        data = image_files.dicom(pixels, bits_stored=12, SOPInstanceUID=f"1.2.3.{number}", **stated)
        (scans / f"{name}.dcm").write_bytes(data)
    refusing = ("share", "scans", "-o", "refused", "--burned-in", "refuse", "--json")
    would = run(*refusing, "--dry-run")
    refused = run(*refusing)
    for done in (would, refused):
        assert (done.code, done.json["done"]) == (3, 1)
        assert [entry["error"] for entry in done.json["failed"]] == ["UnsupportedInputError"] * 2
        assert "it says that there is" in done.err
    assert {Path(row["path"]).name for row in listed(refused)} == {"Doe-yes.dcm", "Doe-us.dcm"}
    assert run("share", "scans", "-o", "warned", "--dry-run").err.count("burned into the pixels") == 2
    warned = run("share", "scans", "-o", "warned", "--json")
    assert (warned.code, warned.json["done"]) == (0, 3)
    assert "the file says YES: text that may name the patient" in warned.err
    assert "often has some: ultrasound" in warned.err
    rows = {Path(row["path"]).name: row for row in listed(warned)}
    assert {name: row["kind"] for name, row in rows.items()} == {"Doe-yes.dcm": "warning", "Doe-us.dcm": "warning"}
    assert run("share", "scans", "-o", "other", "--burned-in", "mask").code == 2


def test_labels_are_counted_before_anything_is_written(desk: Path) -> None:
    rows = ["image,label,patient_id", "images/a/IM1.png,pneumonia,Doe-1", "images/b/IM1.png,normal,Doe-2"]
    (desk / "labels.csv").write_text("\n".join(rows))
    command = (
        "share",
        "images",
        "--labels",
        "labels.csv",
        "--label-columns",
        "label",
        "--to",
        "alice.pub",
        "-o",
        "release",
    )
    for more in (("--dry-run",), ()):
        done = run(*command, *more, "--json")
        assert done.code == 0
        assert "everybody who opens an image at any tier: pneumonia 1, normal 1\n" in done.err
        assert "warning: label label: values on one image only: 2. Is one a name?" in done.err
        assert done.json["labels"] == {
            "counts": {"label": {"pneumonia": 1, "normal": 1}}, "unlabelled": 0, "unmatched": 0
        }  # fmt: skip
        assert (desk / "release").exists() == (more == ())
    opened = run("open", "release", "-i", "alice.key", "-o", "opened")
    assert opened.out.splitlines()[-1] == "labels of 2 images in labels.csv"
    assert (desk / "opened" / "labels.csv").read_text().startswith("image,patient_id,label")


def test_open_says_where_two_files_have_one_sop_instance_uid(desk: Path) -> None:
    for name, number in (("smith.dcm", 1), ("copy.dcm", 1), ("jones.dcm", 2)):
        pixels = picture(number, 24, 32, bits=12).astype(np.uint16)
        (desk / name).write_bytes(image_files.dicom(pixels, bits_stored=12))
    names, settings = ("smith.dcm", "copy.dcm", "jones.dcm"), ("--tiers", "exact", "--protection", "encrypted")
    assert run("share", *names, "-o", "release", *settings).code == 0
    opened = run("open", "release", "-o", "opened")
    assert opened.code == 0
    (line,) = [line for line in opened.err.splitlines() if "SOP Instance UID" in line]
    assert line.startswith("warning: 3 files (#1, #2, #3): a DICOM file with one SOP Instance UID and other content ")
    assert "SOP Instance UID" not in run("open", "release", "-o", "lossy", "--tier", "diagnostic").err
