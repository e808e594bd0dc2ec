"""Stored names, made safe to write."""

import time
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.files.names import MAX_PART_BYTES, FreeNames, safe_relative

_OBEYED = """
    AGENTS.md CLAUDE.md gemini.md babel.json jest.json eslint.json renovate.json angular.json lerna.json vercel.json
    firebase.json nodemon.json log4j2.xml logback.xml WEB.xml requirements.txt =a.csv +a.csv @a.csv
"""
_KEPT = """
    a.gii a.par a.rec a.mnc a.brik a.head a.1D a.xfm a.lta a.labels a.czi a.lif a.mrxs a.feather a.arrow a.tar a.tgz
    a.bz2 a.xz a.7z a.hea a.atr a.dat a.fcsv a.mrml README CHANGES LICENSE sub-01/IM.0001 a,b(2)_{c}#d.dcm
"""


@pytest.mark.parametrize(
    ("stored", "safe"),
    [
        ("a/IM0001", "a/IM0001"),
        ("../../etc/passwd", "etc/passwd.data"),
        ("/etc/passwd", "etc/passwd.data"),
        ("C:\\Windows\\system.ini", "Windows/system.ini.data"),
        ("a/./b/../c1", "a/b/c1"),
        ("CON", "_CON.data"),
        ("nul.png", "_nul.png"),
        ("com1 .dcm", "_com1 .dcm"),
        ("a\x00b\nc9", "a_b_c9"),
        ("a\u202egnp.exe", "a_gnp.exe.data"),
        ('what?<>:"|*.png', "what_______.png"),
        ("trailing. . /x. ", "trailing/x.data"),
        ("", "image.data"),
        ("../..", "image.data"),
        ("1.2.840.113619/1.2.840.113619.7", "1.2.840.113619/1.2.840.113619.7"),
        ("sub-01/anat.v2/sub-01_T1w.nii.gz", "sub-01/anat_v2/sub-01_T1w.nii.gz"),
        ("Müller Zoë.dcm", "Müller Zoë.dcm"),
    ],
)
def test_examples(stored, safe):
    assert str(safe_relative(stored)) == safe


def test_long_names_keep_their_suffix():
    cut = str(safe_relative("ü" * 300 + ".nii"))
    assert cut.endswith("ü.nii")
    assert len(cut.encode()) <= MAX_PART_BYTES


@given(st.text(max_size=80))
def test_any_text_stays_inside_and_settles(stored):
    path = safe_relative(stored)
    assert not path.is_absolute()
    assert path.parts
    assert all(part not in ("..", ".", "") and "\0" not in part and "\\" not in part for part in path.parts)
    assert all(not part.endswith((" ", ".")) and len(part.encode()) <= MAX_PART_BYTES for part in path.parts)
    assert safe_relative(str(path)) == path


@pytest.mark.parametrize(
    ("stored", "safe"),
    [
        (".git/config", "_git/config.data"),
        ("a/.GIT/hooks/pre-commit", "a/_GIT/hooks/pre-commit.data"),
        ("GIT~1/config", "GIT_1/config.data"),
        (".g\u200cit/HEAD", "_g_it/HEAD.data"),
        ("\uff0egit/objects/7", "_git/objects/7"),
        (".envrc", "_envrc.data"),
        (".bashrc", "_bashrc.data"),
        (".vscode/tasks.json", "_vscode/tasks.json"),
        ("..hidden.png", "_.hidden.png"),
        ("bare/HEAD", "bare/HEAD.data"),
        ("desktop.ini", "desktop.ini.data"),
        ("AUTORUN.INF", "AUTORUN.INF.data"),
        ("x.desktop", "x.desktop.data"),
        ("Look.lnk", "Look.lnk.data"),
        ("png.url", "png.url.data"),
        ("Thumbs.db", "Thumbs.db.data"),
        ("conftest.py", "conftest.py.data"),
        ("numpy/__init__.py", "numpy/__init__.py.data"),
        ("hook.pth", "hook.pth.data"),
        ("Makefile", "Makefile.data"),
        ("CMakeLists.txt", "_CMakeLists.txt"),
        ("package.json", "_package.json"),
        ("-rf", "_rf.data"),
        ("--checkpoint-action=exec=sh 1", "_-checkpoint-action=exec=sh 1"),
        ("~/x1", "_/x1"),
        ("$(touch 7)`id`.png", "_(touch 7)_id_.png"),
        ("IM1.png:stream.exe", "IM1.png_stream.exe.data"),
        ("x.png. . .", "x.png"),
        ("run.exe/7", "run_exe/7"),
        ("a.{21EC2020-3AEA-1069-A2DD-08002B30309D}/7", "a_{21EC2020-3AEA-1069-A2DD-08002B30309D}/7"),
        ("image.svg", "image.svg.data"),
    ],
)
def test_names_that_programs_act_upon_come_out_harmless(stored, safe):
    assert str(safe_relative(stored)) == safe


