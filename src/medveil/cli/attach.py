"""`--attach A B C`, `--only A B C`: options that take every word up to the next option, as if given once for each.

And what may not be attached: a secret key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from medveil.errors import UsageError

_GREEDY = ("--attach", "--only")


def spread(args: list[str]) -> list[str]:
    """`--attach a b -o c` -> `--attach a --attach b -o c`. What follows a bare `--` is left alone."""
    out: list[str] = []
    greedy = ""
    for position, arg in enumerate(args):
        if arg == "--":
            return [*out, *args[position:]]
        if arg.startswith("-") and len(arg) > 1:
            greedy = arg if arg in _GREEDY else ""
        if greedy and arg != greedy:
            out += [greedy, arg]
        elif not greedy:
            out.append(arg)
    return out


class GreedyCommand(TyperCommand):
    """A command's parser: TyperCommand with those options spread out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))


def refuse_secret_keys(paths: Sequence[Path]) -> None:
    """Raises UsageError when one of these files, or a file in one of these folders, is a secret key."""
    from medveil.files.walk import find_files

    for found in find_files(paths):
        if not found.problem and _is_secret_key(found.path):
            raise UsageError(
                "a secret key, or a file locked as one may be, is among the attachments; "
                "whoever has it opens everything that was shared with it",
                hint="leave it out; to let somebody open the release, name her .pub file with --to",
            )


def _is_secret_key(path: Path) -> bool:
    from medveil.keys.keyfiles import MAX_KEY_FILE, holds_secret

    try:
        with path.open("rb") as file:
            head = file.read(MAX_KEY_FILE)
    except OSError:
        return False  # sharing says so
    return holds_secret(head)
