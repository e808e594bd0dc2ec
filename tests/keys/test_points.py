"""The eight points of small order, in every encoding, are taken nowhere; the eight are computed here, not copied."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from tests.reader import edwards
from tests.reader.edwards import P

from medveil.errors import KeyFileError
from medveil.keys import bech32, hybrid
from medveil.keys.grants import CONTEXT
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient
from medveil.keys.signatures import signature_fits
from medveil.keys.wrapping import wrap


def _torsion() -> list[edwards.Point]:
    """The eight points: multiples of L times a point that lies in no smaller group."""
    order = 2**252 + 27742317777372353535851937790883648493
    for y in range(2, 100):
        start = edwards.decoded(y.to_bytes(32, "little"))
        if start is None:
            continue
        generator, doubled = (0, 1), start
        for bit in range(order.bit_length()):
            if order >> bit & 1:
                generator = edwards.added(generator, doubled)
            doubled = edwards.added(doubled, doubled)
        points = [(0, 1)]
        while len(points) < 8:
            points.append(edwards.added(points[-1], generator))
        if len(set(points)) == 8:
            return points
    raise AssertionError("no point of full order among the first")


TORSION = _torsion()


def ed25519_encodings() -> list[bytes]:
    """y, and y + p where 255 bits hold it, each with both sign bits."""
    ys = sorted({y for _, y in TORSION})
    numbers = [*ys, *(y + P for y in ys if y + P < 1 << 255)]
    return [(number + sign).to_bytes(32, "little") for number in numbers for sign in (0, 1 << 255)]


def x25519_encodings() -> list[bytes]:
    """u of the eight points and of the twist's of order 4, and u + p where it fits, each with both top bits."""
    us = sorted({(1 + y) * pow(1 - y, -1, P) % P for _, y in TORSION if y != 1} | {0, P - 1})
    numbers = [*us, *(u + P for u in us if u + P < 1 << 255)]
    return [(number + top).to_bytes(32, "little") for number in numbers for top in (0, 1 << 255)]


def ssh_line(raw: bytes) -> str:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", raw))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def test_there_are_as_many_as_the_literature_says():
    assert len(set(TORSION)) == 8
    assert len(set(ed25519_encodings())) == 14
    assert len(set(x25519_encodings())) == 14


@pytest.mark.parametrize("raw", ed25519_encodings(), ids=bytes.hex)
def test_an_ed25519_key_of_small_order_is_taken_nowhere(write, raw):
    for text in (ssh_line(raw), f"{ssh_line(raw)} alice@hospital"):
        with pytest.raises(KeyFileError, match="small order"):
            Recipient.parse(text)
        with pytest.raises(KeyFileError, match="small order"):
            Recipient.load(write("id.pub", text))
    with pytest.raises(KeyFileError, match="small order"):
        wrap(b"content", Recipient(ssh_line(raw)))  # as the notes of a former release may name it
    mine = Identity(bytes(32)).recipient.text
    with pytest.raises(KeyFileError, match="small order"):
        Recipient(mine, raw)
    lines = [
        f"# verify-key: {base64.b64encode(raw).decode()}",
        f"# self-signature: {base64.b64encode(bytes(64)).decode()}",
    ]
    with pytest.raises(KeyFileError, match="small order"):
        Recipient.load(write("deputy.pub", "\n".join([*lines, mine])))


@pytest.mark.parametrize("raw", x25519_encodings(), ids=bytes.hex)
def test_an_x25519_key_of_small_order_is_taken_nowhere(raw):
    """Its shared secret is zero for everybody, which the library says for some of them only when it is too late."""
    with pytest.raises(ValueError, match=r".*"):
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(raw))
    half = hybrid.public_bytes_of(bytes(32))[:-32]
    for text in (bech32.encode(raw, "age"), bech32.encode(half + raw, "age1pq")):
        with pytest.raises(KeyFileError, match="small order"):
            Recipient.parse(text)
        with pytest.raises(KeyFileError, match="small order"):
            wrap(b"content", Recipient(text))


def test_nobody_signs_with_a_key_of_small_order():
    """With S = 0 and R a point of small order the equation of RFC 8032 holds for one message in eight or less."""
    forged = 0
    for raw in ed25519_encodings():
        for counter in range(64):
            message, signature = counter.to_bytes(2, "big"), ed25519_encodings()[0] + bytes(32)
            try:
                Ed25519PublicKey.from_public_bytes(raw).verify(signature, CONTEXT + b"\0" + message)
            except Exception:  # noqa: BLE001 - how the library refuses does not matter
                continue
            forged += 1
            assert not signature_fits(raw, signature, CONTEXT, message)
    assert forged  # the library by itself takes some of them


def test_an_ed25519_key_that_rfc_8032_does_not_decode_is_refused():
    from medveil.keys.points import Curve, check_point

    for number in range(P, 1 << 255):
        with pytest.raises(ValueError, match=r"small order|not canonical"):
            check_point(number.to_bytes(32, "little"), Curve.ED25519)


def test_an_x25519_key_that_its_owners_program_writes_otherwise_is_refused():
    """What is wrapped for it nobody opens: the text of a key goes into what the file key is wrapped with."""
    half = hybrid.public_bytes_of(bytes(32))[:-32]
    for number in (9 + P, 12345 + (1 << 255), (1 << 256) - 1):
        raw = number.to_bytes(32, "little")
        for text in (bech32.encode(raw, "age"), bech32.encode(half + raw, "age1pq")):
            with pytest.raises(KeyFileError, match="not canonical"):
                Recipient.parse(text)


def test_keys_as_they_are_made_are_taken():
    from medveil.keys.points import Curve, check_point

    for number in range(32):
        raw = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw()
        check_point(raw, Curve.ED25519)
        assert edwards.takes_signatures(raw)
        check_point(
            X25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw(), Curve.X25519
        )
    for raw in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="bytes, not 32"):
            check_point(raw, Curve.ED25519)


def test_both_readers_tell_the_same_points():
    from medveil.keys.points import Curve, check_point

    for raw in ed25519_encodings():
        assert not edwards.takes_signatures(raw)
        with pytest.raises(ValueError, match="small order"):
            check_point(raw, Curve.ED25519)
