"""verify: what anybody can check without a key. It raises on the first thing that is wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from medveil.errors import IntegrityError
from medveil.files.walk import is_junk
from medveil.keys.recipients import Recipient
from medveil.keys.signatures import signature_fits
from medveil.releases.packages.package import load_package
from medveil.releases.records import open_record
from medveil.releases.records import state as states
from medveil.releases.records.ledger import NEXT, Ledger
from medveil.releases.records.manifest import CONTEXT, RECORD, SIGNATURE
from medveil.releases.records.open_record import OpenRecord
from medveil.releases.records.pins import Replaced, Signer, check_and_pin, check_place, note_of, place_note
from medveil.releases.records.released import made_here
from medveil.releases.records.state import State
from medveil.releases.writing.commit import size_of

_OWN_FOLDER = re.compile(r"packages(/[0-9a-f]{2})?|grants|ledger|weights")


@dataclass(frozen=True)
class VerifyResult:
    """What was found sound.

    Attributes:
        packages: number of packages, all of which fit the manifest.
        bytes: length of the whole release on disk.
        owner: fingerprint of the Ed25519 key that signed.
        signer_known: whether somebody vouches for that key; see `pins.Signer`.
        sequence: number of the ledger's last entry.
        head: its sha256 in hexadecimal digits.
        leftovers: files of a killed run of the owner, which count for nothing until she goes on.
        junk: files that Finder or Explorer left in the folder, which count for nothing.
        words: the verdict as it is to be printed: verified, same signer as on a day, or signer unknown.
        pin_note: what is to be said where this machine can't remember the release; see `pins.note_of`.
        replaced, replaced_since: whether another release lay at this path before; see `pins.Signer`.
    """

    packages: int
    bytes: int
    owner: str
    signer_known: bool
    sequence: int
    head: str
    leftovers: int
    words: str
    junk: int = 0
    pin_note: str = ""
    replaced: Replaced = Replaced.NO
    replaced_since: str = ""


def verify(folder: Path, *, owner: Recipient | None = None, head: str = "") -> VerifyResult:
    """Check every byte of a release against its signed ledger and manifest.

    An owner may switch to the next state meanwhile; then that one is checked.

    Args:
        folder: the release.
        owner: the owner that is expected, or None.
        head: sha256 of a ledger entry that the release must contain, in hexadecimal digits, or empty.

    Raises:
        IntegrityError: a file is changed, missing, added or foreign, another owner signed, or the state is older than
            one seen before; the message names which.
        FormatVersionError: written by a newer medveil.
        UsageError: not a release.
    """
    state, signer = load_checked(folder, owner, head=head)
    try:
        return _verify(folder, state, signer, owner, head)
    except IntegrityError:
        later, signer = load_checked(folder, owner, head=head)
        if later.ledger.digests == state.ledger.digests:
            raise
        return _verify(folder, later, signer, owner, head)


@dataclass(frozen=True)
class OpenResult:
    """What was found sound of an open release.

    Attributes:
        pictures: how many there are, all of which fit the record.
        bytes: length of the whole release.
        method, settings: how they were made, as the record says.
        owner: fingerprint of the key that signed.
        signer_known: whether somebody vouches for that key's owner; see `pins.Signer`.
        words: the verdict as it is to be printed.
        pin_note, replaced, replaced_since: as of `VerifyResult`.
    """

    pictures: int
    bytes: int
    method: str
    settings: Mapping[str, Any]
    owner: str
    signer_known: bool
    words: str
    pin_note: str = ""
    replaced: Replaced = Replaced.NO
    replaced_since: str = ""


def verify_open(folder: Path, owner: Recipient | None = None) -> OpenResult:
    """Check every byte of an open release against its signed record.

    Its owner is vouched for where she is named, or was at this path before, and on the machine that made the release.

    Raises:
        IntegrityError: a file is changed, missing or added, another owner signed, or the release that lay at this path
            before was of another owner, for whom somebody vouched.
        FormatVersionError: written by a newer medveil.
        UsageError: not an open release.
    """
    record = open_record.load(folder, owner)
    size = open_record.check_files(folder, record)
    signer = check_open_signer(record, folder, owner, pin=True)  # only now that all of it is sound
    return OpenResult(
        len(record.pictures), size, record.method, record.settings, record.fingerprint, signer.vouched, signer.words,
        place_note(folder), signer.replaced, signer.replaced_since,
    )  # fmt: skip


def check_open_signer(record: OpenRecord, folder: Path, owner: Recipient | None, *, pin: bool) -> Signer:
    """How far this machine knows who signed an open release, whose record fits `owner`; see `pins.check_place`."""
    made = made_here(record.owner, record.release)
    return check_place(record.release, record.owner, folder, vouched=made, named=owner is not None, pin=pin)


def load_checked(folder: Path, owner: Recipient | None, *, head: str = "") -> tuple[State, Signer]:
    """The state of a release, and who signed it. Both are looked at again before an older state is complained of.

    A command on this machine may have made the next state, and pinned it, between the two looks.
    """
    try:
        state = states.load(folder)
        return state, check_signer(state.ledger, folder, owner, head=head, pin=False)
    except IntegrityError:
        state = states.load(folder)
        return state, check_signer(state.ledger, folder, owner, head=head, pin=False)


def _verify(folder: Path, state: State, signer: Signer, owner: Recipient | None, head: str) -> VerifyResult:
    for entry in state.manifest.packages:
        load_package(folder, entry, state.manifest)
    for name, (digest, what) in state.files().items():
        _check_digest(folder / name, digest, what)
    leftovers, junk = _check_nothing_added(folder, state)
    _check_records(folder, state)
    check_signer(state.ledger, folder, owner, head=head, pin=True, again=True)  # only now that all of it is sound
    return VerifyResult(
        packages=len(state.manifest.packages),
        bytes=size_of(folder),
        owner=state.manifest.owner_fingerprint,
        signer_known=signer.vouched,
        sequence=state.ledger.head.number,
        head=state.ledger.digests[-1].hex(),
        leftovers=leftovers,
        words=signer.words,
        junk=junk,
        pin_note=note_of(state.ledger, folder),
        replaced=signer.replaced,
        replaced_since=signer.replaced_since,
    )


def check_signer(
    ledger: Ledger, folder: Path, owner: Recipient | None, *, head: str = "", pin: bool, again: bool = False
) -> Signer:  # fmt: skip
    """Compare the release's founder with the named or the pinned one; see `pins.check_and_pin`."""
    if owner is not None and not owner.verify_key:
        raise IntegrityError(
            "the named owner's public key file holds no verify key",
            hint="use the .pub file that medveil keygen wrote",
        )
    owner_key = owner.verify_key if owner else b""
    return check_and_pin(ledger, folder, owner_key=owner_key, head=head, pin=pin, again=again)


