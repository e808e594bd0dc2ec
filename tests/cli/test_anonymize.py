"""`medveil anonymize` and `anonymizers`: what they print, their exit codes, and what no message says."""

from __future__ import annotations

import pytest
from tests import image_files
from tests.cli.shell import listed, run
from tests.pictures import picture


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "Doe_John"
    folder.mkdir()
    for number in range(4):
        (folder / f"Doe{number}.png").write_bytes(image_files.png(picture(number, 32, 32)))
    (tmp_path / "people.csv").write_text(
        "image,patient_id,source\n" + "".join(f"Doe{number}.png,Doe{number % 3},x\n" for number in range(4))
    )
    return folder


def anonymize(images, *more, out="public", method="pixelate"):
    where = images.parent
    return run(
        "anonymize", images, "-o", where / out, "--link", where / f"{out}.csv", "--method", method, "-j", 1, *more
    )


def test_release_and_verify(images):
    done = anonymize(images, "--json", "--set", "cells=4")
    assert (done.code, done.json["done"], done.json["settings"]) == (0, 4, {"cells": 4})
    assert "Doe" not in done.out + done.err
    seen = run("verify", images.parent / "public", "--json")
    assert (seen.code, seen.json["done"], seen.json["signer_known"], seen.json["words"]) == (
        0,
        4,
        True,
        "verified",
    )
    assert run("verify", images.parent / "public", "--head", "00").code == 2
    for command, named, told in (("open", "public", "an open release"), ("verify", "nothing", "nor release.json")):
        refused = run(command, images.parent / named, *(["-o", images.parent / "x"] if command == "open" else []))
        assert (refused.code, told in refused.err) == (2, True), refused.err


def test_bad_inputs_end_with_3_and_are_listed_in_private(images):
    (images / "Doe9.png").write_bytes(b"")
    done = anonymize(images, "--json")
    assert (done.code, done.json["done"], len(done.json["failed"])) == (3, 4, 1)
    assert "Doe" not in done.err
    assert listed(done)[0]["path"].endswith("Doe9.png")


def test_manifest_and_groups(images):
    manifest = images.parent / "people.csv"
    done = anonymize(images, "--json", "--manifest", manifest, "--set", "k=3", "--set", "size=64", method="k-same")
    assert (done.code, done.json["done"], done.json["images"], done.json["left_out"]) == (0, 1, 3, 1)
    few = anonymize(images, "--manifest", manifest, "--again", method="k-same", out="b")
    assert (few.code, "has 3 patients" in few.err) == (2, True)
    again = anonymize(images, "--manifest", manifest, "--set", "n=3", method="mixup", out="c")
    assert again.code == 14
    assert "--again" in again.err


def test_labels_are_told_published_and_refused_where_they_tell_people_apart(images):
    manifest = images.parent / "people.csv"
    lines = manifest.read_text().splitlines()
    rows = [f"{line},{label},{day}" for line, label, day in zip(lines, ("label", "ill", "well", "ill", "ill"),
            ("day", *["2026-01-02"] * 4), strict=True)]  # fmt: skip
    manifest.write_text("\n".join(rows) + "\n")
    done = anonymize(images, "--manifest", manifest, "--label-columns", "label")
    assert (done.code, "label label, for everybody: ill 3, well 1" in done.err) == (0, True)
    table = (images.parent / "public" / "labels.csv").read_text().splitlines()
    assert table[0] == "image,label"
    assert sorted(line.split(",")[1] for line in table[1:]) == ["ill", "ill", "ill", "well"]
    assert run("verify", images.parent / "public").code == 0
    for column, said in (("day", "more than four digits"), ("patient_id", "is not published"), ("age", "no column")):
        refused = anonymize(images, "--manifest", manifest, "--label-columns", column, out="other")
        assert (refused.code, said in refused.err) == (2, True), refused.err
    assert anonymize(images, "--label-columns", "label", out="other").code == 2
    assert not (images.parent / "other").exists()


@pytest.mark.parametrize("more", [["--set", "cells=0"], ["--set", "cell=4"], ["--set", "cells"], ["--method", "blur"]])
def test_what_makes_no_sense_ends_with_2(images, more):
    done = anonymize(images, *more)
    assert done.code == 2
    assert not (images.parent / "public").exists()


def test_what_is_there_is_left_alone(images):
    (images.parent / "public.csv").write_text("mine")
    assert anonymize(images).code == 1
    assert (images.parent / "public.csv").read_text() == "mine"


def test_nothing_private_is_written_into_an_open_release(images):
    assert anonymize(images).code == 0
    public, link = images.parent / "public", images.parent / "public" / "link.csv"
    lines = [
        ("keygen", "-o", public / "a.key"), ("share", images, "-o", public / "sealed"),
        ("anonymize", images, "-o", images.parent / "b", "--link", link, "--method", "pixelate", "--again"),
        ("compare", images, "-o", public / "plane", "--force"), ("train", images, "-o", public / "codec"),
        ("demo", "-o", public / "demo"),
    ]  # fmt: skip
    for line in lines:
        done = run(*line)
        assert (done.code, "inside a release" in done.err) == (1, True), line
    assert run("verify", public).code == 0


def test_methods_are_listed():
    done = run("anonymizers", "--json")
    names = [each["name"] for each in done.json["anonymizers"]]
    assert names[:5] == ["pixelate", "dp-pix", "warp", "mixup", "k-same"]
    text = run("anonymizers").out
    assert all(f"{name}:" in text for name in names)
    assert "--set epsilon=" in text
