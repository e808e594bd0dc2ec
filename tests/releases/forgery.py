"""Records signed by hand: what an owner could write on purpose, and what somebody else would write in her place."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from medveil.files import canonical
from medveil.keys.identity import Identity


def entry_paths(folder: Path) -> list[Path]:
    """The files of the ledger, the first entry first."""
    return sorted((folder / "ledger").glob("????????.cbor"))


def read_entry(path: Path) -> dict[str, Any]:
    """The fields of a ledger entry."""
    payload, _ = canonical.loads(path.read_bytes(), what="entry")
    return dict(canonical.loads(payload, what="entry"))


def write_entry(path: Path, fields: Any, signer: Identity) -> None:
    """A ledger entry of these fields, signed; whatever they are."""
    payload = canonical.dumps(fields)
    path.write_bytes(canonical.dumps([payload, signer.sign(b"medveil/v1/ledger", payload)]))


def change_entry(folder: Path, signer: Identity, number: int = -1, /, **changes: Any) -> None:
    """Change fields of one ledger entry and sign it again."""
    path = entry_paths(folder)[number]
    write_entry(path, read_entry(path) | changes, signer)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The fields of the manifest."""
    return dict(canonical.loads((folder / "manifest.cbor").read_bytes(), what="manifest"))


def write_manifest(folder: Path, record: bytes, signer: Identity) -> None:
    """Make these bytes the manifest: signed, and named by the last entry of the ledger."""
    (folder / "manifest.cbor").write_bytes(record)
    (folder / "manifest.sig").write_bytes(signer.sign(b"medveil/v1/manifest", record))
    change_entry(folder, signer, manifest=hashlib.sha256(record).digest())


def change_manifest(folder: Path, signer: Identity, **changes: Any) -> None:
    """Change fields of the manifest and sign it again, as its owner can."""
    write_manifest(folder, canonical.dumps(read_manifest(folder) | changes), signer)


def usurp(folder: Path, thief: Identity) -> None:
    """Make a release somebody else's: every record of it signed anew, so that all of them fit each other."""
    key, previous = thief.recipient.verify_key, bytes(32)
    record = canonical.dumps(read_manifest(folder) | {"owner": key})
    for number, path in enumerate(entry_paths(folder)):
        fields = read_entry(path) | {"previous": previous}
        write_entry(path, fields | ({"owners": [key]} if number == 0 else {}), thief)
        if path == entry_paths(folder)[-1]:
            write_manifest(folder, record, thief)
        previous = hashlib.sha256(path.read_bytes()).digest()
