"""X.509 certificates with RSA keys from 3072 bits on, and the CMS files (RFC 5652) that are wrapped for them.

A CMS file is EnvelopedData: a fresh AES-256 key wrapped with RSA (PKCS #1 v1.5), the content with AES-256-CBC. These
are the only ones that the cryptography library writes; it has neither OAEP nor authenticated content encryption for
CMS. Two things follow. The file alone proves nothing of who made it and does not notice every change: whoever may offer
changed files and see what becomes of them learns what is in the true ones (a padding oracle). So `open_` is for files
whose digest was signed by an owner for whom somebody vouches, and all failures are told alike. And the file shows
everybody the issuer and the serial number of the certificate.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from medveil.errors import KeyFileError
from medveil.keys.passphrases import as_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

PREFIX = "x509:"
PEM_MARK = b"-----BEGIN CERTIFICATE-----"
_MIN_RSA_BITS = 3072  # 128 bits of security: NIST SP 800-57 part 1, table 2
_MAX_RSA_BITS = 16384


def canonical(text: str) -> str:
    """The text of a certificate: "x509:" and the base64 of its DER. Its dates are not looked at.

    Raises:
        KeyFileError: damaged, or a key that is no RSA key, too short, or not for encryption.
    """
    return text_of(of_text(text))


def of_text(text: str) -> Certificate:
    """The certificate that `text` holds. Raises KeyFileError as `canonical` does."""
    from cryptography.x509 import load_der_x509_certificate

    try:
        certificate = load_der_x509_certificate(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except ValueError:
        raise _damaged() from None
    _check(certificate)
    return certificate


def text_of_pem(data: bytes, *, today: datetime | None = None) -> str:
    """The text of the one certificate in a PEM file.

    Args:
        data: the file.
        today: the time that it must be valid at; now unless given. An aware datetime.

    Raises:
        KeyFileError: as `canonical`; also when there are several, or it is not valid today.
    """
    certificate = of_pem(data)
    now = datetime.now(UTC) if today is None else today
    if now < certificate.not_valid_before_utc:
        raise KeyFileError(f"the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}")
    if now > certificate.not_valid_after_utc:
        raise KeyFileError(
            f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
            hint="ask its owner for the new one",
        )
    return text_of(certificate)


def of_pem(data: bytes) -> Certificate:
    """The one certificate in a PEM file. Raises KeyFileError as `canonical` does, and when there are several."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        found = load_pem_x509_certificates(data)
    except ValueError:
        raise _damaged() from None
    if len(found) != 1:
        raise KeyFileError(
            f"the file holds {len(found)} certificates, and exactly one is asked for",
            hint="give the certificate of the person, without those of its issuers",
        )
    _check(found[0])
    return found[0]


def seal(data: bytes, text: str) -> bytes:
    """`data` as a CMS file in DER, which `openssl cms -decrypt -inform DER` reads."""
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options

    builder = PKCS7EnvelopeBuilder().set_data(data).add_recipient(of_text(text))
    return builder.set_content_encryption_algorithm(AES256).encrypt(Encoding.DER, [PKCS7Options.Binary])


def open_(data: bytes, certificate: Certificate, key: RSAPrivateKey) -> bytes:
    """Content of a CMS file; see above for whose files may come here.

    Raises whatever the library raises for a file of another form or for another key; `wrapping.opened` makes one
    error of it all.
    """
    from cryptography.hazmat.primitives.serialization.pkcs7 import pkcs7_decrypt_der

    return pkcs7_decrypt_der(data, certificate, key, [])


def private_key_of_pem(data: bytes, certificate: Certificate, ask: Callable[[], str]) -> RSAPrivateKey:
    """The private key in a PEM file, which belongs to the certificate.

    Args:
        data: the file.
        certificate: the one in it.
        ask: called for the passphrase, if the key is under one.

    Raises:
        KeyFileError: there is none, it is damaged, under another passphrase, or belongs to another certificate.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    passphrase = None
    try:
        try:
            key = load_pem_private_key(data, None)  # checks the key, which takes a while: so it is not loaded twice
        except TypeError:
            passphrase = as_bytes(ask())
            key = load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "damaged" if passphrase is None else "damaged, or the passphrase is another one"
        raise KeyFileError(f"the private key beside the certificate is {reason}") from None
    if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise KeyFileError("the private key and the certificate in the file do not belong together")
    return key


def text_of(certificate: Certificate) -> str:
    """ "x509:" and the base64 of the DER."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return PREFIX + base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _check(certificate: Certificate) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import ExtensionNotFound, KeyUsage

    asked = f"RSA keys of {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits are taken"
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"the certificate has a key of an unknown kind; {asked}") from None
    if not isinstance(key, RSAPublicKey):
        raise KeyFileError(
            f"the certificate has a key of another kind (elliptic curve or the like); {asked}",
            hint="a key of medveil keygen is stronger, and of the post-quantum kind",
        )
    if not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        raise KeyFileError(f"the certificate has an RSA key of {key.key_size} bits; {asked}")
    try:
        usage = certificate.extensions.get_extension_for_class(KeyUsage).value
    except ExtensionNotFound:
        return
    except ValueError:
        raise _damaged() from None
    if not usage.key_encipherment:
        raise KeyFileError("the certificate is not for encryption: its key usage lacks keyEncipherment")


def _damaged() -> KeyFileError:
    return KeyFileError("the certificate is damaged", hint="ask its owner for the file again")
