"""`medveil grant`, `grants`, `revoke`, `rotate`: who may open a release that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medveil.cli.options import (
    AllowCertificates,
    AllowClassical,
    FirstLook,
    Founder,
    Head,
    Jobs,
    Json,
    Key,
    Quiet,
    ReleaseFolder,
)
from medveil.cli.session import Session, session

if TYPE_CHECKING:
    from medveil.releases.records.owner_records import GrantNote, Standing

_GRANT_DIGITS = 12


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
        from medveil.cli.owner import identity_of, recipient_of, recipients_of, tell_deputy, tiered_recipients_of
        from medveil.cli.text import plural
        from medveil.keys.tiers import Tier
        from medveil.releases.granting import Request
        from medveil.releases.granting import grant as grant_release

        named = tiered_recipients_of(to)
        request = Request(
            to=tuple(recipient for recipient, _ in named),
            at={recipient: Tier(tier) for recipient, tier in named if tier},
            identity=recipients_of(identity),
            only=tuple(only or ()),
            until=until,
            allow_classical=allow_classical,
            allow_certificates=allow_certificates,
        )
        owner = identity_of(run, key)
        tell_deputy(run, release, owner)
        done = grant_release(release, request, owner, founder=recipient_of(founder), head=head, first_look=first_look)
        tell_pin(run, done.standing.pin_note)
        if until and done.notes:
            run.warn("--until is advisory: a key that was given stays given. medveil revoke and rotate end it.")
        run.result(
            [
                f"granted to {plural(len(done.notes), 'recipient')}; {done.unchanged} could open it already",
                *standing_lines(done.standing),
            ],
            done=len(done.notes),
            unchanged=done.unchanged,
            grants=[_record(note) for note in done.notes],
            epoch=done.epoch,
            **standing_record(done.standing),
        )


def grants(
    release: ReleaseFolder, key: Key = None, founder: Founder = None, json: Json = False, quiet: Quiet = False
) -> None:
    """Show who may open what.

    Only an owner can.
    """
    with session("grants", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import identity_of, recipient_of, tell_deputy
        from medveil.releases.deputies import owned_state, read_book

        owner = identity_of(run, key)
        tell_deputy(run, release, owner)
        state = owned_state(release, owner, founder=recipient_of(founder), extends=False, repair=False)
        notes = read_book(release, state, owner).grants
        run.result([_line(note) for note in notes], done=len(notes), grants=[_record(note) for note in notes])


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
        from medveil.cli.owner import granted_of, identity_of, recipient_of, tell_deputy
        from medveil.cli.text import plural
        from medveil.releases.granting import revoke as revoke_release

        leaving, owner = granted_of(to), identity_of(run, key)
        tell_deputy(run, release, owner)
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
            done=done.revoked,
            unchanged=done.unchanged,
            ended=done.ended,
            epoch=done.epoch,
            **standing_record(done.standing),
        )


def rotate(
    release: ReleaseFolder,
    key: Key = None,
    founder: Founder = None,
    head: Head = "",
    first_look: FirstLook = False,
    jobs: Jobs = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give the packages that are there new keys, without coding an image again.

    Everybody who may open the release gets a new grant, unless the day that it was meant to end is over.
    Needs free space of the release's length meanwhile.
    """
    with session("rotate", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import identity_of, recipient_of, tell_deputy
        from medveil.cli.text import bytes_text, plural
        from medveil.releases.rotating import rotate as rotate_release

        owner = identity_of(run, key)
        tell_deputy(run, release, owner)
        done = rotate_release(
            release, owner, founder=recipient_of(founder), head=head, first_look=first_look, jobs=jobs,
            progress=run.progress,
        )  # fmt: skip
        tell_pin(run, done.standing.pin_note)
        if done.shown:
            run.warn("The public part of an obfuscated release stays as it was, and gives away what it gave away.")
        run.say("Copies of the release that were made before open with the old keys as before.")
        over = f", {done.ended} taken out since their day is over" if done.ended else ""
        run.result(
            [
                f"new keys for {plural(done.packages, 'package')}, epoch {done.epoch}; "
                f"{plural(done.grants, 'grant')} made anew{over}; release: {bytes_text(done.bytes)}",
                *standing_lines(done.standing),
            ],
            done=done.packages,
            size=done.bytes,
            grants=done.grants,
            ended=done.ended,
            epoch=done.epoch,
            **standing_record(done.standing),
        )


def standing_lines(standing: Standing) -> list[str]:
    """Where a release stands, and who may open it: one line each."""
    if not standing.head:
        return []
    entry = f"entry {standing.entry} of {standing.day}, head {standing.head}"
    return [entry, "may open it from now on:", *(f"  {_line(note)}" for note in standing.open_to)]


def standing_record(standing: Standing) -> dict[str, Any]:
    """The same for --json."""
    people = [_record(note) for note in standing.open_to]
    known = {"entry": standing.entry, "day": standing.day, "head": standing.head, "open_to": people}
    return known | {"pin_note": standing.pin_note}


def tell_pin(run: Session, note: str) -> None:
    """Say what this machine could not remember of a release."""
    if note:
        run.warn(f"warning: {note}")


def _line(note: GrantNote) -> str:
    grant = note.grant_id.hex()[:_GRANT_DIGITS]
    parts = [note.recipient.fingerprint, grant, f"{note.recipient.wrap.value:15}", f"{note.tier.value:11}"]
    parts.append("with names   " if note.sees_identity else "without names")
    if note.is_owner:
        parts.append("owner")
    if note.only:
        parts.append(f"{len(note.only)} packages only")
    if note.until:
        parts.append(f"until {note.until}{' (over)' if note.has_ended() else ''}")
    return "  ".join(parts)


def _record(note: GrantNote) -> dict[str, object]:
    return {
        "fingerprint": note.recipient.fingerprint,
        "wrap": note.recipient.wrap.value,
        "tier": note.tier.value,
        "identity": note.sees_identity,
        "owner": note.is_owner,
        "packages": [package.hex() for package in note.only],
        "until": note.until,
        "grant": note.grant_id.hex(),
    }
