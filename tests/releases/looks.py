"""What tests look at in a release: which sections a ring opens, and every byte and time of the folder."""

from __future__ import annotations

from pathlib import Path

from medveil.keys.openers import Opener
from medveil.keys.tiers import KeyRing, Section
from medveil.protection.encrypting import commit
from medveil.releases.access import find_access
from medveil.releases.packages.package import load_package
from medveil.releases.records import state as states


def ring_of(folder: Path, opener: Opener) -> KeyRing:
    """The keys that somebody has in a release, whatever this machine has seen of it before."""
    state = states.load(folder)
    return find_access(folder, state.ledger, state.manifest, opener, vouched=True).ring


def readable(folder: Path, ring: KeyRing) -> dict[bytes, set[Section]]:
    """Package id -> sections of which the ring has the very key that the owner committed to."""
    manifest = states.load(folder).manifest
    found: dict[bytes, set[Section]] = {}
    for entry in manifest.packages:
        header = load_package(folder, entry, manifest).header
        pairs = zip(header.sections, entry.commitments, strict=True)
        keys = {section: (ring.find(header.place(section)), promised) for (section, _), promised in pairs}
        opened = {section for section, (key, promised) in keys.items() if key and commit(key) == promised}
        if opened:
            found[entry.package] = opened
    return found


def image_ids(folder: Path) -> list[bytes]:
    """Ids of the packages that hold an image."""
    manifest = states.load(folder).manifest
    headers = [load_package(folder, entry, manifest).header for entry in manifest.packages]
    return [header.package for header in headers if header.bucket.height]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Path of every file -> its bytes and its time."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
