"""State: ledger and manifest of a release folder together, and the crash-safe switch from one state to the next.

The next state is announced first: `ledger/<n>.cbor.next`, then `manifest.cbor.next` and `manifest.sig.next` where the
manifest changes, then whatever files they name. Renaming the ledger's entry to its own name is the switch. Afterwards
the files that nothing names any more are removed, and the manifest's pair gets its own names. A reader takes the
record whose digest the ledger's last entry names, wherever it stands, so at every moment the release is the old or
the new one. An entry never takes the place of another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from medveil.errors import FormatVersionError, IntegrityError, MedveilError, TargetExistsError, UsageError
from medveil.files.atomic import flush_folders, make_folder, move_all, move_exclusively, remove_all, write_bytes
from medveil.files.reading import read_regular
from medveil.keys.identity import Identity
from medveil.keys.signatures import signature_fits
from medveil.releases.packages.package import PackageEntry
from medveil.releases.records import ledger as ledgers
from medveil.releases.records import manifest as manifests
from medveil.releases.records import open_record
from medveil.releases.records.ledger import NEXT, Ledger, LedgerEntry
from medveil.releases.records.manifest import CONTEXT, MAX_MANIFEST, RECORD, SIGNATURE, Manifest

_MAX_SIGNATURE = 64
MARK = "medveil.staging"  # an empty file: the mark of a staging folder, for a moment also in a release made of it
_PARTS = (RECORD, SIGNATURE, f"{RECORD}{NEXT}", f"{SIGNATURE}{NEXT}", ledgers.FOLDER, "packages", "grants")


@dataclass(frozen=True)
class State:
    """What a release folder is.

    Attributes:
        ledger: the whole chain.
        manifest: the record that the ledger's last entry names.
        former: the record before it, while its files may still be there: the switch was cut short.
        announced: the record of a state that was announced and not switched to.
    """

    ledger: Ledger
    manifest: Manifest
    former: Manifest | None = None
    announced: Manifest | None = None

    @property
    def pending(self) -> tuple[PackageEntry, ...]:
        """Packages of an announced state that the current one does not have."""
        named = {entry.package for entry in self.manifest.packages}
        announced = self.announced.packages if self.announced else ()
        return tuple(entry for entry in announced if entry.package not in named)

    def files(self) -> dict[str, tuple[bytes, str]]:
        """Every file beside packages, manifest and ledger that belongs to the release: path -> (sha256, what it is)."""
        return self.manifest.files() | {grant.path: (grant.sha256, "grant") for grant in self.ledger.grants}

    def leftovers(self) -> dict[str, bytes | None]:
        """Files of a state before or after this one, which a killed run may have left: path -> sha256.

        They count for nothing. None where no record names the digest: of a signature, and of the announced entry,
        which was checked when it was read.
        """
        found: dict[str, bytes | None] = {MARK: _digest(b""), f"{self.ledger.head.path}{NEXT}": self.ledger.digests[-1]}
        for manifest in (self.former, self.announced):
            if manifest is not None:
                found |= {f"{RECORD}{NEXT}": self.ledger.head.manifest, f"{SIGNATURE}{NEXT}": None}
                found |= {name: digest for name, (digest, _) in manifest.files().items()}
                found |= {entry.path: entry.sha256 for entry in manifest.packages}
        head, pending = self.ledger.head, self.ledger.pending
        if self.former is not None:
            withdrawn = set(head.withdrawn)
            every = (grant for entry in self.ledger.entries for grant in entry.granted)
            found |= {grant.path: grant.sha256 for grant in every if grant.grant_id in withdrawn}
        if pending is not None:
            found |= {f"{pending.path}{NEXT}": None, f"{RECORD}{NEXT}": pending.manifest, f"{SIGNATURE}{NEXT}": None}
            found |= {grant.path: grant.sha256 for grant in pending.granted}
        current = {entry.path for entry in self.manifest.packages} | set(self.files())
        return {name: digest for name, digest in found.items() if name not in current}


def load(folder: Path) -> State:
    """Read and check ledger and manifest of a release folder.

    The owner may switch to the next state between the reading of one file and of another; then all is read again.

    Raises:
        UsageError: the folder is not a release.
        IntegrityError: a file of the two is missing, damaged, foreign, or of another state than the other.
        FormatVersionError: written by a newer medveil.
    """
    try:
        return _load(folder)
    except IntegrityError:
        return _load(folder)


def _load(folder: Path) -> State:
    if not any((folder / name).exists() for name in _PARTS):
        if open_record.is_open(folder):
            raise UsageError(
                "this is an open release: its pictures are plain files in images/, for everybody",
                hint="use them as they are; verify and audit take such a folder, other commands don't",
            )
        raise UsageError(
            f"this folder is not a release: it has neither {RECORD} nor {open_record.RECORD}",
            hint="check the folder's name",
        )
    records = [_read(folder / name, MAX_MANIFEST) for name in (RECORD, f"{RECORD}{NEXT}")]
    ledger = ledgers.load(folder)
    manifest = _named(folder, records, ledger)
    former = announced = None
    if records[0] is not None and len(ledger.entries) > 1 and _digest(records[0]) != ledger.head.manifest:
        former = _parsed_if(records[0], ledger.entries[-2].manifest)
    if records[1] is not None and ledger.pending is not None and ledger.pending.manifest != ledger.head.manifest:
        announced = _parsed_if(records[1], ledger.pending.manifest)
    return State(ledger, manifest, former, announced)


def _named(folder: Path, records: list[bytes | None], ledger: Ledger) -> Manifest:
    """The manifest that the ledger's last entry names."""
    head = ledger.head
    record = next((each for each in records if each is not None and _digest(each) == head.manifest), None)
    if record is None:
        raise _wrong_manifest(records[0], ledger)
    signatures = [_read(folder / name, _MAX_SIGNATURE) for name in (SIGNATURE, f"{SIGNATURE}{NEXT}")]
    if not any(s is not None and signature_fits(o, s, CONTEXT, record) for s in signatures for o in ledger.owners):
        raise IntegrityError("the manifest's signature is changed, missing or of another manifest", hint=_AGAIN)
    manifest = manifests.parse(record)
    if (manifest.release, manifest.epoch, manifest.owner) != (head.release, head.epoch, ledger.owners[0]):
        raise IntegrityError("manifest and ledger are of different releases", hint=_AGAIN)
    if manifest.sequence > head.number or len(manifest.packages) != head.packages:
        raise IntegrityError("manifest and ledger do not state the same packages", hint=_AGAIN)
    return manifest


