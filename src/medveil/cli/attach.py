"""`--attach A B C`: an option that takes every path up to the next option, as if it were given once for each.

And what may not be attached: a secret key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from medveil.errors import UsageError

_OPTION = "--attach"
_LOOKED_AT = 4096
_SECRETS = (b"AGE-SECRET-KEY-", b"# MEDVEIL SECRET KEY")  # as they stand in capitals


def spread(args: list[str]) -> list[str]:
    """`--attach a b -o c` -> `--attach a --attach b -o c`. What follows a bare `--` is left alone."""
    out: list[str] = []
    greedy = False
    for position, arg in enumerate(args):
        if arg == "--":
            return [*out, *args[position:]]
        if arg.startswith("-") and len(arg) > 1:
            greedy = arg == _OPTION
        if greedy and arg != _OPTION:
            out += [_OPTION, arg]
        elif not greedy:
            out.append(arg)
    return out


class ShareCommand(TyperCommand):
    """The share command's parser: TyperCommand with `--attach` spread out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))


def refuse_secret_keys(paths: Sequence[Path]) -> None:
    """Raises UsageError when one of these files, or a file in one of these folders, is a secret key."""
    from medveil.files.walk import find_files

    for found in find_files(paths):
        if not found.problem and _is_secret_key(found.path):
            raise UsageError(
                "a secret key is among the attachments; whoever has it opens everything that was shared with it",
                hint="leave it out; to let somebody open the release, name her .pub file with --to",
            )


def _is_secret_key(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_LOOKED_AT).upper()
    except OSError:
        return False  # sharing says so
    return any(mark in head for mark in _SECRETS)
