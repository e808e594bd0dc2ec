"""Targets: a whole release folder, its ledger and manifests signed again as a hostile owner could, and names."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz import cast
from tests.fuzz.codes import _bytes, _integer
from tests.fuzz.containers import _entry, _following, split
from tests.fuzz.target import Bound, Target

from medveil.errors import IntegrityError, MedveilError
from medveil.files import canonical
from medveil.files.names import FreeNames, safe_relative
from medveil.keys.identity import check_targets
from medveil.keys.tiers import Tier
from medveil.releases.packages.package import PackageEntry
from medveil.releases.records import ledger, state
from medveil.releases.records.ledger import Action, GrantFile, LedgerEntry
from medveil.releases.records.manifest import CONTEXT, RECORD, SIGNATURE, Manifest, parse
from medveil.releases.records.owner_records import GrantNote, Notes, OwnerBook, owners_of

_NEXT = ledger.NEXT
_KEY = cast.key("book")


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that costs no writing to a disk, where there is such a place."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def _manifest(sequence: int, packages: int, epoch: int = 0) -> Manifest:
    entries = [
        PackageEntry(cast.key(f"p{i}")[:16], 1000, cast.key(f"d{i}"), (cast.key("c"),) * 4) for i in range(packages)
    ]
    return Manifest(
        cast.RELEASE, epoch, sequence, cast.OWNER.recipient.verify_key, False, "sealed", cast.PROFILE, tuple(Tier),
        (64, 128), "2026-11-21", packages=tuple(sorted(entries)),
    )  # fmt: skip


def _fields(entry: LedgerEntry) -> dict[str, Any]:
    found: dict[str, Any] = canonical.loads(canonical.loads(entry.to_bytes(cast.OWNER), what="entry")[0], what="entry")
    return found


def _seeds() -> list[bytes]:
    """Folders before, during and after a switch. An entry's manifest is the number of one in the list."""
    notes = Notes({}, {}, (GrantNote(cast.key("g")[:16], cast.READER.recipient, Tier.PREVIEW, False, (), "", True),))
    added = {"owners": (), "granted": (), "notes": notes.seal(_KEY, cast.RELEASE, b"s" * 16), "salt": b"s" * 16}
    first = _fields(_entry(0, bytes(32), action=Action.SHARE, packages=2))
    add = _fields(_entry(1, bytes(32), action=Action.ADD, packages=3, **added))
    ended = {"withdrawn": (cast.key("g")[:16],), "epoch": 1}
    revoke = _fields(_entry(1, bytes(32), action=Action.REVOKE, packages=2, **{**added, **ended}))
    grants = {**added, "granted": (GrantFile(cast.key("n")[:16], ledger.Wrap.X25519, cast.key("n")),)}
    grant = _fields(_entry(1, bytes(32), action=Action.GRANT, packages=2, **grants))
    again = _fields(_entry(1, bytes(32), action=Action.GRANT, packages=2, **{**added, "granted": first_grants()}))
    one, two, three = (_manifest(0, 2).to_bytes(), _manifest(1, 3).to_bytes(), _manifest(1, 2, 1).to_bytes())
    foreign = Manifest(**{**_manifest(0, 2).__dict__, "release": bytes(16)}).to_bytes()
    folders: list[list[Any]] = [
        # entries with the numbers of their manifests; how many are announced only; manifests; which have which name
        [[[first, 0]], 0, [one], [0, None]],
        [[[first, 0], [add, 1]], 0, [one, two], [1, None]],
        [[[first, 0], [add, 1]], 0, [one, two], [0, 1]],  # switched, not settled
        [[[first, 0], [add, 1]], 1, [one, two], [0, 1]],  # announced
        [[[first, 0], [add, 1]], 1, [one, two], [0, 0]],
        [[[first, 0], [grant, 0]], 1, [one], [0, None]],
        [[[first, 0], [grant, 0]], 0, [one], [None, 0]],
        [[[first, 0], [revoke, 1]], 0, [one, three], [0, 1]],
        [[[first, 0], [revoke, 1]], 0, [one, three], [1, 0]],
        [[[first, 0], [again, 0]], 0, [one], [0, None]],
        [[[first, 0], [add, 1]], 0, [one, two], [0, None]],  # an older manifest
        [[[first, 0]], 0, [one], [None, None]],
        [[[first, 0]], 0, [two], [0, None]],
        [[[first, 0]], 0, [foreign], [0, None]],
        [[[first, 0], None, [add, 1]], 0, [one, two], [1, None]],
        [[[first, 0], b"no entry", [add, 1]], 0, [one, two], [1, None]],
        [[[first, 0]], 0, [one, b"no manifest"], [1, None]],
        [[[first, 0]], 0, [one, canonical.dumps({"format": 2})], [1, None]],
        [[[first, 0], [first, 0]], 0, [one], [0, None]],
        [[[{**first, "withdrawn": [cast.key("g")[:16]]}, 0]], 0, [one], [0, None]],
        [[[{**first, "owners": [_bytes(first["owners"][0])] * 2}, 0]], 0, [one], [0, None]],
        [[[{**first, "granted": list(reversed(first["granted"]))}, 0]], 0, [one], [0, None]],
        [[[{**first, "epoch": 1}, 0]], 0, [one], [0, None]],
        [[], 0, [one], [0, None]],
    ]
    return [canonical.dumps(each) for each in folders]


