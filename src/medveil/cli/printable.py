"""Text on a terminal: what comes from a release or from a path must not move the cursor or reverse a line."""

from __future__ import annotations


def shown(text: str) -> str:
    """The text with every character that does not print as an escape: \\n, \\x1b, \\u202e.

    These are control characters (C0, DEL, C1), line and paragraph separators, format characters (bidirectional
    overrides, zero widths) and lone surrogates.
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
