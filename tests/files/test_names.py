"""Stored names, made safe to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.files.names import MAX_PART_BYTES, safe_relative, safe_relatives


@pytest.mark.parametrize(
    ("stored", "safe"),
    [
        ("a/IM0001", "a/IM0001"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Windows\\system.ini", "Windows/system.ini"),
        ("a/./b/../c", "a/b/c"),
        ("CON", "_CON"),
        ("nul.png", "_nul.png"),
        ("com1 .dcm", "_com1 .dcm"),
        ("a\x00b\nc", "a_b_c"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ('what?<>:"|*.png', "what_______.png"),
        ("trailing. . /x. ", "trailing/x"),
        ("", "image"),
        ("../..", "image"),
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


@given(st.lists(st.text(alphabet="aA:_./", max_size=6), max_size=8))
def test_many_stay_distinct_also_without_case(stored):
    paths = [str(path).casefold() for path in safe_relatives(stored)]
    assert len(set(paths)) == len(paths)
