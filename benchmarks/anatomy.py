"""Where the bytes of a release go, section by section, before and after padding. Needs the owner's key."""

from __future__ import annotations

from pathlib import Path

from medveil.codecs.registry import get_codec
from medveil.keys.identity import Identity
from medveil.keys.tiers import KeyRing, Section
from medveil.protection import padding
from medveil.protection.encrypting import TAG_BYTES, decrypt
from medveil.protection.support import coded_bytes
from medveil.releases.deputies import read_book
from medveil.releases.packages.package import Package, load_package
from medveil.releases.records import state as states
from medveil.releases.records.manifest import Manifest


def anatomy(folder: Path, owner: Path) -> dict[str, int]:
    """Bytes by part; the parts sum to the whole release on disk.

    `padding` is what the sections' padding adds, so that the parts before it are what they would be without.
    """
    manifest, ring = _opened(folder, owner)
    parts = dict.fromkeys(("code: support", "code: signs", "code: levels, scales and DC", "code"), 0)
    parts |= dict.fromkeys(("image record", "identity", "package headers", "padding"), 0)
    for entry in manifest.packages:
        package = load_package(folder, entry, manifest)
        lengths = dict(package.header.sections)
        parts["package headers"] += entry.length - sum(lengths.values())
        for section, name in ((Section.IMAGE, "image record"), (Section.IDENTITY, "identity"), (Section.CODE, "code")):
            if section is Section.CODE and manifest.protection == "sealed":
                _add_sealed(parts, package, manifest)
                continue
            key = ring.key(package.header.place(section))
            plain = decrypt(package.sections[section], key, package.header.associated_data(section))
            length = len(padding.remove(plain))
            parts[name] += length + TAG_BYTES
            parts["padding"] += len(plain) - length
    parts["manifest and signature"] = sum((folder / name).stat().st_size for name in ("manifest.cbor", "manifest.sig"))
    whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    parts["grants, and what the owner keeps"] = whole - sum(parts.values())
    return {name: size for name, size in parts.items() if size}


def code_bytes(folder: Path, owner: Path) -> dict[str, int]:
    """Package id -> bytes of its code with the AEAD's tag, before padding (encrypted releases)."""
    manifest, ring = _opened(folder, owner)
    found = {}
    for entry in manifest.packages:
        package = load_package(folder, entry, manifest)
        key = ring.key(package.header.place(Section.CODE))
        data = decrypt(package.sections[Section.CODE], key, package.header.associated_data(Section.CODE))
        found[entry.package.hex()] = len(padding.remove(data)) + TAG_BYTES
    return found


def _opened(folder: Path, owner: Path) -> tuple[Manifest, KeyRing]:
    """The manifest of a release, and the keys of all that is in it."""
    state = states.load(folder)
    return state.manifest, read_book(folder, state, Identity.load(owner)).ring


def _add_sealed(parts: dict[str, int], package: Package, manifest: Manifest) -> None:
    composition = get_codec(manifest.profile.codec).composition(manifest.profile, package.header.bucket)
    signs = -(-sum(shape.nonzeros for shape in composition.maps) // 8)
    parts["code: support"] += coded_bytes([(shape.cells, shape.nonzeros) for shape in composition.maps])
    parts["code: signs"] += signs
    parts["code: levels, scales and DC"] += composition.level_bytes
