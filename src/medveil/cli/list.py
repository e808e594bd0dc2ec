"""`medveil list`: which package is which of your files."""

from __future__ import annotations

from medveil.cli.options import Json, Key, Owner, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import tell_replaced


def list_(
    release: ReleaseFolder, key: Key = None, owner: Owner = None, json: Json = False, quiet: Quiet = False
) -> None:  # fmt: skip
    """Show which package holds which original.

    Only a key that may see file names can.
    """
    with session("list", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import opener_of, recipient_of
        from medveil.releases.listing import list_originals
        from medveil.releases.release import Release

        opener, founder = opener_of(run, key), recipient_of(owner)
        signer = Release(release, owner=founder).signer
        tell_replaced(run, signer.replaced, signer.replaced_since)
        pairs = list(list_originals(release, opener, owner=founder))
        run.result(
            [f"{pair.package}  {pair.path}" for pair in pairs],
            done=len(pairs),
            packages=[
                {"package": pair.package, "original": pair.path, "bytes": pair.bytes, "renamed": pair.renamed}
                for pair in pairs
            ],
        )
