"""What is done to the golden releases and must be refused: the recipes in the index that make_vectors.py writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.releases import forgery
from tests.vector_releases import RELEASES

from medveil.files import canonical
from medveil.keys.tiers import Section
from medveil.releases.packages.package import Package, parse_header

_EVERY_FILE = ("sealed", "rotated-added", "deputy")  # where every file is damaged, one after the other
_EVERY_RECORD = ("sealed", "encrypted", "obfuscated")  # where every section and every field is

Maker = Callable[..., dict[str, Any]]


def recipes(release: str, owner: str) -> Iterator[dict[str, Any]]:
    """Recipes of what must be refused."""
    folder = RELEASES / release

    def one(name: str, *steps: dict[str, Any], expect: str = "integrity", sign: bool = False) -> dict[str, Any]:
        signed = {"sign": owner} if sign else {}
        return {"name": name, "key": owner, "expect": expect, **signed, "steps": list(steps)}

    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.parent.name == "grants" or release not in _EVERY_FILE:
            continue
        name, middle = path.relative_to(folder).as_posix(), path.stat().st_size // 2
        what = "package" if path.suffix == ".mveil" else name
        if path.suffix != ".mveil":
            yield one(f"{what} flipped", {"do": "flip", "file": name, "at": middle})
            yield one(f"{what} with trailing bytes", _splice(name, middle * 2 + 9, 0, b"\0"))
        yield one(f"{what} truncated", {"do": "cut", "file": name, "length": middle})
        yield one(f"{what} removed", {"do": "remove", "file": name})
    if release in _EVERY_RECORD:
        yield from _package_failures(folder, one)
        yield from _manifest_failures(folder, one)
    yield from _replays(release, one)


def _splice(file: str, at: int, length: int, data: bytes) -> dict[str, Any]:
    return {"do": "splice", "file": file, "at": at, "length": length, "bytes": data.hex()}


def _package_failures(folder: Path, one: Maker) -> Iterator[dict[str, Any]]:
    """What is done to a package, as it is, and with the owner's signature on the result."""
    protection = forgery.read_manifest(folder)["protection"]
    paths = sorted((folder / "packages").rglob("*.mveil"))
    for path in paths:
        name, data = path.relative_to(folder).as_posix(), path.read_bytes()
        header, at = parse_header(data)
        for section, length in header.sections:
            yield one(f"section {section} flipped", {"do": "flip", "file": name, "at": at + length // 2})
            yield one(f"section {section} truncated", {"do": "cut", "file": name, "length": at + length - 1})
            clear = protection == "obfuscated" and section is Section.CODE
            sealed = protection == "sealed" and section in (Section.CODE, Section.PREVIEW)
            if not clear and not sealed:
                step = {"do": "flip", "file": name, "at": at + length // 2}
                yield one(f"section {section} flipped and signed", step, sign=True)
            at += length
    image = next(path for path in paths if "code" in dict(parse_header(path.read_bytes())[0].sections))
    data, name = image.read_bytes(), image.relative_to(folder).as_posix()
    yield one("package with trailing bytes, signed", _splice(name, len(data), 0, b"\0"), sign=True)
    yield one("package of a newer format, signed", _splice(name, 6, 1, b"\2"), expect="format", sign=True)
    yield one("package with another magic, signed", _splice(name, 0, 1, b"m"), sign=True)
    for what, changed in _headers(data):
        if what.startswith("was downgraded"):
            yield one(f"package whose header {what}", _difference(name, data, changed))
        yield one(f"package whose header {what}, signed", _difference(name, data, changed), sign=True)
    if len(paths) > 1:
        other = next(path for path in paths if path != image)
        swap = {"do": "swap", "file": name, "with": other.relative_to(folder).as_posix()}
        yield one("packages swapped", swap)
        yield one("packages swapped and signed", swap, sign=True)


def _headers(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Packages with other headers."""
    package = Package.from_bytes(data)
    header, start = parse_header(data)
    record = dict(canonical.loads(data[9:start], what="header"))
    (first, length), *rest = record["sections"]

    def with_record(changed: bytes) -> bytes:
        return data[:7] + len(changed).to_bytes(2, "big") + changed + data[start:]

    def with_fields(**fields: Any) -> bytes:
        return with_record(canonical.dumps(record | fields))

    yield "has a key twice", with_record(twice(record, "id"))
    yield "has one more field", with_fields(more=0)
    yield "lacks a field", with_record(canonical.dumps({key: each for key, each in record.items() if key != "salt"}))
    yield "has keys in another order", with_record(_in_order(record, sorted(record, reverse=True)))
    yield "is of another release", with_fields(release=bytes(16))
    yield "is of another package", with_fields(id=bytes(16))
    yield "has another salt", with_fields(salt=bytes(16))
    yield "is of a later epoch", with_fields(epoch=1)
    yield "has another bucket", with_fields(bucket=[64, 128])
    yield "states another length", with_fields(sections=[[first, length + 1], *rest])
    yield "has sections in another order", with_fields(sections=[*rest, [first, length]])
    best = next(name for name in ("exact", "code") if name in dict(record["sections"]))
    kept = [(name, size) for name, size in record["sections"] if name != best]
    body = b"".join(package.sections[section] for section, _ in header.sections if section != best)
    head = canonical.dumps(record | {"sections": [list(each) for each in kept]})
    yield f"was downgraded by {best}", data[:7] + len(head).to_bytes(2, "big") + head + body


def _manifest_failures(folder: Path, one: Maker) -> Iterator[dict[str, Any]]:
    """What is done to the manifest, as it is, and with the owner's signature on the result."""
    data, record = (folder / "manifest.cbor").read_bytes(), forgery.read_manifest(folder)
    packages = record["packages"]
    number, length, digest, commitments = packages[0]
    flipped = [bytes([commitments[0][0] ^ 1]) + commitments[0][1:], *commitments[1:]]
    rest = packages[1:]
    fewer = [[number, length, digest, commitments[1:]], *rest]
    changed: dict[str, tuple[bytes, str]] = {
        name: (canonical.dumps(record | fields), expect)
        for name, fields, expect in [
            ("of a newer format", {"format": 2}, "format"),
            ("of another suite", {"suite": 2}, "format"),
            ("of a later epoch", {"epoch": 1}, "integrity"),
            ("of another release", {"release": bytes(16)}, "integrity"),
            ("of another owner", {"owner": bytes(32)}, "integrity"),
            ("of another protection", {"protection": "plain"}, "integrity"),
            ("with tiers in another order", {"tiers": ["preview", "diagnostic"]}, "integrity"),
            ("without the diagnostic tier", {"tiers": ["exact"]}, "integrity"),
            ("with one more field", {"more": 0}, "integrity"),
            ("with a link of no epoch", {"links": [[0, [bytes(48)] * 4]]}, "integrity"),
            ("with a package twice", {"packages": [packages[0], *packages]}, "integrity"),
            ("with another commitment", {"packages": [[number, length, digest, flipped], *rest]}, "integrity"),
            ("with one commitment too few", {"packages": fewer}, "integrity"),
            ("with another length", {"packages": [[number, length + 1, digest, commitments], *rest]}, "integrity"),
        ]
    }  # fmt: skip
    if rest:
        changed["with packages in another order"] = (
            canonical.dumps(record | {"packages": packages[::-1]}),
            "integrity",
        )
    changed["with a key twice"] = (twice(record, "epoch"), "integrity")
    changed["with keys in another order"] = (_in_order(record, sorted(record)), "integrity")
    changed["with trailing bytes"] = (data + b"\0", "integrity")
    for name, (record_bytes, expect) in changed.items():
        step = _difference("manifest.cbor", data, record_bytes)
        yield one(f"manifest {name}, signed", step, expect=expect, sign=True)


def _replays(release: str, one: Maker) -> Iterator[dict[str, Any]]:
    """Files of other states of the release, and of the owner's other releases."""

    def take(file: str, other: str, source: str = "") -> dict[str, Any]:
        return {"do": "take", "file": file, "release": other, "from": source or file}

    if release == "encrypted":
        mine, theirs = (_of(name, "packages/**/*.mveil")[0] for name in (release, "obfuscated"))
        yield one("package of another release", take(mine, "obfuscated", theirs))
        yield one("package of another release, signed", take(mine, "obfuscated", theirs), sign=True)
        grants = [*_of(release, "grants/*"), *_of("sealed", "grants/*")]
        steps = [take(mine, "sealed", theirs) for mine, theirs in zip(grants[:2], grants[2:], strict=False)]
        yield one("grants of another release", *steps)
        steps = [take(mine, "sealed", theirs) for mine, theirs in zip(grants[:2], grants[2:], strict=False)]
        yield one("grants of another release, signed", *steps, sign=True)
        steps = [take(mine, "sealed", theirs) for mine, theirs in zip(grants[:2], grants[3:1:-1], strict=False)]
        yield one("grants of another release exchanged, signed", *steps, sign=True)
        yield one("grants exchanged, signed", {"do": "swap", "file": grants[0], "with": grants[1]}, sign=True)
        pair = [take(name, "sealed") for name in ("manifest.cbor", "manifest.sig")]
        yield one("manifest of another release", *pair)
        yield one("ledger and manifest of another release", take("ledger/00000000.cbor", "sealed"), *pair)
    if release == "rotated":
        pair = [take(name, "added") for name in ("manifest.cbor", "manifest.sig")]
        yield one("an older manifest", *pair)
        yield one("an older manifest, its last entry removed", *pair, {"do": "remove", "file": "ledger/00000004.cbor"})
        names = _of(release, "ledger/*")
        yield one("ledger reordered", {"do": "swap", "file": names[1], "with": names[2]})
        yield one("last entry removed", {"do": "remove", "file": names[-1]})
    if release == "rotated-added":
        (withdrawn,) = _of("rotated", "grants/*.age")
        yield one("withdrawn grant", take(withdrawn, "rotated"), expect="key") | {"key": "bob"}


def _of(release: str, pattern: str) -> list[str]:
    folder = RELEASES / release
    return [path.relative_to(folder).as_posix() for path in sorted(folder.glob(pattern))]


def _difference(file: str, before: bytes, after: bytes) -> dict[str, Any]:
    """The shortest splice from one to the other."""
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    return _splice(file, start, len(before) - start - end, after[start : len(after) - end])


def _alike(one: bytes, two: bytes) -> int:
    """How many bytes they have in common from the start."""
    shorter = min(len(one), len(two))
    return next((at for at in range(shorter) if one[at] != two[at]), shorter)


def twice(record: dict[str, Any], key: str) -> bytes:
    """A map with the entry of a key twice, one after the other, where it belongs."""
    pairs = b"".join(_pair(name, record) * (1 + (name == key)) for name in _canonical_order(record))
    return _map_head(len(record) + 1) + pairs


def _in_order(record: dict[str, Any], order: list[str]) -> bytes:
    return _map_head(len(record)) + b"".join(_pair(name, record) for name in order)


def _canonical_order(record: dict[str, Any]) -> list[str]:
    return sorted(record, key=lambda name: (len(name), name))


def _pair(name: str, record: dict[str, Any]) -> bytes:
    return canonical.dumps(name) + canonical.dumps(record[name])


def _map_head(size: int) -> bytes:
    assert size < 24
    return bytes([0xA0 | size])
