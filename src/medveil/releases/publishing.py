"""Making staged packages the release: sign what is there, then switch to it in one rename (new) or two (added)."""

from __future__ import annotations

import datetime
import hashlib
import os
from pathlib import Path

from medveil.errors import MedveilError, TargetExistsError
from medveil.files.atomic import write_bytes
from medveil.keys.identity import Identity
from medveil.releases import manifest as manifests
from medveil.releases.book import BOOK, OwnerBook
from medveil.releases.identity import DICTIONARY
from medveil.releases.manifest import Manifest
from medveil.releases.settings import ShareSettings, codec_for
from medveil.releases.staging import LOCK, Origins, check_whole, staging_of, sweep
from medveil.releases.stored import weights_path


def publish(
    out: Path, existing: Manifest | None, book: OwnerBook, staged: Origins, settings: ShareSettings, owner: Identity
) -> Manifest:
    """Sign and publish the staged packages; `out` is the release that was there, or is made.

    Raises:
        MedveilError: a file cannot be written or moved; the old release, or none, is there still.
    """
    try:
        if existing is None:
            return _new(out, book, staged, settings, owner)
        return _added(out, existing, book, staged, owner)
    except OSError as error:
        raise MedveilError(
            f"the release cannot be written: {error.strerror or type(error).__name__}",
            hint="run the same command again; it continues where it stopped",
        ) from None


def _new(out: Path, book: OwnerBook, staged: Origins, settings: ShareSettings, owner: Identity) -> Manifest:
    staging = staging_of(out)
    weights = _embed(staging, book, settings.codec)
    entries = sorted(staged.values())
    sweep(
        staging,
        {entry.path for entry in entries}
        | {f"grants/{note.grant_id.hex()}.age" for note in book.grants}
        | {weights_path(staging, digest).relative_to(staging).as_posix() for digest in weights},
    )
    check_whole(staging, entries)
    manifest = Manifest(
        book.release, book.epoch, 0, owner.recipient.verify_key, owner.recipient.age, book.protection, book.profile,
        book.grids, book.created, book.decoys, weights, _grants(staging), _digest(staging / BOOK),
        _digest(staging / DICTIONARY) if (staging / DICTIONARY).exists() else b"", tuple(entries),
    )  # fmt: skip
    manifests.save(staging, manifest, owner)
    level_times(staging, book.created)
    if out.exists():
        out.rmdir()  # empty: share looked before it began
    (staging / LOCK).unlink()
    os.replace(staging, out)
    level_times(out, book.created)
    return manifest


def _added(out: Path, existing: Manifest, book: OwnerBook, staged: Origins, owner: Identity) -> Manifest:
    manifest = existing.with_packages([*existing.packages, *staged.values()])
    check_whole(staging_of(out), sorted(staged.values()))
    manifests.announce(out, manifest, owner, via=staging_of(out))
    for entry in staged.values():
        (out / entry.path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging_of(out) / entry.path, out / entry.path)
    check_whole(out, list(manifest.packages))
    manifests.save(out, manifest, owner, via=staging_of(out))
    level_times(out, book.created)
    return manifest


def level_times(out: Path, day: str) -> None:
    """Give every file and folder of the release the same time: midnight UTC of the day it was made."""
    moment = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp()
    for path in [*out.rglob("*"), out]:
        os.utime(path, (moment, moment))


def size_of(out: Path) -> int:
    """Length in bytes of all files of a release."""
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def _grants(staging: Path) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(sorted((bytes.fromhex(path.stem), _digest(path)) for path in (staging / "grants").glob("*.age")))


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _embed(staging: Path, book: OwnerBook, codec: str) -> tuple[bytes, ...]:
    if not (book.embed and book.profile.weights):
        return ()
    weights = codec_for(codec, book.profile, None).weights_bytes()
    if hashlib.sha256(weights).digest() != book.profile.weights:
        raise TargetExistsError("it was begun with other weights of the codec", hint="share into a new folder")
    path = weights_path(staging, book.profile.weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, weights, overwrite=True)
    return (book.profile.weights,)
