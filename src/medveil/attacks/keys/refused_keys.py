"""What keys that somebody does hold open where they should not: tried on a release itself, nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from medveil.attacks.keys.guessable_keys import fitting, guessed, release_kinds
from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError
from medveil.keys.identity import Identity
from medveil.keys.openers import Opener
from medveil.keys.tiers import EpochKeys, KeyRing, Section, SectionPlace, Tier, follow_link
from medveil.protection.encrypting import commit
from medveil.releases.packages.package import Package, load_package
from medveil.releases.packages.unpacking import decrypted
from medveil.releases.records.manifest import Manifest
from medveil.releases.release import Release


class Outcome(StrEnum):
    """What came of a key that should be refused."""

    REFUSED = "refused"
    OPENED = "opened"
    NOT_TRIED = "not tried"


class Row(NamedTuple):
    """A kind of key that should be refused: what it is, what came of it, and how many of what."""

    what: str
    outcome: Outcome
    found: str


_PACKAGES = 16
_GUESSES = 1 << 16


def refused_keys(release: Release, identity: Opener) -> list[Row]:
    """Try every kind of key that should be refused.

    Args:
        release: nothing is written to it.
        identity: somebody to whom all tiers were granted; the others are derived from her keys.

    Raises:
        NoFittingKeyError, IntegrityError: the identity opens nothing, or the release is damaged.
    """
    manifest = release.manifest
    ring = release.access_of(identity).ring
    packages = [load_package(release.folder, entry, manifest) for entry in manifest.packages[:_PACKAGES]]
    commitments = {entry.package: entry.commitments for entry in manifest.packages}
    tests = _Commitments(packages, commitments)
    rows = [_stranger(release)]
    rows += [_lower_tier(ring, tier, tests) for tier in (Tier.DIAGNOSTIC, Tier.PREVIEW)]
    rows += [_without_identity(ring, tests), _derived_upwards(ring, tests)]
    rows += [_other_epochs(ring, manifest, tests), _older_link(ring, manifest), _other_package(ring, tests)]
    return [*rows, _guessed(manifest)]


class _Commitments:
    """Packages, and whether a key fits a section of one."""

    def __init__(self, packages: Sequence[Package], commitments: dict[bytes, tuple[bytes, ...]]) -> None:
        self.packages = packages
        self._commitments = commitments

    def places(self) -> Iterator[tuple[Package, Section, SectionPlace]]:
        for package in self.packages:
            for section, _ in package.header.sections:
                yield package, section, package.header.place(section)

    def fits(self, package: Package, section: Section, key: bytes) -> bool:
        """Whether the manifest commits to this key."""
        names = [name for name, _ in package.header.sections]
        return commit(key) == self._commitments[package.header.package][names.index(section)]


def _row(what: str, opened: int, tried: int, reason: str) -> Row:
    if not tried:
        return Row(what, Outcome.NOT_TRIED, "the release has nothing of that kind")
    if opened:
        return Row(what, Outcome.OPENED, f"{opened} of {tried} sections")
    return Row(what, Outcome.REFUSED, f"{reason} ({tried} sections)")


def _stranger(release: Release) -> Row:
    what = "a key to which nothing was granted"
    try:
        release.access_of(Identity.fresh())
    except NoFittingKeyError:
        return Row(what, Outcome.REFUSED, "no grant fits")
    return Row(what, Outcome.OPENED, "a grant")


def _lower_tier(ring: KeyRing, tier: Tier, tests: _Commitments) -> Row:
    """A holder of a tier asks for the sections of better ones."""
    lowered, opened, tried = ring.lowered(tier), 0, 0
    for _, section, place in tests.places():
        if section.tier is None or section.tier.rank >= tier.rank or ring.find(place) is None:
            continue
        tried += 1
        opened += lowered.find(place) is not None
    return _row(f"keys of tier {tier.value} on sections of better tiers", opened, tried, "these keys derive none")


def _without_identity(ring: KeyRing, tests: _Commitments) -> Row:
    """A holder of all tiers without identity asks for identity, and for what needs both."""
    if not ring.epochs:
        return _row("all tiers, without identity, on identity sections", 0, 0, "")
    blind = KeyRing.whole({epoch: keys.lowered(keys.tier, identity=False) for epoch, keys in ring.epochs.items()})
    found = [blind.find(place) is not None for _, section, place in tests.places() if section.needs_identity]
    return _row("all tiers, without identity, on identity sections", sum(found), len(found), "these keys derive none")


def _derived_upwards(ring: KeyRing, tests: _Commitments) -> Row:
    """A holder of the lowest tier takes its tier key for that of the best, and derives section keys from it."""
    what = "the tier key of the lowest tier in place of a better one's"
    forged = {}
    for epoch, keys in ring.epochs.items():
        lowest = keys.tier_key_of(Tier.PREVIEW)
        if lowest is not None and keys.tier is not Tier.PREVIEW:
            forged[epoch] = EpochKeys(keys.tier, lowest, keys.identity_key)
    better = [each for each in tests.places() if each[1].tier in (Tier.EXACT, Tier.DIAGNOSTIC)]
    return _tried(what, KeyRing.whole(forged) if forged else None, better, tests)


def _other_epochs(ring: KeyRing, manifest: Manifest, tests: _Commitments) -> Row:
    """Keys of each epoch, as if they were those of every other."""
    what = "keys of each epoch on packages of another"
    opened = tried = 0
    epochs = sorted({package.header.epoch for package in tests.packages})
    for epoch in epochs:
        for other, keys in ring.epochs.items():
            if other != epoch:
                moved = KeyRing.whole({epoch: keys})
                places = [each for each in tests.places() if each[2].epoch == epoch]
                found = _fitting(moved, places, tests)
                opened, tried = opened + sum(found), tried + len(found)
    if not tried and ring.epochs:
        keys = ring.epochs[max(ring.epochs)]
        fresh = EpochKeys.fresh().lowered(keys.tier, identity=bool(keys.identity_key))
        return _tried("keys of an epoch that follows on packages of this one", _every(fresh, epochs), None, tests)
    return _row(what, opened, tried, "the commitment differs")


def _every(keys: EpochKeys, epochs: Sequence[int]) -> KeyRing | None:
    return KeyRing.whole(dict.fromkeys(epochs, keys)) if epochs else None


def _older_link(ring: KeyRing, manifest: Manifest) -> Row:
    """A holder of an epoch's keys follows the link the wrong way, to the epoch after it."""
    what, opened, tried = "keys of an epoch on the link that leads to it from the next", 0, 0
    for epoch, link in manifest.links:
        if epoch - 1 not in ring.epochs:
            continue
        tried += 1
        try:
            follow_link(ring.epochs[epoch - 1], link, manifest.release, epoch)
            opened += 1
        except IntegrityError:
            continue
    if not tried:
        return Row(what, Outcome.NOT_TRIED, "the release has no such link")
    if opened:
        return Row(what, Outcome.OPENED, f"{opened} of {tried} links")
    return Row(what, Outcome.REFUSED, f"the link does not open ({tried} links)")


