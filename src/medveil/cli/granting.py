"""`medveil grant`, `grants`, `revoke`, `rotate`: who may open a release that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import AllowCertificates, AllowClassical, Jobs, Json, Key, Quiet, ReleaseFolder
from medveil.cli.session import session

if TYPE_CHECKING:
    from medveil.releases.book import GrantNote


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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let somebody open a release that is there.

    No package is touched. A grant of the whole release opens what is added to it later, too.
    """
    with session("grant", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import identity_of, recipients_of, tiered_recipients_of
        from medveil.cli.sizes import plural
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
        done = grant_release(release, request, identity_of(run, key))
        if until and done.notes:
            run.warn("--until is advisory: a key that was given stays given. medveil revoke and rotate end it.")
        run.result(
            [f"granted to {plural(len(done.notes), 'recipient')}; {done.unchanged} could open it already"],
            done=len(done.notes),
            unchanged=done.unchanged,
            grants=[_record(note) for note in done.notes],
            epoch=done.epoch,
            head=done.head,
        )


def grants(release: ReleaseFolder, key: Key = None, json: Json = False, quiet: Quiet = False) -> None:
    """Show who may open what.

    Only an owner can.
    """
    with session("grants", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import identity_of
        from medveil.releases.granting import owned_state, read_book

        owner = identity_of(run, key)
        notes = read_book(release, owned_state(release, owner, repair=False), owner).grants
        run.result([_line(note) for note in notes], done=len(notes), grants=[_record(note) for note in notes])


def revoke(
    release: ReleaseFolder,
    to: Annotated[list[Path], typer.Option("--to", metavar="PUB", help="Whom to take out. Repeatable.")],
    key: Key = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take somebody out: what you add from now on, she cannot open.

    What she could open before she still can, from a copy; medveil rotate closes this release's own.
    """
    with session("revoke", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import identity_of, recipients_of
        from medveil.cli.sizes import plural
        from medveil.releases.granting import revoke as revoke_release

        done = revoke_release(release, recipients_of(to), identity_of(run, key))
        run.warn(
            "What they could open until now they can open still, wherever a copy of it or of their grant is kept. "
            "medveil rotate gives the packages of this release new keys; copies made before stay open to them."
        )
        run.result(
            [f"took out {plural(len(to), 'recipient')}; packages added from now on have keys of epoch {done.epoch}"],
            done=len(to),
            epoch=done.epoch,
            head=done.head,
        )


def rotate(release: ReleaseFolder, key: Key = None, jobs: Jobs = 0, json: Json = False, quiet: Quiet = False) -> None:
    """Give the packages that are there new keys, without coding an image again.

    Everybody who may open the release gets a new grant. Needs free space of the release's length meanwhile.
    """
    with session("rotate", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import identity_of
        from medveil.cli.sizes import bytes_text, plural
        from medveil.releases.rotating import rotate as rotate_release

        done = rotate_release(release, identity_of(run, key), jobs=jobs, progress=run.progress)
        if done.protection == "obfuscated":
            run.warn("The public part of an obfuscated release stays as it was, and gives away what it gave away.")
        run.say("Copies of the release that were made before open with the old keys as before.")
        run.result(
            [
                f"new keys for {plural(done.packages, 'package')}, epoch {done.epoch}; "
                f"{plural(done.grants, 'grant')} made anew; release: {bytes_text(done.bytes)}"
            ],
            done=done.packages,
            size=done.bytes,
            grants=done.grants,
            epoch=done.epoch,
            head=done.head,
        )


def _line(note: GrantNote) -> str:
    parts = [note.recipient.fingerprint, f"{note.recipient.wrap.value:15}", f"{note.tier.value:11}"]
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
