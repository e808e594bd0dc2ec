"""Pins: what this machine has seen of a release before, so that another owner or an older state is noticed.

Two files a release, and one a path at which one lay, in the user's state folder:

    pins/<id>.cbor          [founder, number of the last entry, its sha256]: the newest state that was seen
    pins/<id>.signer.cbor   [founder, day of the first look, whether she is vouched for]
    paths/<hmac>.cbor       [release id, founder, day of the first look, whether she is vouched for]
    paths/key               32 bytes: the name above is HMAC-SHA256(key, path), so that no path can be read there

A founder is *vouched for* once somebody named her by `--owner` or `--head`, or when she founded the release on this
machine; who was only looked at is *seen*. The first file is what former versions write, and all that they read: they
pass over the others, and one of theirs alone counts as seen, on the day of its last change.

A path keeps the release that was pinned there first, until somebody names the founder of another one or a head of it,
or `forget` drops it. A folder that is moved takes its pin along, since that goes by the release's id.

A first file that is there and can't be read is a damaged pin. It counts as none where somebody looks, and keeps whoever
would extend the release from doing so; nothing but `forget` takes it away.
"""

from __future__ import annotations

import datetime
import hmac
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import ModuleType

from medveil.errors import IntegrityError, MedveilError, RefusedError, TargetExistsError, UsageError
from medveil.files import canonical
from medveil.files.atomic import flush_folders, make_folder, remove_all, write_bytes
from medveil.releases.records.ledger import Ledger

_HEX_DIGITS = 64
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEY_BYTES = 32
_PATH_LABEL = b"medveil/v1/path\0"
_PROBE_BYTES = 8192  # two blocks of a file system, as the two records take
_DAMAGED = "what this machine remembers of the release cannot be read"
_NOTES = {
    "damaged": f"{_DAMAGED}, and was left as it is: an older state or another signer is not noticed; medveil forget "
    "drops it",
    "none": "this machine cannot remember the release, since its state folder cannot be written: an older state, shown "
    "later, will not be noticed; keep the head, and name it with --head",
    "older": "this machine could not remember the new state of the release, and takes an older one for the newest: see "
    "to space and permissions of its state folder, and run medveil verify before any other command",
    "path": "this machine could not remember which release lies at this path: another one in its place will not be "
    "noticed; see to space and permissions of its state folder",
}


class Replaced(StrEnum):
    """What lies at a path at which another release was seen before."""

    NO = ""
    RELEASE = "release"
    """Another release of the same founder."""
    SIGNER = "signer"
    """A release of another founder."""


@dataclass(frozen=True)
class Signer:
    """How far this machine knows who founded a release.

    Attributes:
        vouched: somebody vouches for her: the caller, who named her or a head, or the pin.
        since: day of the first look at a release of hers under this id, or at this path; empty where this is the first.
        replaced: whether another release lay at this path at an earlier look. Of another founder, it was one for whom
            nobody vouched.
        replaced_since: day of the first look at that one, or empty.
    """

    vouched: bool = False
    since: str = ""
    replaced: Replaced = Replaced.NO
    replaced_since: str = ""

    @property
    def words(self) -> str:
        """One of the three verdicts, as it is to be printed."""
        if self.vouched:
            return "verified"
        return f"same signer as on {self.since}" if self.since else "signer unknown"


@dataclass(frozen=True)
class _Pin:
    """What is remembered of a release: its founder, and number and sha256 of the newest entry seen."""

    founder: bytes
    number: int
    digest: bytes
    signer: Signer


@dataclass(frozen=True)
class _Place:
    """What is remembered of a path: the release there, its founder, the first look, whether she is vouched for."""

    release: bytes
    founder: bytes
    since: str
    vouched: bool


