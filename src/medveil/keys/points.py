"""Points of small order on the two curves that keys lie on: public keys that anybody has the secret of.

Curve25519 has eight points of order 1, 2, 4 or 8. As X25519 key each of them gives every sender the same secret, so
everybody opens what is wrapped for it; as Ed25519 key it takes signatures that anybody can make (RFC 7748, section 6.1;
Chalkias, Garillot and Nikolaenko, "Taming the Many EdDSAs", 2020). Each is told here by its one coordinate, whatever
the sign bit says and whether or not the number is below p.
"""

from __future__ import annotations

from enum import Enum

_P = 2**255 - 19
_KEY_BYTES = 32
_Y8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826  # of a point of order 8; the other is -y
_U8 = tuple((1 + y) * pow(1 - y, -1, _P) % _P for y in (_Y8, -_Y8))


class Curve(Enum):
    """Which coordinate the 32 bytes hold, with that of every point of small order.

    The twist of Curve25519 adds u = -1, of order 4; the point at infinity has no u and is sent as 0.
    """

    ED25519 = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})  # y of orders 4, 1, 2, 8, 8
    X25519 = frozenset({0, 1, _P - 1, *_U8})  # u of orders 2, 4, 4 (on the twist), 8, 8


def check_point(raw: bytes, curve: Curve) -> None:
    """The one check of a public key that somebody else names: recipient, deputy, owner or signer.

    Raises:
        ValueError: not 32 bytes, a point of small order in any encoding, an Ed25519 key whose y is not below p, which
            RFC 8032 (section 5.1.3) does not decode, or an X25519 key that is not below p: its owner's program writes
            the number below p, and opens nothing that names the other. The text says which.
    """
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"it has {len(raw)} bytes, not {_KEY_BYTES}")
    number = int.from_bytes(raw, "little")
    coordinate = number % (1 << 255)
    if coordinate % _P in curve.value:
        raise ValueError("a point of small order: everybody has its secret key")
    if (coordinate if curve is Curve.ED25519 else number) >= _P:
        raise ValueError("its encoding is not canonical")
