"""A reader of method 0 in plain Python, written from docs/format-exact.md; its tables are those of that document."""

import base64
import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "format-exact.md"
BEFORE = [
    *((0, -1), (0, -2), (0, -3), (-1, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1)),
    *((-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2), (-3, -1), (-3, 0), (-3, 1)),
]
AROUND = [(d, a) for d in range(-3, 4) for a in range(-3, 4) if 0 < d * d + a * a <= 10]


def tables():
    """(ratios, [M1, b1, M2, b2, M3, b3, d]) of the document; the matrices as lists of rows."""
    ratios, weights = re.findall(r"```\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)[-2:]
    data, at, values = base64.b85decode("".join(weights.split())), 0, []
    while at < len(data):
        value, at = varint(data, at)
        values.append(value // 2 if value % 2 == 0 else -(value + 1) // 2)
    parts, at = [], 0
    for rows, columns in ((57, 32), (1, 32), (32, 16), (1, 16), (16, 2), (1, 2), (57, 1)):
        parts.append([values[at + row * columns :][:columns] for row in range(rows)])
        at += rows * columns
    assert at == len(values)
    return [int(word) for word in ratios.split()], parts


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def clip(value, low, high):
    return min(max(value, low), high)


class Coder:
    def __init__(self, data):
        data += bytes(-len(data) % 4)
        self.words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
        self.lower, self.range = 0, (1 << 64) - 1
        self.point = self.word() << 32 | self.word()

    def word(self):
        return self.words.pop(0) if self.words else 0

    def find(self, edge, count):
        """The i with edge(i) <= quotient < edge(i + 1)."""
        scale = self.range >> 24
        quotient = ((self.point - self.lower) % (1 << 64)) // scale
        assert quotient < 1 << 24
        found = next(i for i in range(count) if edge(i) <= quotient < edge(i + 1))
        self.lower = (self.lower + scale * edge(found)) % (1 << 64)
        self.range = scale * (edge(found + 1) - edge(found))
        if self.range < 1 << 32:
            self.lower, self.range = (self.lower << 32) % (1 << 64), self.range << 32
            self.point = ((self.point << 32) + self.word()) % (1 << 64)
        return found

    def symbol(self, shares):
        cumulated = [0]
        for share in shares:
            cumulated.append(cumulated[-1] + share)
        n = len(shares)
        return self.find(lambda i: i + (cumulated[i] * ((1 << 24) - n) >> 24), n)

    def bits(self, count):
        return self.find(lambda i: i << (24 - count), 1 << count)


class Shares:
    """Shares of 2**20 by scale and phase."""

    def __init__(self, ratios):
        self.above = []
        for ratio in ratios:
            power, above = 1 << 32, []
            for _ in range(8 * 33):
                above.append((power << 30) // ((1 << 32) + power))
                power = power * ratio >> 32
            self.above.append(above)
        self.known = {}

    def __call__(self, k, phase):
        if (k, phase) not in self.known:

            def cumulated(j):
                return self.above[k][-j] if j < 0 else (1 << 30) - self.above[k][j]

            shares = [
                1 + ((cumulated(8 * step + 8 - phase) - cumulated(8 * step - phase)) * ((1 << 20) - 64) >> 30)
                for step in range(-31, 32)
            ]
            self.known[k, phase] = [*shares, (1 << 20) - sum(shares)]
        return self.known[k, phase]


def product(vector, matrix):
    return [sum(v * m for v, m in zip(vector, column, strict=True)) for column in zip(*matrix, strict=True)]


def read_wave(coder, models):
    """(steps, lowest bits) of the pixels of a wave."""
    steps = [coder.symbol(shares_of) - 31 for _, _, shares_of in models]
    escaped = [i for i, step in enumerate(steps) if step == 32]
    signs = [coder.bits(1) for _ in escaped]
    widths = [coder.bits(4) for _ in escaped]
    for size in range(16):
        for i, sign, w in zip(escaped, signs, widths, strict=True):
            if w == size:
                beyond = 31 + (1 << w) + (coder.bits(w) if w else 0)
                steps[i] = -beyond if sign else beyond
    lowest = [0] * len(models)
    for size in range(1, 12):
        for i, (_, octave, _) in enumerate(models):
            if octave == size:
                lowest[i] = coder.bits(size)
    return steps, lowest


def decode(data, base, bits, signed):
    """Rows of pixels of a section of method 0; base is a list of rows."""
    assert data[0] == 0
    low = -(1 << (bits - 1)) if signed else 0
    high = low + (1 << bits) - 1
    unit, at = varint(data, 1)
    at, used = at + 1, None
    if data[at - 1]:
        first, at = varint(data, at)
        count, at = varint(data, at)
        used = {low + first + i for i in range(count) if data[at + i // 8] >> (7 - i % 8) & 1}
        at += -(-count // 8)
    ratios, (m1, (b1,), m2, (b2,), m3, (b3,), direct) = tables()
    shares, coder = Shares(ratios), Coder(data[at:])
    height, width = len(base), len(base[0])
    gain, power = (1 << 27) // unit, unit.bit_length() - 1
    log = 8 * power + (8 * unit >> power) - 8
    pixels = [[0] * width for _ in range(height)]
    errors, activity = {}, {}

    def around(y, x):
        return base[clip(y, 0, height - 1)][clip(x, 0, width - 1)] * gain >> 16

    def activity_at(y, x):
        return activity.get((y, x), unit)

    def model(y, x):
        here = around(y, x)
        features = [errors.get((y + d, x + a), 0) for d, a in BEFORE]
        features += [clip(around(y + d, x + a) - here, -511, 511) for d, a in AROUND]
        features += [min(activity_at(y + d, x + a) * gain >> 22, 511) for d, a in ((0, -1), (-1, 0), (-1, 1))]
        features += [4 * (log - 56), (base[y][x] - low) // (1 << (bits - 8)) - 128]
        hidden = [clip((v + b) >> 7, 0, 2047) for v, b in zip(product(features, m1), b1, strict=True)]
        hidden = [clip((v + b) >> 9, 0, 2047) for v, b in zip(product(hidden, m2), b2, strict=True)]
        p, s = (v + b for v, b in zip(product(hidden, m3), b3, strict=True))
        p += product(features, direct)[0]
        eighths = clip(8 * base[y][x] + ((p * unit + (1 << 17)) >> 18), 8 * low, 8 * high)
        centre = (eighths + 4) >> 3
        phase = eighths - 8 * centre + 4
        index = clip((s >> 12) + log - 16, 0, 135)
        octave = max(0, (index - 48) // 8 + 1)
        found = shares(index - 8 * octave, 4 + (phase >> octave) if octave else phase)
        if used is None:
            return centre, octave, [16 * share for share in found]
        kept = [
            share if step == 32 or octave or centre + step in used else 0
            for step, share in zip(range(-31, 33), found, strict=True)
        ]
        factor = (1 << 44) // sum(kept)
        kept = [share * factor >> 20 for share in kept]
        kept[-1] += (1 << 24) - sum(kept)
        return centre, octave, kept

    for wave in range(width + 2 * height - 2):
        places = [(y, wave - 2 * y) for y in range(height) if 0 <= wave - 2 * y < width]
        models = [model(y, x) for y, x in places]
        steps, lowest = read_wave(coder, models)
        for (y, x), (centre, octave, _), step, rest in zip(places, models, steps, lowest, strict=True):
            value = (step << octave) + rest - ((1 << octave) >> 1) + centre
            assert low <= value <= high
            error = value - base[y][x]
            pixels[y][x] = value
            errors[y, x] = clip(error * gain >> 16, -511, 511)
            mean = (2 * activity_at(y, x - 1) + activity_at(y - 1, x) + activity_at(y - 1, x + 1)) >> 2
            activity[y, x] = mean + ((64 * abs(error) - mean) >> 3)
    return pixels
