"""Targets: the records around the images. What an owner signs or seals is signed and sealed again, as she could."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz import cast
from tests.fuzz.target import Bound, Target

from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.files.names import safe_relative
from medveil.keys import grants
from medveil.keys.grants import Grant
from medveil.keys.recipients import Recipient, Wrap
from medveil.keys.tiers import EpochKeys, KeyRing, Section, SectionPlace, Tier, make_link
from medveil.protection import padding
from medveil.releases.access import _access
from medveil.releases.packages import origin as origins
from medveil.releases.packages.package import Package, PackageEntry
from medveil.releases.packages.packing import entry_of
from medveil.releases.records import ledger, manifest
from medveil.releases.records.ledger import Action, GrantFile, LedgerEntry
from medveil.releases.records.manifest import Manifest, SharedFile
from medveil.releases.records.owner_records import GrantNote, Notes

_DICTIONARY = b"names and dates that many originals share " * 8


def split(data: bytes, count: int) -> list[Any]:
    """The fields of an input that is a list of so many; an IntegrityError for every other."""
    value = canonical.loads(data, what="input", limit=1 << 26)
    if not isinstance(value, list) or len(value) != count:
        raise IntegrityError("an input of another form")
    return value


def _plain(value: object) -> bytes:
    return value if isinstance(value, bytes) else canonical.dumps(value)


def _canonical(data: bytes, bound: Bound) -> None:
    value = canonical.loads(data, what="record")
    if canonical.dumps(value) != data:
        raise AssertionError("not the one form of the value")


def _entry(number: int, previous: bytes, **fields: Any) -> LedgerEntry:
    granted = (
        GrantFile(cast.key("g")[:16], Wrap.X25519, cast.key("a")),
        GrantFile(cast.key("h")[:16], Wrap.HYBRID, previous),
    )
    known: dict[str, Any] = {"owners": (cast.OWNER.recipient.verify_key,), "granted": tuple(sorted(granted))}
    known |= {"notes": Notes({}, {0: cast.KEYS}).seal(cast.key("book"), cast.RELEASE, bytes(16))}
    given = {"release": cast.RELEASE, "number": number, "previous": previous, "day": "2026-11-21", "epoch": 0}
    return LedgerEntry(**(given | {"manifest": cast.key("manifest"), "packages": 2} | known | fields))


def _ledger_seeds() -> list[bytes]:
    first = _entry(0, bytes(32), action=Action.SHARE)
    data = first.to_bytes(cast.OWNER)
    second = _entry(
        1,
        hashlib.sha256(data).digest(),
        action=Action.REVOKE,
        owners=(),
        granted=(),
        withdrawn=(cast.key("g")[:16],),
        epoch=1,
    )
    entries = [canonical.loads(each.to_bytes(cast.OWNER), what="entry")[0] for each in (first, second)]
    return [canonical.dumps([entries, False]), canonical.dumps([entries[:1], True]), canonical.dumps([[data], True])]


def _ledger(data: bytes, bound: Bound) -> None:
    """A ledger folder of entries: as they are, or signed, each following on the one before it."""
    entries, raw = split(data, 2)
    if not isinstance(entries, list) or len(entries) > 8:
        raise IntegrityError("an input of another form")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder, previous = Path(name), bytes(32)
        (folder / "ledger").mkdir()
        for number, entry in enumerate(entries):
            content = _plain(entry)
            if raw is not True:
                content = canonical.dumps([_following(content, previous), b""])
                payload = canonical.loads(content, what="entry", limit=1 << 24)[0]
                content = canonical.dumps([payload, cast.OWNER.sign(b"medveil/v1/ledger", payload)])
            suffix = ledger.NEXT if number == len(entries) - 1 and raw is None else ""
            (folder / "ledger" / f"{number:08d}.cbor{suffix}").write_bytes(content)
            previous = hashlib.sha256(content).digest()
        found = ledger.load(folder)
        _ = (
            [file.path for file in found.grants],
            found.owners,
            found.head.path,
            ledger.weakest(g.wrap for g in found.grants),
        )


def _following(payload: bytes, previous: bytes) -> bytes:
    """The payload with the digest of the entry before it, where it has such a field at all."""
    try:
        fields = canonical.loads(payload, what="entry", limit=1 << 24)
        if isinstance(fields, dict) and isinstance(fields.get("previous"), bytes):
            return canonical.dumps(fields | {"previous": previous})
    except IntegrityError:
        pass
    return payload


def _manifest_seeds() -> list[bytes]:
    other = EpochKeys(Tier.EXACT, cast.key("newer"), cast.key("newer identity"))
    packages = tuple(
        sorted(
            PackageEntry(cast.key(f"p{i}")[:16], 1000 + i, cast.key(f"d{i}"), (cast.key("c"),) * 4) for i in range(3)
        )
    )
    shared = (
        SharedFile("identity.0.dict", 0, cast.key("s")),
        SharedFile(f"weights/{'ab' * 32}.1.sealed", 1, cast.key("w")),
    )
    bare = Manifest(
        cast.RELEASE,
        0,
        0,
        cast.OWNER.recipient.verify_key,
        False,
        "sealed",
        cast.PROFILE,
        tuple(Tier),
        (64, 128),
        "2026-11-21",
    )
    full = Manifest(
        cast.RELEASE, 1, 3, cast.OWNER.recipient.verify_key, True, "obfuscated", cast.DEEP, (Tier.DIAGNOSTIC,),
        (1024, 4096), "2026-11-21", 3, (cast.key("public"),), shared,
        ((1, make_link(other, cast.KEYS, cast.RELEASE, 1)),), packages,
    )  # fmt: skip
    return [each.to_bytes() for each in (bare, full)]


def _manifest(data: bytes, bound: Bound) -> None:
    found = manifest.parse(data)
    if found.to_bytes() != data:
        raise AssertionError("not what writing the manifest again gives")
    _ = found.files(), found.owner_fingerprint, [entry.path for entry in found.packages]


def _package_seeds() -> list[bytes]:
    data = [
        package.to_bytes() for protection in ("encrypted", "obfuscated") for package, _ in cast.packages(protection)[:2]
    ]
    return [each[: int.from_bytes(each[7:9], "big") + 9] + bytes(64) for each in data] + [data[-1]]


def _header_seeds() -> list[bytes]:
    """The records in the headers of honest packages, taken out of them."""
    found = []
    for data in _package_seeds():
        length = int.from_bytes(data[7:9], "big")
        found.append(canonical.dumps([canonical.loads(data[9 : 9 + length], what="header"), data[6], 0]))
    first = canonical.loads(found[0], what="seed")[0]
    changes: list[dict[str, Any]] = [
        {"bucket": [0, 64]}, {"bucket": [63, 64]}, {"bucket": [1 << 20, 1 << 20]}, {"bucket": [0, 0]}, {"salt": b"x"},
        {"sections": first["sections"][::-1]}, {"epoch": "x"}, {"epoch": -1}, {"id": 7},
    ]  # fmt: skip
    return [*found, *(canonical.dumps([first | each, 1, 0]) for each in changes), canonical.dumps([first, 1, 9])]


def _header(data: bytes, bound: Bound) -> None:
    """A package of sections of zeros under a header of any fields; some bytes too many or too few behind it."""
    from medveil.releases.packages import package as packages

    record, version, more = split(data, 3)
    if type(version) is not int or type(more) is not int or not (0 <= version < 256 and -64 <= more <= 64):
        raise IntegrityError("an input of another form")
    content = _plain(record)
    if len(content) > 0xFFFF:
        raise IntegrityError("an input of another form")
    head = packages._MAGIC + bytes([version]) + len(content).to_bytes(2, "big") + content
    header, start = packages.parse_header(head)
    length = sum(size for _, size in header.sections)
    Package.from_bytes(head[:start] + bytes(max(0, length + more) if length < 1 << 20 else 0))


def _package(data: bytes, bound: Bound) -> None:
    """A package as it is, and one whose sections are as long as its header says."""
    from medveil.releases.packages import package as packages

    header, start = packages.parse_header(data)
    lengths = [length for _, length in header.sections]
    if sum(lengths) < 1 << 20:
        data = data[:start] + bytes(sum(lengths))
    found = Package.from_bytes(data)
    if found.to_bytes() != data:
        raise AssertionError("not what writing the package again gives")
    entry = entry_of(found, cast.RING) if header.epoch == 0 else None
    _ = entry, [header.associated_data(section) for section in found.sections]


class _Unwrapped:
    """An opener whose grant holds what the input says."""

    recipient = cast.READER.recipient
    fingerprint = "test"

    def __init__(self, body: bytes) -> None:
        self.body = body

    def unwrap(self, data: bytes, *, limit: int = 0) -> bytes:
        return self.body


def _grant_seeds() -> list[bytes]:
    place = (cast.key("p")[:16], Section.CODE)
    whole = Grant(cast.RELEASE, 0, cast.key("g")[:16], cast.KEYS, cast.key("uid"), cast.key("book"), "2027-01-01")
    keys = EpochKeys(Tier.DIAGNOSTIC, b"")
    some = Grant(
        cast.RELEASE, 0, cast.key("g")[:16], keys, cast.key("uid"), sections={place: cast.key("k")},
        shared={"identity.0.dict": cast.key("s")},
    )  # fmt: skip
    payloads = [each.payload(cast.READER.recipient.digest) for each in (whole, some)]
    signed = canonical.dumps([payloads[0], cast.OWNER.sign(grants.CONTEXT, payloads[0]), bytes(20)])
    return [canonical.dumps([each, bytes(4)]) for each in payloads] + [canonical.dumps([signed, None])]


def _grant(data: bytes, bound: Bound) -> None:
    """A grant: signed as its owner could, or (without a filler) as it is; then all keys that follow from it."""
    payload, filler = split(data, 2)
    body = _plain(payload)
    if filler is not None:
        body = canonical.dumps([body, cast.OWNER.sign(grants.CONTEXT, body), filler])
    found = grants.open_grant(b"", _Unwrapped(body), [cast.OWNER.recipient.verify_key])
    sealed = grants.seal_grant(found, cast.READER.recipient, cast.OWNER)
    if grants.open_grant(sealed, cast.READER, [cast.OWNER.recipient.verify_key]) != found:
        raise AssertionError("a grant that is sealed again does not open to what it was")
    bare = manifest.parse(_manifest_seeds()[0])
    access = _access(Path("/nowhere"), bare, [found])
    for section in Section:
        access.ring.find(SectionPlace(cast.RELEASE, found.epoch, cast.key("p")[:16], section, bytes(16)))
        access.ring.lowered(Tier.PREVIEW).find(SectionPlace(cast.RELEASE, 0, cast.key("p")[:16], section, bytes(16)))
    access.ring.shared_key(cast.RELEASE, 0, "identity.0.dict")


def _notes_seeds() -> list[bytes]:
    people = [cast.READER.recipient, Recipient(cast.HYBRID.recipient.text)]
    notes = tuple(
        GrantNote(
            cast.key(f"g{i}")[:16], person, Tier.PREVIEW, bool(i), (cast.key("p")[:16],) * i, "2027-01-01" * i, not i
        )
        for i, person in enumerate(people)
    )
    full = Notes({"limits": [None, 1.5], "embed": True, "keep_file": False}, {0: cast.KEYS, 1: cast.KEYS}, notes)
    return [Notes().to_bytes(), full.to_bytes()]


def _notes(data: bytes, bound: Bound) -> None:
    """An owner's notes, and what the other owners' programs do with them."""
    sealed = Notes.from_bytes(data).seal(cast.key("book"), cast.RELEASE, bytes(16))
    found = Notes.open(sealed, cast.key("book"), cast.RELEASE, bytes(16))
    if found.to_bytes() != data and b"uid_tiers" in data:  # notes of the first version have none
        raise AssertionError("not what writing the notes again gives")
    for note in found.granted:
        _ = note.has_ended(), note.recipient.wrap, note.recipient.fingerprint, note.recipient.digest, sorted(note.only)
    if found.keys:
        ring = KeyRing.whole(found.keys)
        ring.find(SectionPlace(cast.RELEASE, max(found.keys), bytes(16), Section.FILE, bytes(16)))


def _identity_seeds() -> list[bytes]:
    origin = origins.Origin("a/b.dcm", cast.key("file"))
    packed = [origins.pack_identity(origin, b"names and dates" * 9, d) for d in (_DICTIONARY, b"")]
    record = canonical.dumps([origin.path, origin.sha256, b"names and dates" * 9])
    return [canonical.dumps([each, i]) for i, each in enumerate(packed)] + [canonical.dumps([record, 2])]


def _identity(data: bytes, bound: Bound) -> None:
    """An identity section: with a dictionary, without, or its record before it is deflated."""
    import zlib

    packed, kind = split(data, 2)
    dictionary = _DICTIONARY if kind == 0 else b""
    packed = zlib.compress(_plain(packed)) if kind == 2 else _plain(packed)
    origin, _ = origins.unpack_identity(packed, dictionary, "identity section", 1 << 26)
    safe_relative(origin.path)


def _padding(data: bytes, bound: Bound) -> None:
    padding.remove(data)


TARGETS = (
    Target("canonical", _canonical, lambda: _manifest_seeds() + _notes_seeds(), share=0.7),
    Target("ledger", _ledger, _ledger_seeds),
    Target("manifest", _manifest, _manifest_seeds),
    Target("package header", _package, _package_seeds, is_record=False),
    Target("package header fields", _header, _header_seeds),
    Target("grant", _grant, _grant_seeds),
    Target("notes", _notes, _notes_seeds),
    Target("identity section", _identity, _identity_seeds),
    Target("padding", _padding, lambda: [padding.to_steps(b"abc"), b""], is_record=False, share=0.1),
)