def check_and_pin(
    ledger: Ledger, folder: Path, *, owner_key: bytes = b"", head: str = "", pin: bool = True, again: bool = False
) -> Signer:  # fmt: skip
    """Compare a ledger with what was pinned for its release id and its path, then pin it unless it is a mere look.

    An owner key or a head that the caller names outranks a pin of another owner.

    Args:
        ledger: a chain whose signatures fit the owners that it names.
        folder: where the release lies, or will.
        owner_key: the Ed25519 key that the caller expects, or empty.
        head: sha256 of a ledger entry in hexadecimal digits, or empty: the release must be that state or a later one.
        pin: remember what was seen; off for a mere look. A damaged pin stays, and `note_of` tells what was not kept.
        again: this ledger was checked before some work began. A pin that is ahead of it is then of a command that ended
            meanwhile on this machine, and stays.

    Returns:
        Who signed, as far as this machine knows.

    Raises:
        IntegrityError: another owner than expected, or than the one vouched for whose release lay at this path; an
            older state than seen before, or one that forked off it.
        UsageError: `head` is no such digest.
    """
    founder = ledger.owners[0]
    if owner_key and owner_key != founder:  # a deputy's key would not do: a founder names her without asking her
        raise IntegrityError(
            "the release is signed by another owner than the one named",
            hint="compare fingerprints with the owner before you use it",
        )
    _check_head(ledger, head)
    known, named = _read(ledger.head.release), bool(owner_key or head)
    if known is not None and named and known.founder != founder:
        known = None
    ahead = again and known is not None and known.founder == founder and known.number > ledger.head.number
    if known is not None and not ahead:
        _compare(ledger, known)
    vouched, since = named or bool(known and known.signer.vouched), known.signer.since if known else ""
    signer = _signer_at(ledger.head.release, founder, folder, Signer(vouched, since), named=named)
    if pin and not _is_damaged(ledger.head.release):
        remembered = Signer(signer.vouched, signer.since or _today())
        if not ahead:
            _write(ledger.head.release, _Pin(founder, ledger.head.number, ledger.digests[-1], remembered))
        _write_places(ledger.head.release, founder, folder, remembered, named=named)
    return signer


def check_place(
    release: bytes, founder: bytes, folder: Path, *, vouched: bool, named: bool, pin: bool = True
) -> Signer:  # fmt: skip
    """As `check_and_pin`, of an open release: it has no ledger, so what is known of it goes by its path alone.

    Args:
        release, founder: its id, and the Ed25519 key that signed it.
        folder: where it lies.
        vouched: this machine made it.
        named: the caller named its owner, or has just made it here.
        pin: remember what was seen.

    Raises:
        IntegrityError: the release that lay at this path was of another founder, for whom somebody vouched.
    """
    same = [place for place in _places(folder) if (place.release, place.founder) == (release, founder)]
    vouched = vouched or named or any(place.vouched for place in same)
    seen = Signer(vouched, min((place.since for place in same), default=""))
    signer = _signer_at(release, founder, folder, seen, named=named)
    if pin:
        remembered = Signer(signer.vouched, signer.since or _today())
        _write_places(release, founder, folder, remembered, named=named)
    return signer


def is_known_state(ledger: Ledger, folder: Path) -> bool:
    """Whether an owner may take this release for the newest one here without being asked.

    That is where its pin vouches for its founder, and no other release is known at this path.
    """
    known = _read(ledger.head.release)
    if known is None or known.founder != ledger.owners[0] or not known.signer.vouched:
        return False
    return all(place.release == ledger.head.release for place in _places(folder))


def is_pinned_state(ledger: Ledger) -> bool:
    """Whether the very state of this ledger is the newest that this machine has seen."""
    known = _read(ledger.head.release)
    return known is not None and (known.founder, known.digest) == (ledger.owners[0], ledger.digests[-1])


def was_published(release: bytes, founder: bytes) -> bool:
    """Whether this machine has pinned a release of that id as one of this founder, or may have: the pin is damaged."""
    known = _read(release)
    return os.path.lexists(_state_path(release)) if known is None else known.founder == founder


