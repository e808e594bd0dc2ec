"""Wrapping for a recipient of any kind, and the one error that every failure to unwrap is."""

from __future__ import annotations

from collections.abc import Callable

from medveil.errors import KeyFileError, NoFittingKeyError
from medveil.keys import bech32, certificates, hybrid
from medveil.keys.recipients import Recipient, Wrap

MAX_WRAPPED_BYTES = 64 * 1024


def wrap(data: bytes, recipient: Recipient) -> bytes:
    """`data` for one recipient: an age file, or a CMS file (DER) for a certificate.

    Raises:
        KeyFileError: nothing can be wrapped for this public key: it is damaged, too weak, or of small order. It is
            looked at here once more, since releases of former versions may name such a one in their notes.
    """
    try:
        Recipient.parse(recipient.text)
        return _wrapped(data, recipient)
    except KeyFileError as error:
        raise KeyFileError(
            f"nothing can be wrapped for key {recipient.fingerprint}: {error.message}",
            hint="where a release was shared with it, medveil revoke takes it out; ask its owner for another key",
        ) from None


def _wrapped(data: bytes, recipient: Recipient) -> bytes:
    if recipient.wrap is Wrap.HYBRID:
        try:
            return hybrid.seal(data, bech32.decode(recipient.text, hybrid.RECIPIENT_PREFIX))
        except ValueError:
            raise _damaged() from None
    if recipient.wrap is Wrap.CMS_RSA:
        return certificates.seal(data, recipient.text)
    import pyrage
    from pyrage import ssh, x25519

    kind = x25519 if recipient.wrap is Wrap.X25519 else ssh
    try:
        return bytes(pyrage.encrypt(data, [kind.Recipient.from_str(recipient.text)]))
    except (pyrage.EncryptError, pyrage.RecipientError):
        raise _damaged() from None


def _damaged() -> KeyFileError:
    return KeyFileError("it is damaged")


def opened(data: bytes, opening: Callable[[bytes], bytes], fingerprint: str, limit: int) -> bytes:
    """`opening(data)`, with every failure made the same.

    A private key is put to work on `data` here, and each answer would tell the sender of a made-up file something of
    the key. That the release's founder signed the digest of the file does not help: anybody can found a release. So
    the answers are alike: one error, one text, for a wrong key, a damaged file, a file of another kind or size; and
    the caller goes on so (`opens_nothing`) until an owner's signature inside the file fits.

    Raises:
        NoFittingKeyError: it does not open.
    """
    try:
        if len(data) <= limit:
            return opening(data)
    except Exception:  # noqa: BLE001, S110 - no kind of failure is to be told from another
        pass
    raise opens_nothing(fingerprint)


def opens_nothing(fingerprint: str) -> NoFittingKeyError:
    """The one error of every file in a release that does not open for a key, or does not count, whatever the reason."""
    return NoFittingKeyError(
        f"key {fingerprint} opens nothing in this release",
        hint="use the key that it was shared with, or ask the owner to share it with this one; if a deputy granted it, "
        "name the founder with --owner",
    )
