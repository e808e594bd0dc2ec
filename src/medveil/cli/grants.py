"""`medveil grants`: who may open what."""

from __future__ import annotations

from medveil.cli.options import Founder, Json, Key, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import grant_lines, grant_record


def grants(
    release: ReleaseFolder, key: Key = None, founder: Founder = None, json: Json = False, quiet: Quiet = False
) -> None:
    """Show who may open what.

    Only an owner can.
    """
    with session("grants", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import owner_of, recipient_of
        from medveil.releases.deputies import owned_state, read_book

        owner = owner_of(run, key, release)
        state = owned_state(release, owner, founder=recipient_of(founder), extends=False, repair=False)
        notes = read_book(release, state, owner).grants
        run.result(grant_lines(notes), done=len(notes), grants=[grant_record(note) for note in notes])