def _other_package(ring: KeyRing, tests: _Commitments) -> Row:
    """The key of each section on the same section of the package that comes next: commitment, and decryption."""
    what, opened, tried = "keys of one package on another", 0, 0
    for package, other in zip(tests.packages, tests.packages[1:], strict=False):
        for section, _ in package.header.sections:
            key = ring.find(package.header.place(section))
            if key is None or section not in other.sections:
                continue
            tried += 1
            opened += tests.fits(other, section, key) or _decrypts(other, section, key)
    return _row(what, opened, tried, "the commitment differs")


def _decrypts(package: Package, section: Section, key: bytes) -> bool:
    """Whether a key opens an authenticated section; a sealed code has nothing to fail, and its commitment decides."""
    if section in (Section.PREVIEW, Section.CODE):
        return False
    place: dict[tuple[bytes, Section], bytes] = {(package.header.package, section): key}
    try:
        decrypted(package, section, KeyRing(Tier.EXACT, True, sections=place))
    except MedveilError:
        return False
    return True


def _guessed(manifest: Manifest) -> Row:
    """Keys that bad software would use: those that depend on nothing, and those that follow from the manifest."""
    commitments = [each for entry in manifest.packages for each in entry.commitments]
    ids = [entry.package for entry in manifest.packages[:_PACKAGES]]
    special = [
        (kind.what, key) for kind in release_kinds(manifest.release, ids, manifest.created) for key in kind.every()
    ]
    found = fitting(iter(special), commitments) | guessed(_GUESSES, commitments)
    what = f"{len(special) + _GUESSES} guessable keys on every commitment of the manifest"
    if found:
        kinds = ", ".join(sorted({kind for kind, _ in found.values()}))
        return Row(what, Outcome.OPENED, f"{len(found)} sections ({kinds})")
    return Row(what, Outcome.REFUSED, f"none fits ({len(commitments)} sections)")


def _tried(
    what: str, ring: KeyRing | None, places: Sequence[tuple[Package, Section, SectionPlace]] | None, tests: _Commitments
) -> Row:
    if ring is None:
        return _row(what, 0, 0, "")
    found = _fitting(ring, places if places is not None else list(tests.places()), tests)
    return _row(what, sum(found), len(found), "the commitment differs")


def _fitting(ring: KeyRing, places: Sequence[tuple[Package, Section, SectionPlace]], tests: _Commitments) -> list[bool]:
    """For each section of which the ring derives a key, whether it is the one."""
    keys = [(package, section, ring.find(place)) for package, section, place in places]
    return [tests.fits(package, section, key) for package, section, key in keys if key is not None]
