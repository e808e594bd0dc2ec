"""`medveil forget`: drop what this machine remembers of a release."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session


def forget(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="Folder of the release, or its id as medveil inspect shows it.")
    ],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Drop what this machine remembers of a release.

    The next look is a first one: nothing is noticed of an older state or of another signer.
    """
    with session("forget", as_json=json, quiet=quiet) as run:
        from medveil.releases.records import pins

        done = pins.forget(_id_of(release))
        run.result(["forgotten" if done else "nothing was remembered of this release"], done=int(done))


def _id_of(release: str) -> bytes:
    from medveil.releases.records import state as states

    if re.fullmatch(r"[0-9a-f]{32}", release) and not Path(release).exists():
        return bytes.fromhex(release)
    return states.load(Path(release)).manifest.release
