"""`medveil forget`: drop what this machine remembers of a release."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session
from medveil.errors import MedveilError


def forget(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="Folder of the release, or its id as medveil inspect shows it.")
    ],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Drop what this machine remembers of a release.

    And of the folder that it lies in. The next look is a first one: nothing is noticed of an older state or of another
    signer.
    """
    with session("forget", as_json=json, quiet=quiet) as run:
        from medveil.releases.records import pins

        known = re.fullmatch(r"[0-9a-f]{32}", release) and not Path(release).exists()
        done = pins.forget(bytes.fromhex(release)) if known else _forget_folder(Path(release))
        run.result(["forgotten" if done else "nothing was remembered of this release"], done=int(done))


def _forget_folder(folder: Path) -> bool:
    """Also where no release lies there any more, or a damaged one: the path itself may be known."""
    from medveil.releases.records import pins
    from medveil.releases.records import state as states

    try:
        release = states.load(folder).manifest.release
    except MedveilError:
        if pins.forget(folder=folder):
            return True
        raise
    return pins.forget(release, folder)
