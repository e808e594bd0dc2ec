"""`medveil verify`: check a release without any key."""

from __future__ import annotations

from medveil.cli.options import Head, Json, Owner, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import tell_pin, tell_replaced


def verify(
    release: ReleaseFolder, owner: Owner = None, head: Head = "", json: Json = False, quiet: Quiet = False
) -> None:
    """Check every byte of a release, without a key."""
    with session("verify", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import recipient_of
        from medveil.cli.text import plural
        from medveil.releases.verifying import verify as verify_release

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