def note_of(ledger: Ledger, folder: Path) -> str:
    """What is to be said where this machine does not remember this state of a release, or a later one; else empty."""
    known = _read(ledger.head.release)
    if known is None:
        return _NOTES["damaged" if _is_damaged(ledger.head.release) else "none"]
    if known.number < ledger.head.number:
        return _NOTES["older"]
    return place_note(folder)


def place_note(folder: Path) -> str:
    """What is to be said where this machine does not remember which release lies at a path; else empty."""
    return "" if len(_places(folder)) == len(_names_of(folder)) else _NOTES["path"]


def check_can_follow(release: bytes) -> None:
    """Raise MedveilError where a pin is there that could not be replaced by one of the next state.

    It would stay behind, and the state before for the newest. A file that takes as much space is written beside it,
    and removed. Without a pin there is none that could stay behind: who extends a release then has said why she may.
    """
    if _read(release) is None and not _is_damaged(release):
        return
    probe = _state_path(release).with_suffix(".probe.tmp")
    try:
        write_bytes(probe, bytes(_PROBE_BYTES), mode=0o600, overwrite=True)
        probe.unlink(missing_ok=True)
    except (OSError, MedveilError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise MedveilError(
            f"this machine could not remember the next state of the release ({reason}), and would take the one before "
            "for the newest; nothing was changed",
            hint="see to space and permissions of the state folder (XDG_STATE_HOME), and run the same command again",
        ) from None


def check_extension(ledger: Ledger, folder: Path, *, head: str = "", first_look: bool = False) -> None:
    """Raise RefusedError where an owner is about to build on a state that nothing says is the newest.

    Whoever holds the storage can show an older one, in which somebody who was revoked since still has a grant, or
    another release of hers. A pin that more than a look has made, or a head that the caller names, ends that for all
    states before it; with `first_look` the caller accepts this one. A damaged pin may have been of a later state; it
    has to be dropped first.
    """
    where = f"entry {ledger.head.number} of its ledger ({ledger.head.day})"
    if _is_damaged(ledger.head.release):
        raise RefusedError(
            f"{_DAMAGED}: it can't tell whether {where} is the newest",
            hint="drop it with medveil forget, or see to the permissions of the state folder (XDG_STATE_HOME); "
            "then name the head that the last change printed, with --head",
        )
    if head or first_look or is_known_state(ledger, folder):
        return
    known = _read(ledger.head.release)
    if known is not None and known.signer.vouched:
        raise RefusedError(
            "another release lies there than the one that this machine knows at this path: who may open that one, may "
            "open what is added",
            hint="if it is the one that you mean, name the head that its last change printed, with --head; or look at "
            "medveil grants, and say --first-look",
        )
    seen = "has only looked at the release" if known else "has not seen the release before"
    raise RefusedError(
        f"this machine {seen}, and can't tell whether {where} is the newest: in an older state, who was revoked since "
        "can open what is added",
        hint="name the head that the last change printed, with --head; or look at medveil grants, and say --first-look",
    )


def forget(release: bytes = b"", folder: Path | None = None) -> bool:
    """Drop what is remembered of a release, of the paths at which it was seen, and of a path. Returns whether any was.

    Args:
        release: its id, or empty.
        folder: the path, or None.

    Raises:
        MedveilError: it cannot be removed.
    """
    paths = [_state_path(release), _signer_path(release)] if release else []
    with suppress(OSError):
        seen = sorted(_paths_folder().glob("*.cbor")) if release else []
        paths += [path for path in seen if (place := _read_place(path)) is not None and place.release == release]
    paths += [path for path in (_place_paths(folder) if folder is not None else ()) if path not in paths]
    paths = [path for path in paths if os.path.lexists(path)]
    try:
        remove_all(paths)
    except OSError as error:
        raise MedveilError(
            f"what is remembered cannot be removed: {error.strerror or type(error).__name__}",
            hint="see to the permissions of the state folder (XDG_STATE_HOME)",
        ) from None
    return bool(paths)


def _check_head(ledger: Ledger, head: str) -> None:
    if not head:
        return
    try:
        digest = bytes.fromhex(head)
    except ValueError:
        digest = b""
    if len(head) != _HEX_DIGITS or len(digest) != _HEX_DIGITS // 2:
        raise UsageError("--head takes the 64 hexadecimal digits that medveil ledger prints as the head")
    if digest not in ledger.digests:
        raise IntegrityError(
            "the named head is not in the ledger: the release is of an older state, or of another history",
            hint="get the current release from its owner",
        )


def _compare(ledger: Ledger, known: _Pin) -> None:
    if known.founder != ledger.owners[0]:
        raise IntegrityError(
            "the release is signed by another owner than at the first look",
            hint="it may be another release that is passed off as yours; ask the owner, and name her with --owner",
        )
    number = known.number
    if ledger.head.number < number:
        raise IntegrityError(
            f"the release is an older state (entry {ledger.head.number} of its ledger) than one seen before: a copy of "
            f"this release went further, to entry {number}",
            hint="go on with that copy, or get the current release from its owner; only if this one is to be kept "
            "instead, drop what this machine remembers: medveil forget RELEASE",
        )
    if ledger.digests[number] != known.digest:
        raise IntegrityError(
            f"the ledger has another entry {number} than at an earlier look: its owner signed two histories",
            hint="ask the owner which of them is true; if you are she, and two copies were changed, keep one of them "
            "and drop what this machine remembers: medveil forget RELEASE",
        )


def _signer_at(release: bytes, founder: bytes, folder: Path, signer: Signer, *, named: bool) -> Signer:
    """The signer, with what this machine knows of the path. Raises IntegrityError as `check_and_pin` says."""
    for place in () if named else _places(folder):
        if place.founder != founder and place.vouched:
            raise IntegrityError(
                f"another signer's release lies here than the one seen first on {place.since}, whose signer somebody "
                "vouched for",
                hint="it may have been put in the place of yours: ask its owner. If you put it there yourself, name "
                "her .pub with --owner, or drop what is remembered of this path: medveil forget RELEASE",
            )
        if place.founder != founder:
            signer = replace(signer, replaced=Replaced.SIGNER, replaced_since=place.since)
        elif place.release != release:
            signer = replace(signer, since=signer.since or place.since)
            if not signer.replaced:
                signer = replace(signer, replaced=Replaced.RELEASE, replaced_since=place.since)
    return signer


def _write_places(release: bytes, founder: bytes, folder: Path, signer: Signer, *, named: bool) -> None:
    """Remember which release lies at a path; one that is known there stays, unless the caller named this one."""
    with suppress(OSError, MedveilError):
        make_folder(_paths_folder(), mode=0o700)
        for path in _place_paths(folder, make_key=True):
            known = _read_place(path)
            if known is not None and known.release != release and not named:
                continue
            if known is None and os.path.lexists(path) and not named:
                continue  # damaged; `note_of` says so
            same = known is not None and (known.release, known.founder) == (release, founder)
            since = known.since if known is not None and same else _today()
            vouched = signer.vouched or (known is not None and same and known.vouched)
            if known != (place := _Place(release, founder, since, vouched)):
                record = canonical.dumps([place.release, place.founder, place.since, place.vouched])
                write_bytes(path, record, mode=0o600, overwrite=True)


def _places(folder: Path) -> list[_Place]:
    """What is remembered of a path, one for each of its names; none where there is nothing."""
    found = [_read_place(path) for path in _place_paths(folder)]
    return [place for place in found if place is not None]


def _read_place(path: Path) -> _Place | None:
    try:
        release, founder, since, vouched = _record(path)
    except (OSError, IntegrityError, ValueError, TypeError):
        return None
    if not (isinstance(release, bytes) and isinstance(founder, bytes) and isinstance(since, str)):
        return None
    return _Place(release, founder, since, vouched) if _DAY.fullmatch(since) and type(vouched) is bool else None


def _names_of(folder: Path, rules: ModuleType = os.path) -> tuple[str, ...]:
    """The absolute names of a folder: as it was given, and without links; one where they are the same.

    A link that was turned elsewhere is noticed by the first; by the second, a folder is known by whatever link.
    """
    names = (rules.normcase(absolute(folder)) for absolute in (rules.abspath, rules.realpath))
    return tuple(dict.fromkeys(names))


def _place_paths(folder: Path, *, make_key: bool = False) -> list[Path]:
    """The files that tell of a path; none where there is no key for their names."""
    key = _path_key(make=make_key)
    if not key:
        return []
    names = (hmac.digest(key, _PATH_LABEL + os.fsencode(name), "sha256") for name in _names_of(folder))
    return [_paths_folder() / f"{name.hex()}.cbor" for name in names]


def _path_key(*, make: bool) -> bytes:
    """The key that hides paths, or nothing. Raises OSError and MedveilError where it is to be made and cannot."""
    path = _paths_folder() / "key"
    if make and not os.path.lexists(path):
        with suppress(TargetExistsError):  # another command made it just now
            write_bytes(path, secrets.token_bytes(_KEY_BYTES), mode=0o600)
    try:
        _check_own(path)
        key = path.read_bytes()
    except OSError:
        return b""
    return key if len(key) == _KEY_BYTES else b""


def _paths_folder() -> Path:
    return _state_folder() / "paths"


def _state_folder() -> Path:
    from platformdirs import user_state_path

    return user_state_path("medveil", appauthor=False)


def _state_path(release: bytes) -> Path:
    return _state_folder() / "pins" / f"{release.hex()}.cbor"


def _signer_path(release: bytes) -> Path:
    return _state_path(release).with_suffix(".signer.cbor")


def _read(release: bytes) -> _Pin | None:
    """The pin of a release id; None where there is none, or it is damaged or another user's."""
    try:
        founder, number, digest = _record(_state_path(release))
        day = datetime.datetime.fromtimestamp(_state_path(release).stat().st_mtime, datetime.UTC).date().isoformat()
    except (OSError, IntegrityError, ValueError, TypeError):
        return None
    if not (isinstance(founder, bytes) and type(number) is int and number >= 0 and isinstance(digest, bytes)):
        return None
    signer = Signer(vouched=False, since=day)
    with suppress(OSError, IntegrityError, ValueError, TypeError):
        named, since, vouched = _record(_signer_path(release))
        if named == founder and isinstance(since, str) and _DAY.fullmatch(since) and type(vouched) is bool:
            signer = Signer(vouched, since)
    return _Pin(founder, number, digest, signer)


def _is_damaged(release: bytes) -> bool:
    """Whether there is a pin, or may be one, and nothing can be read from it."""
    try:
        _state_path(release).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return _read(release) is None


def _record(path: Path) -> list[object]:
    """The record in one of the two files. Raises OSError for one that is not this user's."""
    _check_own(path)
    record = canonical.loads(path.read_bytes(), what="pin")
    if type(record) is not list:
        raise TypeError("record")
    return record


def _check_own(path: Path) -> None:
    """Raise OSError for a file that is not there, or not this user's."""
    if os.name == "posix" and path.stat().st_uid != os.getuid():
        raise PermissionError("another user's")


def _write(release: bytes, pin: _Pin) -> None:
    """Without a writable state folder nothing is remembered; see `note_of` and `check_can_follow`."""
    state = canonical.dumps([pin.founder, pin.number, pin.digest])
    signer = canonical.dumps([pin.founder, pin.signer.since, pin.signer.vouched])
    with suppress(OSError, MedveilError):
        make_folder(_state_path(release).parent, mode=0o700)
        written = False
        for path, record in ((_signer_path(release), signer), (_state_path(release), state)):
            if not path.is_file() or path.read_bytes() != record:
                write_bytes(path, record, mode=0o600, overwrite=True)
                written = True
        if written:  # a run that was killed may have made these folders, and not have flushed their names
            flush_folders(list(_state_path(release).parents)[1:4])


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()
