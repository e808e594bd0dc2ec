"""Chapter 4: coded supports, and chapter 6: coded subsets."""

from __future__ import annotations

from functools import cache
from itertools import accumulate

from tests.reader.rangecoder import ONE, PRECISION, RangeDecoder, RangeEncoder, bit
from tests.reader.refusal import require

MAX_CELLS = 1 << 28
_FRACTION = 62

Shape = tuple[int, int]


@cache
def _model(cells: int, ones: int) -> tuple[tuple[int, ...], int]:
    """(numerator of each digit, numerator of going on)."""
    power = ((cells - ones) << _FRACTION) // cells
    digits = []
    while power > 1 << (_FRACTION - 1):
        digits.append(_held((power << PRECISION) // ((1 << _FRACTION) + power)))
        power = power * power >> _FRACTION
    return tuple(digits), _held(power >> (_FRACTION - PRECISION))


def _held(numerator: int) -> int:
    return min(max(numerator, 1), ONE - 1)


def coded_bytes(shapes: list[Shape]) -> int:
    """The length that coded supports of these shapes have."""
    require(all(0 <= ones <= cells <= MAX_CELLS for cells, ones in shapes), "a map of impossible shape")
    price = sum(_price(cells, min(ones, cells - ones)) for cells, ones in shapes if 0 < ones < cells)
    if not price:
        return 0
    bits = (price >> 32) + 1
    bits += bits // 1280 + 1
    return 4 * (bits // 32 + 2)


def _price(cells: int, ones: int) -> int:
    digits, more = _model(cells, ones)
    own = sum(_cost(ONE - numerator) for numerator in digits) + _cost(ONE - more)
    slopes = [-(-max(_cost(k) - _cost(ONE - k) + 2, 0) // (1 << j)) for j, k in enumerate(digits)]
    slopes.append(-(-_cost(more) // (1 << len(digits))))
    return ones * own + (cells - ones) * max(slopes)


def _cost(numerator: int) -> int:
    whole = numerator.bit_length() - 1
    mantissa, log = numerator << (_FRACTION - whole), whole
    for _ in range(32):
        mantissa = mantissa * mantissa >> _FRACTION
        log *= 2
        if mantissa >= 1 << (_FRACTION + 1):
            mantissa >>= 1
            log += 1
    return (PRECISION << 32) - log


def decode_supports(data: bytes, shapes: list[Shape]) -> list[list[int]]:
    """Positions of each map."""
    require(len(data) == coded_bytes(shapes), "coded supports of the wrong length")
    decoder, encoder = RangeDecoder(data), RangeEncoder()
    supports = []
    for cells, ones in shapes:
        coded = min(ones, cells - ones)
        gaps = _gaps(decoder, encoder, cells, coded) if coded else []
        positions = [position - 1 for position in accumulate(gap + 1 for gap in gaps)]
        require(not positions or positions[-1] < cells, "a support goes beyond the last cell")
        if coded < ones:
            empty = set(positions)
            positions = [cell for cell in range(cells) if cell not in empty]
        supports.append(positions)
    require(encoder.finish().ljust(len(data), b"\0") == data, "coded supports are not in their canonical form")
    return supports


def _gaps(decoder: RangeDecoder, encoder: RangeEncoder, cells: int, coded: int) -> list[int]:
    """The gaps of one map, which are coded again at the same time."""
    digits, more = _model(cells, coded)
    gaps = [0] * coded
    for digit, numerator in enumerate(digits):
        model = bit(numerator)
        for index in range(coded):
            found = decoder.symbol(model)
            encoder.put(found, model)
            gaps[index] |= found << digit
    model, left = bit(more), cells >> len(digits)
    for index in range(coded):
        while True:
            found = decoder.symbol(model)
            encoder.put(found, model)
            if not found:
                break
            left -= 1
            require(left >= 0, "a support goes beyond the last cell")
            gaps[index] += 1 << len(digits)
    return gaps


def decode_subsets(data: bytes, entries: list[int], true_ones: list[int]) -> list[list[bool]]:
    """Which entries of each vector are true."""
    require(len(data) % 4 == 0, "coded subsets are not whole words")
    require(all(0 <= some <= most for some, most in zip(true_ones, entries, strict=True)), "more true entries than any")
    decoder, left = RangeDecoder(data), list(true_ones)
    found: list[list[bool]] = [[] for _ in entries]
    for column in range(max(entries, default=0)):
        for vector, count in enumerate(entries):
            if column >= count:
                continue
            true_one = left[vector] == count - column
            if 0 < left[vector] < count - column:
                numerator = max(1, (left[vector] << PRECISION) // (count - column))
                true_one = decoder.symbol(bit(numerator)) == 1
            found[vector].append(true_one)
            left[vector] -= true_one
    return found
