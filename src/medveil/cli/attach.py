"""`--attach A B C`: an option that takes every path up to the next option, as if it were given once for each."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_OPTION = "--attach"


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
