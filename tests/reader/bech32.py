"""BIP 173, as age uses it: of any length."""

from __future__ import annotations

from tests.reader.refusal import require

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def encode(prefix: str, data: bytes) -> str:
    """Lower case."""
    symbols = _regrouped(list(data), 8, 5, pad=True)
    rest = _checksum([*_expanded(prefix), *symbols, *[0] * 6]) ^ 1
    symbols += [rest >> (5 * (5 - place)) & 31 for place in range(6)]
    return f"{prefix}1" + "".join(_ALPHABET[symbol] for symbol in symbols)


def decode(word: str) -> tuple[str, bytes]:
    """(prefix in lower case, data)."""
    require(word in (word.lower(), word.upper()), "a key in mixed case")
    prefix, found, coded = word.lower().rpartition("1")
    require(bool(prefix and found) and len(coded) >= 6 and set(coded) <= set(_ALPHABET), "no key")
    symbols = [_ALPHABET.index(letter) for letter in coded]
    require(_checksum([*_expanded(prefix), *symbols]) == 1, "a key with a wrong checksum")
    return prefix, bytes(_regrouped(symbols[:-6], 5, 8, pad=False))


def _expanded(prefix: str) -> list[int]:
    return [*(ord(each) >> 5 for each in prefix), 0, *(ord(each) & 31 for each in prefix)]


def _checksum(symbols: list[int]) -> int:
    state = 1
    for symbol in symbols:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(_GENERATORS):
            state ^= generator if top >> bit & 1 else 0
    return state


def _regrouped(values: list[int], before: int, after: int, *, pad: bool) -> list[int]:
    held = bits = 0
    out = []
    for value in values:
        held, bits = held << before | value, bits + before
        while bits >= after:
            bits -= after
            out.append(held >> bits & ((1 << after) - 1))
    rest = held & ((1 << bits) - 1)
    if pad and bits:
        out.append(rest << (after - bits))
    require(pad or (bits < before and rest == 0), "a key with bits to spare")
    return out
