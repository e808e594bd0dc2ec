"""The codec's weights in a release: shipped ones for everybody to read, own ones sealed unless they are published.

Weights that were trained on patients say something of those patients: publishing them is a second release.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from medveil.codecs.code import Codec
from medveil.errors import TargetExistsError
from medveil.files.atomic import make_folder, write_bytes
from medveil.files.reading import read_regular
from medveil.keys.tiers import KeyRing
from medveil.releases.access import read_shared, weights_name, write_shared
from medveil.releases.records.manifest import Manifest, SharedFile
from medveil.releases.records.owner_records import OwnerBook
from medveil.releases.settings import ShareSettings, codec_for

_MAX_WEIGHTS = 1 << 30


def embed_weights(
    staging: Path, book: OwnerBook, settings: ShareSettings
) -> tuple[tuple[bytes, ...], tuple[SharedFile, ...]]:
    """Put the weights of a release's codec beside its packages: (digests of public files, sealed files)."""
    from medveil.codecs.registry import is_shipped

    manifest = book.manifest
    digest = manifest.profile.weights
    if not book.settings.get("embed") or not digest:
        return (), ()
    data = codec_for(settings.codec, manifest.profile, None).weights_bytes()
    if hashlib.sha256(data).digest() != digest:
        raise TargetExistsError("it was begun with other weights of the codec", hint="share into a new folder")
    if not is_shipped(digest) and not settings.publish_weights:
        name = weights_name(digest, manifest.epoch)
        return (), (write_shared(staging, name, data, manifest.release, manifest.epoch, book.ring),)
    path = public_path(staging, digest)
    make_folder(path.parent)
    write_bytes(path, data, overwrite=True)
    return (digest,), ()


def public_path(folder: Path, digest: bytes) -> Path:
    """Where a release keeps public weights of that sha256."""
    return folder / "weights" / f"{digest.hex()}.safetensors"


def weights_of(folder: Path, manifest: Manifest, ring: KeyRing | None) -> bytes | None:
    """The embedded weights of a release; None where it has none, or the ring does not open them."""
    digest = manifest.profile.weights
    if digest in manifest.weights:
        return read_regular(public_path(folder, digest), limit=_MAX_WEIGHTS, what="weights file")
    begin = f"weights/{digest.hex()}."
    file = next((file for file in manifest.shared if file.name.startswith(begin)), None)
    return read_shared(folder, file, manifest, ring) if file is not None and ring is not None else None


def codec_of(folder: Path, manifest: Manifest, ring: KeyRing | None) -> Codec:
    """The codec of a release's profile, with embedded weights where it needs any and the ring opens them."""
    from medveil.codecs.registry import codec_of_profile

    return codec_of_profile(manifest.profile, weights_of(folder, manifest, ring) if manifest.profile.weights else None)
