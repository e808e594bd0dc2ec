"""The figures of the house count what they say, on a tree that is made for it."""

from __future__ import annotations

import ast

import pytest
from tools.house_figures import code_lines, figures_of, level_comparisons

_MODULE = '''"""A docstring
of two lines."""

import os  # a remark


def f(x: str) -> str:
    """One more."""
    # nothing
    text = """kept,
    both lines"""
    return text
'''


def test_code_lines_leave_out_docstrings_comments_and_blank_lines():
    assert code_lines(_MODULE, ast.parse(_MODULE)) == {4, 7, 10, 11, 12}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x == 'sealed'", 1),
        ("'obfuscated' != x", 1),
        ("x in ('sealed', 'encrypted')", 1),
        ("_SEALED = 'sealed'\nx == _SEALED", 1),
        ("x is Level.ENCRYPTED", 1),
        ("match x:\n case 'sealed': pass", 1),
        ("LEVELS = ('sealed', 'encrypted')\nx in LEVELS", 0),  # whether it is one at all
        ("x == 'open'", 0),
        ("protection = 'sealed'", 0),
    ],
)
def test_comparisons_of_levels(text, count):
    assert len(level_comparisons(ast.parse(text))) == count


def test_a_tree(tmp_path):
    files = {
        "src/medveil/room/small.py": "x = 1\n",
        "src/medveil/room/twice.py": "x = 1\n",
        "src/medveil/room/large.py": "x = 1\n" * 60,
        "src/medveil/room/one.py": "from medveil.room import small, twice\nimport medveil.room.large\n",
        "src/medveil/other/two.py": "from medveil.room.twice import x\n",
        "src/medveil/other/far.py": "x = 1\n",
        "src/medveil/room/three.py": "from medveil.other.far import x\n",
        "benchmarks/one.py": "# a\n\n",
        "benchmarks/more/two.py": "x = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = figures_of(tmp_path)
    assert found.small_modules == ("src/medveil/room/small.py (medveil.room.one)",)
    assert (found.benchmark_lines, found.comparisons) == (3, ())
    assert found.code_lines == 67
