"""The group of commands: a command line that cannot be understood ends as every other error does.

The parser's own messages repeat what was typed, and that is where paths with patients' names stand; these do not. With
--json there is one object on stdout here too. --json and -q may stand before the command as well as after it.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from medveil.cli.session import Session

_EVERYWHERE = ("--json", "-q", "--quiet")
_USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
_JSON = "medveil.json"
_NAMES = re.compile(r"[Dd]id you mean ([a-z', ?]+)\?")


class Commands(TyperGroup):
    """The program's parser: TyperGroup with messages of its own."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        before = args[: args.index("--")] if "--" in args else args
        as_json = "--json" in before
        try:
            context = super().make_context(info_name, moved_behind(args), parent, **extra)
        except _USAGE_ERROR as error:
            refuse(error, as_json=as_json)
        context.meta[_JSON] = as_json
        return context

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _USAGE_ERROR as error:
            refuse(error, command=ctx.invoked_subcommand or "", as_json=bool(ctx.meta.get(_JSON)))


def moved_behind(args: list[str]) -> list[str]:
    """`--json -q list R` -> `list --json -q R`: the options of every command, from before it to behind it."""
    before = list(itertools.takewhile(lambda arg: arg.startswith("-") and arg != "--", args))
    command, rest = args[len(before) : len(before) + 1], args[len(before) + 1 :]
    others = [arg for arg in before if arg not in _EVERYWHERE]
    everywhere = [arg for arg in before if arg in _EVERYWHERE]
    return [*others, *command, *(everywhere if command else ()), *rest]


def refuse(error: Any, *, command: str = "", as_json: bool) -> NoReturn:
    """Say what is wrong with the command line without repeating it, and end with 2."""
    if type(error).__name__ == "NoArgsIsHelpError":
        raise error
    message, hint = words(error)
    told = hint or f"see medveil {command} --help".replace("  ", " ")
    Session(command, as_json=as_json).refuse("UsageError", message, told, 2)


def words(error: Any) -> tuple[str, str]:
    """(message, hint) of one of the parser's errors; the hint may be empty."""
    kind, text = type(error).__name__, str(error.message)
    if kind in ("MissingParameter", "BadOptionUsage"):
        told = error.format_message()  # names of options and of their values' kinds, nothing that was typed
        return told[:1].lower() + told[1:].rstrip("."), ""
    if kind == "NoSuchOption":
        near = sorted(error.possibilities or ())
        return "no such option", f"did you mean {' or '.join(near)}?" if near else ""
    if kind == "BadParameter" and error.param is not None:
        name = "/".join(error.param.opts) if error.param.param_type_name == "option" else error.param.metavar
        return f"invalid value for {name}", ""
    if text.startswith("No such command"):
        near = re.findall(r"[a-z]+", found[1]) if (found := _NAMES.search(text)) else []
        return "no such command", f"did you mean {' or '.join(near)}?" if near else ""
    if "unexpected extra argument" in text:
        return "unexpected extra argument", ""
    if text.startswith("Missing command"):
        return "a command is missing", ""
    return "the command line cannot be understood", ""
