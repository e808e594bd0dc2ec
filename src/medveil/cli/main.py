"""The `medveil` program: the list of commands, and the way in."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from medveil.cli import (
    anonymize,
    anonymizers,
    attacks,
    audit,
    compare,
    demo,
    forget,
    grant,
    grants,
    info,
    inspect,
    keygen,
    ledger,
    list,
    open,
    revoke,
    rotate,
    share,
    tasks,
    train,
    verify,
)
from medveil.cli.attach import GreedyCommand
from medveil.cli.commands import Commands
from medveil.cli.session import INTERRUPTED
from medveil.files.core_dumps import no_core_dumps

app = typer.Typer(
    name="medveil",
    cls=Commands,
    help="Share medical images so that only the people you name can see them.\n\n"
    "-q and --json, which every command takes, may stand before it too.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"medveil {version('medveil')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Share medical images so that only the people you name can see them."""


app.command("keygen")(keygen.keygen)
app.command("share", cls=GreedyCommand)(share.share)
app.command("verify")(verify.verify)
app.command("inspect")(inspect.inspect)
app.command("list")(list.list_)
app.command("open")(open.open_)
app.command("grant", cls=GreedyCommand)(grant.grant)
app.command("grants")(grants.grants)
app.command("revoke")(revoke.revoke)
app.command("rotate")(rotate.rotate)
app.command("ledger")(ledger.ledger)
app.command("forget")(forget.forget)
app.command("anonymize")(anonymize.anonymize)
app.command("anonymizers")(anonymizers.anonymizers)
app.command("audit")(audit.audit)
app.command("compare")(compare.compare)
app.command("attacks")(attacks.attacks)
app.command("tasks")(tasks.tasks)
app.command("train")(train.train)
app.command("info")(info.info)
app.command("demo")(demo.demo)


def run() -> None:
    """Entry point of the `medveil` program: no dumps of what it holds, and an end by SIGTERM is one by Ctrl-C."""
    no_core_dumps()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except KeyboardInterrupt:
        print("medveil: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
