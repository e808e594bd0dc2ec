"""Identity sections: path, digest and identity record of an original, deflated against what the release has in common.

Originals of one hospital share most of their attributes, and pictures of one program the same colour profile. A sample
of them is kept once a release, as `identity.dict`, sealed under the identity root; every identity section is a zlib
stream with that preset dictionary. So the sections are short, and can be padded to one length for the whole release.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.files.atomic import write_bytes
from medveil.files.reading import read_regular
from medveil.keys.tiers import ReleaseKeys, hkdf

DICTIONARY = "identity.dict"
MAX_RECORD = 1 << 28
_MAX_DICTIONARY = 32 * 1024  # zlib's window: what is farther back is of no use
_MAX_SAMPLES = 16
_MAX_ITEMS = 16
_MAX_FILE = 1 << 16


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


def unpack_identity(data: bytes, dictionary: bytes, what: str) -> tuple[Origin, bytes]:
    """The inverse of pack_identity. Raises IntegrityError for anything that it would not write."""
    stream = zlib.decompressobj(zdict=dictionary) if dictionary else zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_RECORD)
    except zlib.error:
        plain = b""
    if not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise IntegrityError(f"the {what} of a package is damaged or too long")
    value = canonical.loads(plain, what=what, limit=MAX_RECORD, max_items=_MAX_ITEMS)
    try:
        path, sha256, record = value
    except (TypeError, ValueError):
        raise IntegrityError(f"the {what} of a package does not have its three fields") from None
    if not (isinstance(path, str) and isinstance(sha256, bytes) and isinstance(record, bytes)):
        raise IntegrityError(f"the {what} of a package does not have its three fields")
    return Origin(path, sha256), record


def common_part(records: list[bytes]) -> bytes:
    """A dictionary of at most 32 KiB: distinct records, evenly spread over the release."""
    distinct = sorted({record for record in records if len(record) > 16}, key=lambda record: (len(record), record))
    spread = distinct[:: max(1, -(-len(distinct) // _MAX_SAMPLES))]
    return b"".join(record[: _MAX_DICTIONARY // max(1, len(spread))] for record in spread)


def write_dictionary(folder: Path, release: bytes, keys: ReleaseKeys) -> None:
    """Seal the dictionary under the identity root and store it; nothing is stored where it is empty."""
    from medveil.protection import padding
    from medveil.protection.encrypting import encrypt

    if keys.dictionary:
        sealed = encrypt(padding.to_steps(keys.dictionary), _key(keys, release), _associated(release))
        write_bytes(folder / DICTIONARY, sealed, overwrite=True)


def read_dictionary(folder: Path, release: bytes, keys: ReleaseKeys) -> bytes:
    """The dictionary of a release, or nothing where it has none or the keys do not open identity."""
    from medveil.protection import padding
    from medveil.protection.encrypting import decrypt

    if not keys.identity_key:
        return b""
    try:
        data = read_regular(folder / DICTIONARY, limit=_MAX_FILE, what="identity dictionary")
    except FileNotFoundError:
        return b""
    return padding.remove(decrypt(data, _key(keys, release), _associated(release)))


def _key(keys: ReleaseKeys, release: bytes) -> bytes:
    return hkdf(keys.identity_key, b"medveil/v1/dictionary\x00" + release)


def _associated(release: bytes) -> bytes:
    return canonical.dumps(["medveil/v1/dictionary", release])
