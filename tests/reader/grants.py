"""docs/format.md, grant: the keys for one recipient."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from tests.reader import cbor, keys, shapes
from tests.reader.identities import Identity
from tests.reader.ledger import SUFFIXES, Ledger
from tests.reader.refusal import RefusedError, require

MAX_GRANT = 32 << 20
_MAX_WHOLE = {"X25519": 640}
_MAX_OTHER_WHOLE = 2560
_FIRST, _STEP, _SHARE = 344, 16, 32
_HEAD = (
    shapes.raw(16),
    shapes.whole,
    shapes.raw(16),
    shapes.raw(32),
    shapes.one_of(*keys.TIERS),
    lambda value: value == "" or shapes.day(value),
)


@dataclass(frozen=True)
class Grant:
    """What a grant opens: roots of an epoch, or the keys of sections and of sealed files; several together, both."""

    epoch: int
    tier: str
    roots: keys.Roots | None
    sections: dict[tuple[bytes, str], bytes]
    files: dict[str, bytes]
    uid_key: bytes


def path_of(number: bytes, wrap: str) -> str:
    return f"grants/{number.hex()}.{SUFFIXES[wrap]}"


def read(data: bytes, number: bytes, ledger: Ledger, identity: Identity) -> Grant | None:
    """The grant in a file of the ledger's SHA; None if it is for somebody else."""
    wrap, digest = ledger.grants[number]
    require(hashlib.sha256(data).digest() == digest, "a grant of another SHA")
    content = identity.open(data)
    if content is None:
        return None
    found = cbor.loads(content, limit=MAX_GRANT, max_items=1024 + len(content) // 8)
    require(shapes.row(found, shapes.raw(), shapes.raw(64), shapes.raw()), "a grant of other parts")
    payload, signature, zeros = found
    require(ledger.signed("medveil/v1/grant", payload, signature), "a grant that no owner signed")
    require(not any(zeros) and len(content) in _lengths(len(content)), "a grant that is not filled up with zeros")
    grant = _grant(payload, number, ledger, identity)
    most = _MAX_WHOLE.get(wrap, _MAX_OTHER_WHOLE)
    require(grant.roots is None or len(data) <= most, "a grant of a whole release that is too long")
    return grant


def _grant(payload: bytes, number: bytes, ledger: Ledger, identity: Identity) -> Grant:
    found = cbor.loads(payload, limit=MAX_GRANT, max_items=1024 + len(payload) // 8)
    require(shapes.row(found, *[lambda value: isinstance(value, list)] * 4), "a grant of other fields")
    head, secrets, sections, files = found
    require(shapes.row(head, *_HEAD), "a grant with another head")
    release, epoch, own, recipient, tier, _ = head
    require(shapes.row(secrets, shapes.raw(0, 32), shapes.raw(0, 32), shapes.raw(0, 32), shapes.raw(32)), "no keys")
    require(shapes.rows(shapes.raw(16), shapes.text, shapes.raw(32))(sections), "no keys of sections")
    require(shapes.rows(shapes.text, shapes.raw(32))(files), "no keys of files")
    require((release, own) == (ledger.release, number), "a grant of another release or id")
    require(recipient == hashlib.sha256(identity.public_text.encode()).digest(), "a grant of another recipient")
    require(epoch <= ledger.last["epoch"], "a grant of a later epoch")
    tier_key, identity_root = secrets[:2]
    require(bool(tier_key) != bool(sections), "a grant of the whole release and of some packages, or of neither")
    if tier_key:
        require(not files, "a grant of the whole release with keys of files")
        return Grant(epoch, tier, keys.roots(tier, tier_key, identity_root), {}, {}, secrets[3])
    require(not identity_root, "a grant of some packages with the root of identity")
    own_keys = {(package, section): key for package, section, key in sections}
    require(len(own_keys) == len(sections), "a grant with a section twice")
    return Grant(epoch, tier, None, own_keys, dict(files), secrets[3])


def merged(grants: list[Grant]) -> Grant:
    """What several grants for one recipient come to: the best of the whole release, and those of some packages."""
    whole = [grant for grant in grants if grant.roots is not None]
    first = min(whole, key=lambda grant: keys.TIERS.index(grant.tier), default=grants[0])
    sections: dict[tuple[bytes, str], bytes] = {}
    files: dict[str, bytes] = {}
    for grant in grants:
        sections |= grant.sections
        files |= grant.files
    return Grant(first.epoch, first.tier, first.roots, sections, files, first.uid_key)


class Keyring:
    """Keys of sections and sealed files, from a grant."""

    def __init__(self, grant: Grant, release: bytes, links: dict[int, list[bytes]]) -> None:
        self._grant, self._release, self._links = grant, release, links
        self.uid_key = grant.uid_key

    def section(self, header: dict[str, Any], section: str, tier: str) -> bytes | None:
        """The key of a section of a package; None if the grant does not open it."""
        root = None
        if self._grant.roots is not None:
            root = keys.root_of(section, tier, self._roots(header["epoch"]))
        if root is None:
            return self._grant.sections.get((header["id"], section))
        place = [self._release, header["epoch"], header["id"], tier, section, header["salt"]]
        return keys.section_key(root, place)

    def file(self, path: str, epoch: int) -> bytes | None:
        """The key of a sealed file."""
        known = self._grant.roots
        found = None if known is None else keys.shared_key(self._roots(epoch), self._release, epoch, path)
        return self._grant.files.get(path) if found is None else found

    def _roots(self, epoch: int) -> keys.Roots:
        assert self._grant.roots is not None
        known = self._grant.roots
        if epoch > self._grant.epoch:
            raise RefusedError("a package of a later epoch than the grant")
        for later in range(self._grant.epoch, epoch, -1):
            require(later in self._links, "an epoch without a link to it")
            known = keys.earlier(known, self._links[later], self._release, later)
        return known


def _lengths(most: int) -> list[int]:
    """The lengths of a content, up to this one."""
    found = [_FIRST]
    while found[-1] < most:
        found.append(found[-1] + max(_STEP, found[-1] // _SHARE))
    return found
