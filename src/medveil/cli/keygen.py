"""`medveil keygen`: make a key pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Force, Json, Quiet
from medveil.cli.session import session


def keygen(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="KEY", help="Where the secret key goes.")],
    classical: Annotated[
        bool,
        typer.Option("--classical", help="An X25519 key, for age before 1.3 and other tools; not post-quantum."),
    ] = False,
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase", help="Lock the secret key; asks for a passphrase (or reads $MEDVEIL_PASSPHRASE_FILE)."
        ),
    ] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a key pair.

    KEY is secret and for you alone; the .pub file beside it is to hand out.
    Keys are post-quantum (X25519 and ML-KEM-768 together): what is shared with them today stays
    closed to a quantum computer of tomorrow.
    """
    with session("keygen", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import tell_open_key
        from medveil.cli.passphrase import new_passphrase
        from medveil.keys.identity import check_targets, generate

        public = check_targets(out, force=force)
        identity = generate(out, classical=classical, passphrase=new_passphrase() if passphrase else None, force=force)
        run.result(
            [f"secret key  {out}", f"public key  {public}", f"fingerprint {identity.fingerprint}"],
            done=1, key=str(out), pub=str(public), fingerprint=identity.fingerprint, post_quantum=identity.hybrid,
            locked=passphrase,
        )  # fmt: skip
        tell_open_key(run, out)
        locked = " and its passphrase" if passphrase else ""
        run.say(f"Keep the secret key{locked} safe: without it, what was shared with you cannot be opened by anybody.")
