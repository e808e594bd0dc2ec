"""`medveil grant`: let somebody open a release that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import (
    AllowCertificates,
    AllowClassical,
    FirstLook,
    Founder,
    Head,
    Json,
    Key,
    Quiet,
    ReleaseFolder,
)
from medveil.cli.session import session
from medveil.cli.standing import grant_record, standing_lines, standing_record, tell_pin


def grant(
    release: ReleaseFolder,
    to: Annotated[list[str], typer.Option("--to", metavar="PUB[=TIER]", help="Who may open it, and how well.")],
    key: Key = None,
    identity: Annotated[
        list[Path] | None,
        typer.Option("--identity", metavar="PUB", help="Who may also see names, dates and file names. Repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PACKAGE...", help="Ids of the packages to grant, up to the next option."),
    ] = None,
    until: Annotated[
        str, typer.Option("--until", metavar="DAY", help="Day that you mean it to end, YYYY-MM-DD. Advisory.")
    ] = "",
    allow_classical: AllowClassical = False,
    allow_certificates: AllowCertificates = False,
    founder: Founder = None,
    head: Head = "",
    first_look: FirstLook = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let somebody open a release that is there.

    No package is touched. A grant of the whole release opens what is added to it later, too.
    """
    with session("grant", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import owner_of, recipient_of, recipients_of, tiered_recipients_of
        from medveil.cli.text import plural
        from medveil.keys.tiers import Tier
        from medveil.releases.granting import Request
        from medveil.releases.granting import grant as grant_release

        named = tiered_recipients_of(to)
        request = Request(
            to=tuple(recipient for recipient, _ in named),
            at={recipient: Tier(tier) for recipient, tier in named if tier},
            identity=recipients_of(identity, "--identity"), only=tuple(only or ()), until=until,
            allow_classical=allow_classical, allow_certificates=allow_certificates,
        )  # fmt: skip
        owner = owner_of(run, key, release)
        done = grant_release(release, request, owner, founder=recipient_of(founder), head=head, first_look=first_look)
        tell_pin(run, done.standing.pin_note)
        if until and done.notes:
            run.warn("--until is advisory: a key that was given stays given. medveil revoke and rotate end it.")
        run.result(
            [
                f"granted to {plural(len(done.notes), 'recipient')}; {done.unchanged} could open it already",
                *standing_lines(done.standing),
            ],
            done=len(done.notes), unchanged=done.unchanged, grants=[grant_record(note) for note in done.notes],
            epoch=done.epoch, **standing_record(done.standing),
        )  # fmt: skip
