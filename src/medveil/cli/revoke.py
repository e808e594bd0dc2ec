"""`medveil revoke`: take somebody out."""

from __future__ import annotations

from typing import Annotated

import typer

from medveil.cli.options import FirstLook, Founder, Head, Json, Key, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import standing_lines, standing_record, tell_pin


def revoke(
    release: ReleaseFolder,
    to: Annotated[
        list[str],
        typer.Option(
            "--to", metavar="WHO", help="Whom to take out: a .pub file, a fingerprint or a grant. Repeatable."
        ),
    ],
    key: Key = None,
    founder: Founder = None,
    head: Head = "",
    first_look: FirstLook = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take somebody out: what you add from now on, she cannot open.

    What she could open before she still can, from a copy; medveil rotate closes this release's own.
    """
    with session("revoke", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import granted_of, owner_of, recipient_of
        from medveil.cli.text import plural
        from medveil.releases.granting import revoke as revoke_release

        leaving, owner = granted_of(to), owner_of(run, key, release)
        done = revoke_release(release, leaving, owner, founder=recipient_of(founder), head=head, first_look=first_look)
        tell_pin(run, done.standing.pin_note)
        run.warn(
            "What they could open until now they can open still, wherever a copy of it or of their grant is kept. "
            "medveil rotate gives the packages of this release new keys; copies made before stay open to them."
        )
        out_already = f"; {done.unchanged} taken out before" if done.unchanged else ""
        over = f"; {plural(done.ended, 'grant')} whose day is over taken out too" if done.ended else ""
        run.result(
            [
                f"took out {plural(done.revoked, 'recipient')}{out_already}{over}; "
                f"packages added from now on have keys of epoch {done.epoch}",
                *standing_lines(done.standing),
            ],
            done=done.revoked, unchanged=done.unchanged, ended=done.ended, epoch=done.epoch,
            **standing_record(done.standing),
        )  # fmt: skip
