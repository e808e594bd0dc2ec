"""ISO 14495-1 (JPEG-LS), as far as docs/format-exact.md uses it: one component, lossless, default parameters."""

from __future__ import annotations

import struct

from tests.reader.refusal import require

Plane = list[list[int]]

_RUN_LENGTHS = [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15]
_RESET = 64
_RUN_CONTEXTS = 365  # the two of interrupted runs follow after the regular ones


def decode(stream: bytes, height: int, width: int, bits: int) -> Plane:
    """Samples of a codestream of this size and precision."""
    greatest = (1 << bits) - 1
    thresholds = _thresholds(greatest)
    head = b"\xff\xd8\xff\xf7" + struct.pack(">HBHHBBBB", 11, bits, height, width, 1, 1, 0x11, 0)
    if bits > 12:
        head += b"\xff\xf8" + struct.pack(">HB5H", 13, 1, greatest, *thresholds, _RESET)
    head += b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 0, 0)
    require(stream.startswith(head) and stream.endswith(b"\xff\xd9"), "not the JPEG-LS stream of this image")
    scan = _Scan(_Bits(stream[len(head) : -2]), bits, thresholds)
    above = [0] * (width + 2)
    rows = []
    for _ in range(height):
        above = scan.line(above)
        rows.append(above[1:-1])
    scan.source.finish()
    return rows


def _thresholds(greatest: int) -> tuple[int, int, int]:
    factor = (min(greatest, 4095) + 128) // 256
    return factor + 2, 4 * factor + 3, 17 * factor + 4


class _Bits:
    """Bits, highest first; the one after a byte ff is stuffed."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._held, self._left = data, 0, 0, 0

    def bit(self) -> int:
        if self._left == 0:
            require(self._at < len(self._data), "a JPEG-LS scan is cut off")
            self._left = 7 if self._held == 0xFF else 8
            self._held = self._data[self._at]
            require(self._left == 8 or self._held < 0x80, "a marker within a JPEG-LS scan")
            self._at += 1
        self._left -= 1
        return self._held >> self._left & 1

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.bit()
        return value

    def finish(self) -> None:
        """Only zeros to fill the last byte are left, and a byte of stuffing after ff."""
        require(not any(self.bit() for _ in range(self._left)), "bits after a JPEG-LS scan")
        rest = self._data[self._at :]
        require(rest == (b"\0" if self._held == 0xFF else b""), "bytes after a JPEG-LS scan")


class _Scan:
    """The state of the coder: contexts, and how long runs have been."""

    def __init__(self, source: _Bits, bits: int, thresholds: tuple[int, int, int]) -> None:
        self.source, self.bits, self.thresholds = source, bits, thresholds
        self.range = 1 << bits
        count = _RUN_CONTEXTS + 2
        self.sizes, self.seen = [max(2, (self.range + 32) // 64)] * count, [1] * count
        self.sums, self.shifts = [0] * count, [0] * count  # of errors, and what corrects predictions
        self.run = 0

    def line(self, above: list[int]) -> list[int]:
        """The next line, with the samples beyond its rims on both sides."""
        above[-1] = above[-2]
        width = len(above) - 2
        line = [above[1]] + [0] * (width + 1)
        at = 1
        while at <= width:
            left, up, corner, beside = line[at - 1], above[at], above[at - 1], above[at + 1]
            if left == corner == up == beside:
                at = self._run(line, above, at, width)
                continue
            line[at] = self._regular(left, up, corner, [beside - up, up - corner, corner - left])
            at += 1
        return line

    def _regular(self, left: int, up: int, corner: int, steps: list[int]) -> int:
        context = sum(self._quantised(step) * weight for step, weight in zip(steps, (81, 9, 1), strict=True))
        sign = -1 if context < 0 else 1
        context = abs(context)
        predicted = left + up - corner
        if corner >= max(left, up):
            predicted = min(left, up)
        elif corner <= min(left, up):
            predicted = max(left, up)
        predicted = min(max(predicted + sign * self.shifts[context], 0), self.range - 1)
        k = self._k(context, self.sizes[context])
        mapped = self._golomb(k, self._limit)
        error = mapped >> 1 if mapped % 2 == 0 else -(mapped + 1 >> 1)
        if k == 0 and 2 * self.sums[context] <= -self.seen[context]:
            error = -error - 1
        self._learn(context, error)
        return (predicted + sign * error) % self.range

    def _learn(self, context: int, error: int) -> None:
        self.sums[context] += error
        self.sizes[context] += abs(error)
        if self.seen[context] == _RESET:
            self.sums[context] >>= 1
            self.sizes[context] >>= 1
            self.seen[context] >>= 1
        self.seen[context] += 1
        seen = self.seen[context]
        if self.sums[context] <= -seen:
            self.sums[context] = max(self.sums[context] + seen, 1 - seen)
            self.shifts[context] = max(self.shifts[context] - 1, -128)
        elif self.sums[context] > 0:
            self.sums[context] = min(self.sums[context] - seen, 0)
            self.shifts[context] = min(self.shifts[context] + 1, 127)

    def _run(self, line: list[int], above: list[int], at: int, width: int) -> int:
        """Repeat the sample to the left, then read the one that ends the run; where the line goes on."""
        value = line[at - 1]
        while self.source.bit():
            whole = 1 << _RUN_LENGTHS[self.run]
            stop = min(at + whole, width + 1)
            line[at:stop] = [value] * (stop - at)
            if stop - at == whole:
                self.run = min(self.run + 1, 31)
            at = stop
            if at > width:
                return at
        length = self.source.number(_RUN_LENGTHS[self.run])
        require(at + length <= width, "a run beyond the line")
        line[at : at + length] = [value] * length
        at += length
        line[at] = self._interruption(value, above[at])
        self.run = max(self.run - 1, 0)
        return at + 1

    def _interruption(self, left: int, up: int) -> int:
        same = int(left == up)
        context = _RUN_CONTEXTS + same
        size = self.sizes[context] + (self.seen[context] >> 1) * same
        k = self._k(context, size)
        mapped = self._golomb(k, self._limit - _RUN_LENGTHS[self.run] - 1)
        odd = (mapped + same) % 2 == 1
        error = (mapped + same + 1) // 2
        if (k != 0 or 2 * self.sums[context] >= self.seen[context]) == odd:
            error = -error
        self.sums[context] += error < 0  # here: how many errors were negative
        self.sizes[context] += (mapped + 1 - same) >> 1
        if self.seen[context] == _RESET:
            self.sums[context] >>= 1
            self.sizes[context] >>= 1
            self.seen[context] >>= 1
        self.seen[context] += 1
        predicted, sign = (left, 1) if same else (up, -1 if left > up else 1)
        return (predicted + sign * error) % self.range

    @property
    def _limit(self) -> int:
        return 2 * (self.bits + max(8, self.bits))

    def _k(self, context: int, size: int) -> int:
        k = 0
        while self.seen[context] << k < size:
            k += 1
        return k

    def _golomb(self, k: int, limit: int) -> int:
        zeros = 0
        while not self.source.bit():
            zeros += 1
            require(zeros < limit - self.bits, "a code that is too long")
        if zeros < limit - self.bits - 1:
            return zeros << k | self.source.number(k)
        return self.source.number(self.bits) + 1

    def _quantised(self, step: int) -> int:
        size = abs(step)
        level = (size > 0) + sum(size >= threshold for threshold in self.thresholds)
        return -level if step < 0 else level