def first_grants() -> tuple[GrantFile, ...]:
    """The grants of the founding entry, once more."""
    return _entry(0, bytes(32), action=Action.SHARE).granted


def _folder(data: bytes, bound: Bound) -> None:
    """The folder as its owner's and as a reader's program load it; then settled, and a next state announced."""
    entries, announced, manifests, names = split(data, 4)
    if not all(isinstance(each, list) for each in (entries, manifests, names)) or len(entries) > 8 or len(names) != 2:
        raise IntegrityError("an input of another form")
    records = [each if isinstance(each, bytes) else canonical.dumps(each) for each in manifests]
    with memory_folder() as name:
        folder, previous = Path(name) / "release", bytes(32)
        (folder / ledger.FOLDER).mkdir(parents=True)
        last = len(entries) - _integer(announced, 0, 1)
        for number, one in enumerate(entries):
            if one is not None:
                content = one if isinstance(one, bytes) else _signed(one, records, previous)
                suffix = _NEXT if number >= last else ""
                (folder / ledger.FOLDER / f"{number:08d}.cbor{suffix}").write_bytes(content)
                previous = hashlib.sha256(content).digest()
        for number, suffix in zip(names, ("", _NEXT), strict=True):
            if number is not None:
                record = records[_integer(number, 0, len(records) - 1)]
                (folder / f"{RECORD}{suffix}").write_bytes(record)
                (folder / f"{SIGNATURE}{suffix}").write_bytes(cast.OWNER.sign(CONTEXT, record))
        _use(folder)


def _signed(entry: Any, records: list[bytes], previous: bytes) -> bytes:
    fields, number = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
    if not isinstance(fields, dict):
        raise IntegrityError("an input of another form")
    if number is not None:
        record = records[_integer(number, 0, len(records) - 1)]
        fields = fields | {"manifest": hashlib.sha256(record).digest()}
    payload = _following(canonical.dumps(fields), previous)
    return canonical.dumps([payload, cast.OWNER.sign(b"medveil/v1/ledger", payload)])


def _use(folder: Path) -> None:
    found = state.load(folder)
    _ = found.pending, found.files(), found.leftovers(), found.ledger.owners
    with contextlib.suppress(MedveilError):
        book = OwnerBook.read(found.ledger, found.manifest, _KEY)
        _ = owners_of(book.grants), [book.uid_key(note) for note in book.grants], book.notes().to_bytes()
        staging = folder.parent / "staging"
        staging.mkdir()
        book.save_draft(staging, cast.OWNER)
        OwnerBook.load_draft(staging, cast.OWNER)
        state.make_durable(folder)
    found = state.settle(folder, found)
    number, head = len(found.ledger.entries), found.ledger.digests[-1]
    entry = _entry(
        number, head, action=Action.ADD, owners=(), granted=(), epoch=found.manifest.epoch,
        packages=len(found.manifest.packages), manifest=found.ledger.head.manifest,
    )  # fmt: skip
    for manifest in (found.manifest, None):
        state.announce(folder, folder.parent / "next", entry, manifest, cast.OWNER)
    _ = state.load(folder).leftovers()
    state.switch(folder, entry)
    if parse((folder / RECORD).read_bytes()) != found.manifest:
        raise AssertionError("settling left another manifest than the one of the state")


def _names(data: bytes, bound: Bound) -> None:
    """Names of originals as an owner stored them; where they would be written, and names for key files."""
    (texts,) = split(data, 1)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise IntegrityError("an input of another form")
    names = FreeNames()
    paths = [names.take(safe_relative(text)) for text in texts]
    if len({str(path).casefold() for path in paths}) != len(texts):
        raise AssertionError("two names are one")
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        raise AssertionError("a name leads out of the folder")
    if any(part[0] in ".-~" for path in paths for part in path.parts):
        raise AssertionError("a name is hidden, an option or a home folder")
    for path in paths[:4]:
        check_targets(Path("/nowhere") / path, force=False)


def _name_seeds() -> list[bytes]:
    plain = ["a/b.dcm", "A/B.dcm", "a/b.dcm", "C:\\windows\\x", "/etc/passwd", "../../x", "", ".", "con.txt", "LPT1"]
    odd = [
        "x" * 300 + ".dcm",
        "x" * 300,
        "y." + "z" * 300,
        ".git/config",
        "-rf",
        "x.app/7",
        "é" * 150,
        "." + "e" * 250,
        "a\u202eb",
        "k.pub",
        "k.key",
    ]
    return [canonical.dumps([plain]), canonical.dumps([odd]), canonical.dumps([["/".join(["d"] * 40)]])]


TARGETS = (
    Target("release folder", _folder, _seeds, share=1.5),
    Target("names", _names, _name_seeds, share=0.5),
)
