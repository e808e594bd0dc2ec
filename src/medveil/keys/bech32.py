"""Bech32 (BIP 173), as age writes its keys; the 90-character limit does not apply to age keys."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_FOLDED = [
    functools.reduce(operator.xor, (each for bit, each in enumerate(_GENERATOR) if top >> bit & 1), 0)
    for top in range(32)
]
"""What each value of the upper five bits of the checksum adds to it: post-quantum keys have 1959 characters."""
_CHECKSUM_LENGTH = 6


def encode(payload: bytes, prefix: str) -> str:
    """The bech32 string of `payload` in lower case; `prefix` is its human-readable part."""
    prefix = prefix.lower()
    values = list(_regrouped(payload, 8, 5))
    if len(payload) % 5:
        values.append(payload[-1] << (5 - len(payload) * 8 % 5) & 31)
    check = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM_LENGTH]) ^ 1
    values += [check >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_LENGTH)]
    return prefix + "1" + "".join(_CHARSET[value] for value in values)


def decode(text: str, prefix: str) -> bytes:
    """Payload bytes of a bech32 string with the human-readable part `prefix`.

    Raises:
        ValueError: mixed case, another prefix, a bad character, a wrong checksum or bad padding. The message
            holds nothing of the text.
    """
    if text not in (text.lower(), text.upper()):
        raise ValueError("mixed case")
    text, prefix = text.lower(), prefix.lower()
    if not text.startswith(prefix + "1") or len(text) < len(prefix) + 1 + _CHECKSUM_LENGTH:
        raise ValueError("another prefix")
    try:
        values = [_CHARSET.index(character) for character in text[len(prefix) + 1 :]]
    except ValueError:
        raise ValueError("a character outside the alphabet") from None
    if _polymod(_expanded(prefix) + values) != 1:
        raise ValueError("wrong checksum")
    values = values[:-_CHECKSUM_LENGTH]
    spare = len(values) * 5 % 8
    if spare >= 5 or (spare and values[-1] & (1 << spare) - 1):
        raise ValueError("bad padding")
    return bytes(_regrouped(values, 5, 8))


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _FOLDED[check >> 25]
    return check


def _expanded(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _regrouped(values: Iterable[int], before: int, after: int) -> Iterable[int]:
    """The bits of groups of `before` bits in whole groups of `after` bits; what is left over is dropped."""
    number, bits = 0, 0
    for value in values:
        number = number << before | value
        bits += before
        while bits >= after:
            bits -= after
            yield number >> bits
            number &= (1 << bits) - 1
