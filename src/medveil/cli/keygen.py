"""`medveil keygen`: make a key pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Force, Json, Quiet
from medveil.cli.session import session


def keygen(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="KEY", help="Where the secret key goes.")],
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a key pair.

    KEY is secret and for you alone; the .pub file beside it is to hand out.
    """
    with session("keygen", as_json=json, quiet=quiet) as run:
        from medveil.keys.identity import generate

        identity = generate(out, force=force)
        public = out.with_suffix(".pub") if out.suffix == ".key" else out.with_name(f"{out.name}.pub")
        run.result(
            [
                f"secret key  {out}",
                f"public key  {public}",
                f"fingerprint {identity.fingerprint}",
            ],
            done=1,
            key=str(out),
            pub=str(public),
            fingerprint=identity.fingerprint,
        )
        run.say("Keep the secret key safe: without it, what was shared with you cannot be opened by anybody.")
