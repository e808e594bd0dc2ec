"""Bech32 decoding (BIP 173), as age writes its keys; the 90-character limit does not apply to age keys."""

from __future__ import annotations

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def decode(text: str, prefix: str) -> bytes:
    """Payload bytes of a bech32 string with the human-readable part `prefix`.

    Raises:
        ValueError: mixed case, another prefix, a bad character, a wrong checksum or bad padding.
    """
    if text not in (text.lower(), text.upper()):
        raise ValueError("mixed case")
    text = text.lower()
    start = prefix.lower() + "1"
    if not text.startswith(start) or len(text) < len(start) + 6:
        raise ValueError("another prefix")
    try:
        values = [_CHARSET.index(character) for character in text[len(start) :]]
    except ValueError:
        raise ValueError("a character outside the alphabet") from None
    expanded = [ord(c) >> 5 for c in prefix.lower()] + [0] + [ord(c) & 31 for c in prefix.lower()]
    if _polymod(expanded + values) != 1:
        raise ValueError("wrong checksum")
    return _to_bytes(values[:-6])


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check


def _to_bytes(values: list[int]) -> bytes:
    number, bits = 0, 0
    out = bytearray()
    for value in values:
        number = number << 5 | value
        bits += 5
        if bits >= 8:
            bits -= 8
            out.append(number >> bits & 0xFF)
            number &= (1 << bits) - 1
    if bits >= 5 or number:
        raise ValueError("bad padding")
    return bytes(out)
