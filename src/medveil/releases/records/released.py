"""What was released openly before, as this machine remembers it: a second release of one image can undo the first.

One file a release, in the user's state folder:

    released/<first 16 digits of sha256 of the owner's public key>/<id>.cbor    {method, epsilon, images}

`images` are HMACs of pixels under a key of the owner's, so that the list tells nobody else what was released; `epsilon`
is what differential privacy was spent on each, as a fraction in text, and empty where there is none.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from medveil.errors import IntegrityError, MedveilError
from medveil.files import canonical
from medveil.files.atomic import make_folder, remove_all, write_bytes
from medveil.images.image import Image
from medveil.keys.identity import Identity
from medveil.protection.keystream import derive

_TAG_BYTES = 16
_MAX_BYTES = 1 << 26
_MAX_ITEMS = 1 << 22


@dataclass(frozen=True)
class Released:
    """One release that was made before.

    Attributes:
        method: its method.
        secret: whether that draws secret randomness.
        epsilon: ε for m pixels that was spent on each image; 0 where that says nothing.
        images: tags of the images.
    """

    method: str
    secret: bool
    epsilon: Fraction = Fraction(0)
    images: frozenset[bytes] = field(default=frozenset(), repr=False)


def tag_of(image: Image, owner: Identity) -> bytes:
    """What stands for the pixels of an image, whatever its file is called and however it is compressed."""
    pixels = np.ascontiguousarray(image.frames)
    digest = hashlib.sha256(repr((pixels.shape, image.bits_stored, pixels.dtype.str)).encode())
    digest.update(pixels.data)
    key = derive(owner.signing_seed, b"medveil/v1/released")
    return hmac.digest(key, digest.digest(), "sha256")[:_TAG_BYTES]


def known(owner: Identity, *, but: bytes = b"") -> list[Released]:
    """What this machine remembers of the owner's releases, without the one of id `but`.

    Raises:
        IntegrityError: a record is damaged: what it held would not be noticed.
    """
    found, key = [], owner.recipient.verify_key
    for path in sorted(set(_folder(key).glob("*.cbor")) - {_path(key, but)}):
        try:
            record = canonical.loads(
                path.read_bytes(), what="memory of a release", limit=_MAX_BYTES, max_items=_MAX_ITEMS
            )
            tags = frozenset(record["images"])
            found.append(Released(str(record["method"]), bool(record["secret"]), Fraction(record["epsilon"]), tags))
        except (OSError, KeyError, TypeError, ValueError, IntegrityError):
            raise IntegrityError(
                "what this machine remembers of an earlier open release cannot be read",
                hint=f"see to the files in the folder {_folder(key).name} of medveil's state folder; --again goes on",
            ) from None
    return found


def spent(earlier: Iterable[Released], images: Iterable[bytes]) -> Fraction:
    """The most ε for m pixels that was spent so far on one of these images; what releases spend adds up."""
    total = dict.fromkeys(images, Fraction(0))
    for release in earlier:
        for image in release.images & total.keys():
            total[image] += release.epsilon
    return max(total.values(), default=Fraction(0))


def remember(owner: Identity, release: bytes, what: Released) -> None:
    """Keep what is about to be released.

    Raises:
        MedveilError: it cannot be written; nothing may be released then.
    """
    record = {
        "method": what.method, "secret": what.secret, "epsilon": str(what.epsilon), "images": sorted(what.images),
    }  # fmt: skip
    key = owner.recipient.verify_key
    try:
        make_folder(_folder(key), mode=0o700)
        write_bytes(_path(key, release), canonical.dumps(record), mode=0o600, overwrite=True)
    except OSError as error:
        raise MedveilError(
            f"what is released cannot be remembered: {error.strerror or type(error).__name__}",
            hint="see to space and permissions of medveil's state folder; nothing was released",
        ) from None


def forget(owner: Identity, release: bytes) -> None:
    """Take back what was remembered of a release that did not come about."""
    remove_all([_path(owner.recipient.verify_key, release)])


def made_here(owner: bytes, release: bytes) -> bool:
    """Whether this machine made the release of that id for the owner with that verify key."""
    return _path(owner, release).is_file()


def _folder(owner: bytes) -> Path:
    from platformdirs import user_state_path

    return user_state_path("medveil", appauthor=False) / "released" / hashlib.sha256(owner).hexdigest()[:16]


def _path(owner: bytes, release: bytes) -> Path:
    return _folder(owner) / f"{release.hex()}.cbor"
