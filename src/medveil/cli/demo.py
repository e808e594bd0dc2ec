"""`medveil demo`: the whole road on invented patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the demo works.")] = Path(
        "medveil-demo"
    ),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try it all on invented patients."""
    with session("demo", as_json=json, quiet=quiet) as run:
        from medveil.cli.demonstration import demonstrate

        demonstrate(out, run)
