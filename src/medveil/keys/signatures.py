"""Ed25519 signatures over a context and a message: what an owner signs, and how anybody checks it."""

from __future__ import annotations

from medveil.keys.points import Curve, check_point


def sign(signing_seed: bytes, context: bytes, message: bytes) -> bytes:
    """Signature (64 bytes) over context, a zero byte and the message. No context holds a zero byte."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(signing_seed).sign(context + b"\x00" + message)


def verify_key_of(signing_seed: bytes) -> bytes:
    """Raw public key (32 bytes) of a seed (32 bytes)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(signing_seed).public_key().public_bytes_raw()


def signature_fits(verify_key: bytes, signature: bytes, context: bytes, message: bytes) -> bool:
    """Whether a signature made by `sign` fits; never under a key of small order, for which anybody can make one."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        check_point(verify_key, Curve.ED25519)
        Ed25519PublicKey.from_public_bytes(verify_key).verify(signature, context + b"\x00" + message)
    except (InvalidSignature, ValueError):
        return False
    return True