_AGAIN = "get the release again from its owner"


def _wrong_manifest(record: bytes | None, ledger: Ledger) -> MedveilError:
    if record is None:
        return IntegrityError("the manifest is missing from the release", hint=_AGAIN)
    if _digest(record) in {entry.manifest for entry in ledger.entries}:
        return IntegrityError("the manifest is of an older state than the ledger", hint=_AGAIN)
    try:
        manifests.parse(record)
    except FormatVersionError as error:
        return error
    except IntegrityError:
        pass
    return IntegrityError(
        "the manifest was changed, or the last entries of the ledger are missing: they do not fit each other",
        hint=_AGAIN,
    )


def announce(
    folder: Path, staging: Path, entry: LedgerEntry, manifest: Manifest | None, owner: Identity
) -> None:  # fmt: skip
    """Write the next state beside the current one. Files are written in `staging`, of the same file system, first.

    The entry comes first: by it, all else that is of the next state is known for what it is.
    """
    files = {f"{entry.path}{NEXT}": entry.to_bytes(owner)}
    if manifest is not None:
        record = manifest.to_bytes()
        files |= {f"{RECORD}{NEXT}": record, f"{SIGNATURE}{NEXT}": owner.sign(CONTEXT, record)}
    for name, data in files.items():
        make_folder((staging / name).parent)
        write_bytes(staging / name, data, overwrite=True)
        move_all([(staging / name, folder / name)])


def switch(folder: Path, entry: LedgerEntry) -> None:
    """Make the announced state the release's, in one step: the entry gets its name.

    A kill may leave it under both names; then the announcement is a leftover.

    Raises:
        TargetExistsError: there is such an entry: another command changed the release meanwhile.
    """
    try:
        move_exclusively(folder / f"{entry.path}{NEXT}", folder / entry.path)
    except FileExistsError:
        raise TargetExistsError(
            "the release was changed by another command meanwhile; its change stays, and this one was not made",
            hint="run the same command again",
        ) from None


def make_durable(folder: Path) -> None:
    """Flush the renaming that made the state: a run that was killed just then did not, and all else builds on it."""
    flush_folders([folder / ledgers.FOLDER, folder, folder.parent])


def settle(folder: Path, state: State) -> State:
    """Finish a switch that was cut short; the owner does so before she writes anything else.

    Leftovers of the state before are removed and the manifest gets its own name. An announced state is taken back; its
    packages must have been moved away before, or they are removed as well. Every step is durable before the next one:
    what tells which files are leftovers goes last, and so this can be cut short as well.
    """
    leftovers = state.leftovers()
    entries = {name for name in leftovers if name.startswith(f"{ledgers.FOLDER}/")}
    remove_all(folder / name for name in sorted(set(leftovers) - entries - {f"{RECORD}{NEXT}", f"{SIGNATURE}{NEXT}"}))
    switched = _digest(_read(folder / RECORD, MAX_MANIFEST) or b"") != state.ledger.head.manifest
    for name in (SIGNATURE, RECORD):
        announced = folder / f"{name}{NEXT}"
        if not switched:
            remove_all([announced])
        elif announced.exists():
            move_all([(announced, folder / name)])
    remove_all(folder / name for name in sorted(entries))
    return load(folder)


def _parsed_if(record: bytes, digest: bytes) -> Manifest | None:
    if _digest(record) != digest:
        return None
    try:
        return manifests.parse(record)
    except (IntegrityError, FormatVersionError):
        return None


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _read(path: Path, limit: int) -> bytes | None:
    try:
        return read_regular(path, limit=limit, what=f"file {path.name}")
    except FileNotFoundError:
        return None
