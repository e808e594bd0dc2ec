"""`medveil verify`: check a release without any key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medveil.cli.options import Head, Json, Owner, Quiet, ReleaseFolder
from medveil.cli.session import Session, session
from medveil.cli.standing import tell_pin, tell_replaced

if TYPE_CHECKING:
    from medveil.keys.recipients import Recipient


def verify(
    release: ReleaseFolder, owner: Owner = None, head: Head = "", json: Json = False, quiet: Quiet = False
) -> None:
    """Check every byte of a release, sealed or open, without a key."""
    with session("verify", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import recipient_of
        from medveil.cli.text import plural
        from medveil.releases.records.open_record import is_open
        from medveil.releases.verifying import verify as verify_release

        if is_open(release):
            _verify_open(run, release, recipient_of(owner), head)
            return
        result = verify_release(release, owner=recipient_of(owner), head=head)
        tell_replaced(run, result.replaced, result.replaced_since)
        tell_pin(run, result.pin_note)
        if result.leftovers:
            run.warn(
                f"{plural(result.leftovers, 'file')} of an interrupted change; its owner's next command clears them up"
            )
        if result.junk:
            run.warn(f"{plural(result.junk, 'file')} of Finder or Explorer in the folder, passed over")
        run.result(
            [f"{result.words}: {plural(result.packages, 'package')}, founded by key {result.owner}"],
            done=result.packages, size=result.bytes, words=result.words, owner=result.owner,
            signer_known=result.signer_known, sequence=result.sequence, head=result.head, leftovers=result.leftovers,
            junk=result.junk, pin_note=result.pin_note, replaced=result.replaced,
        )  # fmt: skip


def _verify_open(run: Session, folder: Path, owner: Recipient | None, head: str) -> None:
    """Check every byte of an open release; it has no ledger, and so no state before or after it."""
    from medveil.cli.text import plural
    from medveil.errors import UsageError
    from medveil.releases.verifying import verify_open

    if head:
        raise UsageError("an open release has no ledger, and so no head", hint="leave --head out; name --owner")
    result = verify_open(folder, owner)
    tell_replaced(run, result.replaced, result.replaced_since)
    tell_pin(run, result.pin_note)
    run.result(
        [f"{result.words}: {plural(result.pictures, 'picture')} by {result.method}, released by key {result.owner}"],
        done=result.pictures, size=result.bytes, words=result.words, owner=result.owner,
        signer_known=result.signer_known, method=result.method, settings=dict(result.settings),
        pin_note=result.pin_note, replaced=result.replaced,
    )  # fmt: skip
