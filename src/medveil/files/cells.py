"""Cells of a CSV file that no spreadsheet takes for a formula, and that come back as they were.

A cell that begins like a formula gets a `'` before it, as spreadsheets mark a text; behind `;` and `,` too, since other
programs take these for the end of a cell. One that begins so already, with `'` before it, gets another one.
"""

from __future__ import annotations

import re

_BEGINS = "(?='*\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20])"
_FORMULA = re.compile(f"(^|[;,]){_BEGINS}")
_NEUTRAL = re.compile(f"(^|[;,])'{_BEGINS}")


def neutral(text: str) -> str:
    """The cell to write.

    >>> neutral("=1+1"), neutral("a;@b"), neutral("a-b")
    ("'=1+1", "a;'@b", 'a-b')
    """
    return _FORMULA.sub(r"\1'", text)


def restored(cell: str) -> str:
    """What `neutral` made the cell of.

    >>> restored("'=1+1"), restored("a;'@b"), restored("'a'")
    ('=1+1', 'a;@b', "'a'")
    """
    return _NEUTRAL.sub(r"\1", cell)
