"""Where a release stands after a change, and who may open it: in words, and for --json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from medveil.cli.session import Session

if TYPE_CHECKING:
    from medveil.keys.recipients import Recipient
    from medveil.releases.records.owner_records import GrantNote, Standing
    from medveil.releases.records.pins import Replaced

_GRANT_DIGITS = 12


def standing_lines(standing: Standing) -> list[str]:
    """Where a release stands, and who may open it: one line each."""
    if not standing.head:
        return []
    entry = f"entry {standing.entry} of {standing.day}, head {standing.head}"
    return [entry, "may open it from now on:", *(f"  {line}" for line in grant_lines(standing.open_to))]


def standing_record(standing: Standing) -> dict[str, Any]:
    """The same for --json."""
    people = [grant_record(note) for note in standing.open_to]
    known = {"entry": standing.entry, "day": standing.day, "head": standing.head, "open_to": people}
    return known | {"pin_note": standing.pin_note}


def tell_pin(run: Session, note: str) -> None:
    """Say what this machine could not remember of a release."""
    if note:
        run.warn(f"warning: {note}")


def tell_replaced(run: Session, replaced: Replaced, since: str) -> None:
    """Say that another release lies at this path than at an earlier look: loudly, where it is another founder's."""
    if not replaced:
        return
    from medveil.releases.records.pins import Replaced

    by_another = replaced is Replaced.SIGNER
    what = "ANOTHER SIGNER'S RELEASE" if by_another else "another release of the same signer"
    run.warn(
        f"{'WARNING' if by_another else 'warning'}: {what} lies here than at the first look on {since}; it may have "
        "been put in the place of the one that you mean. Ask its owner; if it is meant, name her .pub with --owner, or "
        "drop what this machine remembers of this path: medveil forget RELEASE"
    )


def called(recipient: Recipient) -> str:
    """Fingerprint of a key, with the name that it has here, if it has one."""
    return f"{recipient.name} ({recipient.fingerprint})" if recipient.name else recipient.fingerprint


def grant_lines(notes: Sequence[GrantNote]) -> list[str]:
    """Who, what and since when: one line a grant."""
    width = max((len(note.recipient.name) for note in notes), default=0)
    return [_grant_line(note, width) for note in notes]


def _grant_line(note: GrantNote, width: int) -> str:
    grant = note.grant_id.hex()[:_GRANT_DIGITS]
    parts = [f"{note.recipient.name or '-':{width}}"] if width else []
    parts += [note.recipient.fingerprint, grant, f"{note.recipient.wrap.value:15}", f"{note.tier.value:11}"]
    parts.append("with names   " if note.sees_identity else "without names")
    if note.day:
        parts.insert(-1, f"since {note.day}")
    if note.is_owner:
        parts.append("owner")
    if note.only:
        parts.append(f"{len(note.only)} packages only")
    if note.until:
        parts.append(f"until {note.until}{' (over)' if note.has_ended() else ''}")
    return "  ".join(parts)


def grant_record(note: GrantNote) -> dict[str, object]:
    return {
        "name": note.recipient.name, "day": note.day,
        "fingerprint": note.recipient.fingerprint, "wrap": note.recipient.wrap.value, "tier": note.tier.value,
        "identity": note.sees_identity, "owner": note.is_owner, "packages": [package.hex() for package in note.only],
        "until": note.until, "grant": note.grant_id.hex(),
    }  # fmt: skip