@pytest.mark.parametrize("name", _OBEYED.split())
def test_names_of_data_that_programs_go_by_are_altered(name):
    assert str(safe_relative(f"a/{name}")) == f"a/_{name.lstrip('=+@')}"


def test_libraries_and_what_a_shell_runs():
    assert str(safe_relative("lib/libc.so.6")) == "lib/libc.so.6.data"
    assert str(safe_relative("libX.SO.1.2")) == "libX.SO.1.2.data"
    assert str(safe_relative("a;b&c/O'Neil!%PATH%.png")) == "a_b_c/O_Neil__PATH_.png"


@pytest.mark.parametrize("name", _KEPT.split())
def test_names_of_research_data_stay(name):
    assert str(safe_relative(name)) == name


def test_a_name_is_given_once_whatever_its_spelling():
    names = FreeNames()
    given = {
        "x.nii.gz": "x.nii.gz", "X.nii.gz": "X-2.nii.gz", "a/x.png": "a/x.png", "a": "a-2", "b": "b", "b/7": "b-2/7",
        "B/7": "B-3/7", "c.png/7": "c.png/7", "c.png": "c-2.png", "1.2.3": "1.2.3", "r": "r",
    }  # fmt: skip
    assert {name: str(names.take(PurePosixPath(name))) for name in given} == given
    again = {"x.nii.gz": "x-3.nii.gz", "c.png/7": "c.png/7-2", "1.2.3": "1.2-2.3", "b-2": "b-2-2"}
    assert {name: str(names.take(PurePosixPath(name))) for name in again} == again


def test_equal_names_cost_no_more_than_others():
    names, start = FreeNames(), time.monotonic()
    stored = ["a/x.png"] * 3000 + [f"a/x.png/{number}" for number in range(3000)] + ["a/x.png/1"] * 3000
    assert len({names.take(PurePosixPath(name)) for name in stored}) == len(stored)
    assert time.monotonic() - start < 10  # each against all that came before took minutes


def test_long_names_of_what_is_packed_keep_both_suffixes():
    assert str(safe_relative("x" * 300 + ".nii.gz")).endswith("x.nii.gz")


def test_an_image_gets_the_suffix_of_its_kind():
    assert str(safe_relative("Makefile", ".dcm")) == "Makefile.dcm"
    assert str(safe_relative("x.exe", ".nii.gz")) == "x.exe.nii.gz"
    assert str(safe_relative("IM0001", ".dcm")) == "IM0001"


@given(st.text(alphabet=".-~aG1$ \u200c\uff0e/\\", max_size=12), st.sampled_from([".py", ".exe", ".PNG", ".git", ""]))
def test_no_part_is_hidden_or_an_option(stored, suffix):
    path = safe_relative(stored + suffix)
    assert not any(part[0] in ".-~" or "~" in part for part in path.parts)
    assert path.suffix.casefold() not in (".py", ".exe", ".git")
