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
        from medveil.cli.passphrase import ask_passphrase, new_passphrase
        from medveil.keys.identity import check_targets, generate, public_path_of, with_public_again
        from medveil.keys.passphrases import is_locked
        from medveil.releases.writing.staging import refuse_inside_release

        refuse_inside_release(out)
        public = public_path_of(out)
        identity = None if force else with_public_again(out, ask=ask_passphrase)
        if identity is not None:
            run.warn("the secret key was there already; its .pub file was missing, and was made again")
        else:
            check_targets(out, force=force)
            words = new_passphrase() if passphrase else None
            identity = generate(out, classical=classical, passphrase=words, force=force)
        locked = is_locked(out.read_bytes())
        run.result(
            [f"secret key  {out}", f"public key  {public}", f"fingerprint {identity.fingerprint}"],
            done=1, key=str(out), pub=str(public), fingerprint=identity.fingerprint, post_quantum=identity.hybrid,
            locked=locked,
        )  # fmt: skip
        tell_open_key(run, out)
        also = " and its passphrase" if locked else ""
        run.say(f"Keep the secret key{also} safe: without it, what was shared with you cannot be opened by anybody.")
