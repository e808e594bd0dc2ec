"""`medveil ledger`: what was done to a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medveil.cli.options import Json, Owner, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import called, grant_lines, grant_record, tell_replaced

if TYPE_CHECKING:
    from medveil.keys.identity import Identity
    from medveil.keys.recipients import Recipient
    from medveil.releases.records.ledger import LedgerEntry
    from medveil.releases.records.owner_records import GrantNote


def ledger(
    release: ReleaseFolder,
    key: Annotated[
        Path | None, typer.Option("-i", "--key", metavar="KEY", help="An owner's key file: say for whom grants are.")
    ] = None,
    owner: Owner = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the signed record of what was done to a release.

    Its head stands for the whole of it: who has it can check a copy with medveil verify --head.
    """
    with session("ledger", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import identity_of, recipient_of
        from medveil.keys.recipients import Recipient
        from medveil.releases.release import Release

        opened = Release(release, owner=recipient_of(owner))
        tell_replaced(run, opened.signer.replaced, opened.signer.replaced_since)
        notes = None if key is None else _notes_of(release, identity_of(run, key), recipient_of(owner))
        chain = opened.ledger
        owners = [Recipient("", key).fingerprint for key in chain.owners]
        rows = [
            {
                "number": entry.number, "day": entry.day, "action": entry.action.value, "packages": entry.packages,
                "granted": len(entry.granted), "withdrawn": len(entry.withdrawn), "epoch": entry.epoch,
                "signer": Recipient("", signer).fingerprint, "sha256": digest.hex(),
            } | ({} if notes is None else _people_record(entry, notes))
            for entry, digest, signer in zip(chain.entries, chain.digests, chain.signers, strict=True)
        ]  # fmt: skip
        lines = []
        for entry, row in zip(chain.entries, rows, strict=True):
            lines.append(
                f"{row['number']:4}  {row['day']}  {row['action']:7} packages {row['packages']}, epoch {row['epoch']}, "
                f"grants +{row['granted']} -{row['withdrawn']}  by {row['signer']}  {row['sha256']}"
            )
            lines += [] if notes is None else _people_lines(entry, notes)
        lines.append(f"founded by key {owners[0]}  ({opened.signer.words})")
        lines += [f"deputy {deputy}" for deputy in owners[1:]]
        head = chain.digests[-1].hex()
        run.result(
            [*lines, f"head {head}"], done=len(rows), entries=rows, owners=owners, head=head,
            signer_known=opened.signer_known, signer=opened.signer.words, replaced=opened.signer.replaced,
        )  # fmt: skip


def _notes_of(release: Path, owner: Identity, founder: Recipient | None) -> dict[bytes, GrantNote]:
    """Every grant that was ever made, by its id."""
    from medveil.releases.deputies import owned_state, read_book

    state = owned_state(release, owner, founder=founder, extends=False, repair=False)
    book = read_book(release, state, owner)
    return {note.grant_id: note for note in (*book.grants, *book.ended)}


def _people(entry: LedgerEntry, notes: dict[bytes, GrantNote]) -> tuple[list[GrantNote], list[GrantNote]]:
    """Grants that an entry made, owners' first, and those that it took out of people who got none in their place."""
    made = [notes[file.grant_id] for file in entry.granted]
    still = {note.recipient.text for note in made}
    gone = [note for note in (notes[grant_id] for grant_id in entry.withdrawn) if note.recipient.text not in still]
    return sorted(made, key=_order), sorted(gone, key=_order)


def _order(note: GrantNote) -> tuple[bool, str, str]:
    return not note.is_owner, note.recipient.name, note.recipient.fingerprint


def _people_lines(entry: LedgerEntry, notes: dict[bytes, GrantNote]) -> list[str]:
    made, gone = _people(entry, notes)
    return [*(f"      to  {line}" for line in grant_lines(made)), *(f"      out  {called(g.recipient)}" for g in gone)]


def _people_record(entry: LedgerEntry, notes: dict[bytes, GrantNote]) -> dict[str, Any]:
    made, gone = _people(entry, notes)
    return {"to": [grant_record(note) for note in made], "out": [grant_record(note) for note in gone]}
