"""Identity sections: path, digest and identity record of an original, deflated against a dictionary of the release.

Pictures of one program carry the same colour profile, which is longer than all else in their records. Such profiles are
kept once a release, sealed under the identity root; every identity section is a zlib stream with that dictionary. So
the sections are short, and can be padded to one length for the whole release.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass

from medveil.errors import IntegrityError
from medveil.files import canonical

MAX_PATH = 1 << 15  # characters; no system has longer ones
MAX_DICTIONARY = 32 * 1024  # zlib's window: what is farther back is of no use
_MAX_ITEMS = 16
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Origin:
    """What the identity section says of where a package came from.

    Attributes:
        path: relative path with forward slashes, as found below the named input.
        sha256: digest of the original file.
    """

    path: str
    sha256: bytes


def pack_identity(origin: Origin, record: bytes, dictionary: bytes) -> bytes:
    """Content of an identity or attachment section: CBOR [path, sha256, record], deflated."""
    stream = zlib.compressobj(9, zdict=dictionary) if dictionary else zlib.compressobj(9)
    return stream.compress(canonical.dumps([origin.path, origin.sha256, record])) + stream.flush()


def unpack_identity(data: bytes, dictionary: bytes, what: str, limit: int) -> tuple[Origin, bytes]:
    """The inverse of pack_identity, of at most `limit` bytes. Raises IntegrityError for what it would not write."""
    stream = zlib.decompressobj(zdict=dictionary) if dictionary else zlib.decompressobj()
    try:
        plain = stream.decompress(data, limit)
    except zlib.error:
        plain = b""
    if not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise IntegrityError(f"the {what} of a package is damaged or too long")
    value = canonical.loads(plain, what=what, limit=limit, max_items=_MAX_ITEMS)
    try:
        path, sha256, record = value
    except (TypeError, ValueError):
        raise IntegrityError(f"the {what} of a package does not have its three fields") from None
    if not (isinstance(path, str) and isinstance(sha256, bytes) and isinstance(record, bytes)):
        raise IntegrityError(f"the {what} of a package does not have its three fields")
    if len(path) > MAX_PATH or len(sha256) != _DIGEST_BYTES:
        raise IntegrityError(f"the {what} of a package does not have its three fields")
    return Origin(path, sha256), record


def common_part(profiles: list[bytes]) -> bytes:
    """A dictionary of at most 32 KiB: the colour profiles that two or more images carry, the most frequent last.

    Nothing else goes into it: whoever opens one identity section has the dictionary, and a name that stood in it would
    be told to all of them.
    """
    counted = Counter(profile for profile in profiles if profile)
    common = sorted((count, profile) for profile, count in counted.items() if count > 1)
    return b"".join(profile for _, profile in common)[-MAX_DICTIONARY:]