def _check_digest(path: Path, digest: bytes, what: str) -> None:
    try:
        if not path.is_file():
            raise IntegrityError(f"a {what} that the release names is missing or no file")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise IntegrityError(f"a {what} cannot be read: {error.strerror or type(error).__name__}") from None
    if found != digest:
        raise IntegrityError(f"a {what} was changed: its digest is not the signed one")


def _check_nothing_added(folder: Path, state: State) -> tuple[int, int]:
    """Number of leftovers, and of files that Finder or Explorer left.

    Raises:
        IntegrityError: for anything else that the release does not name, a folder that holds none of it included; those
            that releases have may be empty.
    """
    named = {RECORD, SIGNATURE, *(entry.path for entry in state.manifest.packages), *state.files()}
    named |= {entry.path for entry in state.ledger.entries}
    leftovers, found, junk = state.leftovers(), 0, 0
    folders = {parent.as_posix() for name in (*named, *leftovers) for parent in PurePosixPath(name).parents}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        known = name in folders or _OWN_FOLDER.fullmatch(name) if path.is_dir() else name in named
        if known and not path.is_symlink():
            continue
        if name not in leftovers and is_junk(path):
            junk += 1
            continue
        if path.is_symlink() or name not in leftovers:
            raise IntegrityError(
                "a file or folder was added to the release that its owner did not name",
                hint="take everything out of the release folder that share did not write",
            )
        digest = leftovers[name]
        if digest is not None:
            _check_digest(path, digest, "file of an interrupted change")
        found += 1
    return found, junk


def _check_records(folder: Path, state: State) -> None:
    """Raises IntegrityError for a manifest beside the current one that no entry names, or a signature that fits none.

    Both pairs of files may be there, since a change may have been cut short between any two of its steps.
    """
    records = [path.read_bytes() for name in (RECORD, f"{RECORD}{NEXT}") if (path := folder / name).is_file()]
    pending = [state.ledger.pending] if state.ledger.pending else []
    named = {entry.manifest for entry in (*state.ledger.entries[-2:], *pending)}
    if any(hashlib.sha256(record).digest() not in named for record in records):
        raise IntegrityError("a manifest was added to the release that its owner did not name")
    for path in (folder / SIGNATURE, folder / f"{SIGNATURE}{NEXT}"):
        data = path.read_bytes() if path.is_file() else None
        if data is not None and not any(
            signature_fits(key, data, CONTEXT, record) for key in state.ledger.owners for record in records
        ):
            raise IntegrityError("a signature in the release fits none of its manifests")
