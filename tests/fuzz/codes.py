"""Targets: the codes of images, from the bytes of a section to pixels."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.fuzz import cast
from tests.fuzz.containers import split
from tests.fuzz.target import Bound, Target

from medveil.codecs import entropy
from medveil.codecs.code import Bucket, CodeMap, MapShape, Profile, SparseCode
from medveil.codecs.coding import Coding
from medveil.codecs.lapped import dc_plane
from medveil.codecs.lapped.side_information import Side
from medveil.codecs.lapped.tables import FREE_THRESHOLDS
from medveil.codecs.padding_mask import find_padding, read_padding, write_padding
from medveil.codecs.preview import preview_codec, preview_profile
from medveil.codecs.residual import coder, exact
from medveil.codecs.symbols import SymbolReader
from medveil.codecs.varints import varint
from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.protection import ambiguation, sealing, support
from medveil.protection.keystream import Keystream

_SMALL = Bucket(64, 64)
_KEY, _OTHER = cast.key("section"), cast.key("other section")
_SHAPES = ((10, 3), (64, 0), (64, 64), (1000, 40), (300, 290), (5000, 7), (1 << 20, 11))
_LEVELS = tuple(MapShape(cells, min(ones, 60)) for cells, ones in _SHAPES)


def _integer(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise IntegrityError("an input of another form")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise IntegrityError("an input of another form")
    return value


@cache
def _codes() -> list[SparseCode]:
    """Codes of small images: 8 bits, 12 bits signed with padding; free, and fixed by a composition."""
    found = []
    for image, profile in (
        (cast.plain_image(40, 48, 8), cast.PROFILE),
        (cast.plain_image(40, 48, 12, signed=True, padded=True), cast.DEEP),
    ):
        for composition in (None, cast.lapped().composition(profile, _SMALL)):
            found.append(cast.lapped().encode(image, profile, composition))
    return found


def _entropy(data: bytes, bound: Bound) -> None:
    bound.pixels = 64 * 64
    code = entropy.unpack(data, Coding(cast.lapped(), cast.PROFILE).max_cells(_SMALL))
    packed = entropy.pack(code)
    again = entropy.unpack(packed)
    if again.side != code.side or len(again.maps) != len(code.maps) or not packed.rstrip(b"\0") <= packed:
        raise AssertionError("a code does not come back from what packing it gives")


def _level_seeds() -> list[bytes]:
    from medveil.codecs.code import Composition
    from medveil.codecs.lapped.composition_padding import pad_with_nulls

    maps = tuple(
        CodeMap(s.cells, np.arange(s.nonzeros // 2), np.arange(1, 1 + s.nonzeros // 2, dtype=np.int32)) for s in _LEVELS
    )
    composition = Composition(_LEVELS, 4096)
    padded = pad_with_nulls(SparseCode(maps, b"side"), composition)
    return [entropy.pack_levels(padded, composition), bytes(64)]


def _levels(data: bytes, bound: Bound) -> None:
    from medveil.codecs.code import Composition

    supports = [(np.arange(s.cells - s.nonzeros, s.cells), np.arange(s.nonzeros) % 2 == 0) for s in _LEVELS]
    entropy.unpack_levels(data, supports, Composition(_LEVELS, len(data)))


def _support_seeds() -> list[bytes]:
    found = []
    for number, (cells, ones) in enumerate(_SHAPES):
        positions = np.sort(np.random.default_rng(number).permutation(cells)[:ones])
        found.append(bytes([number]) + support.encode_supports([(positions, cells)]))
    return found


def _supports(data: bytes, bound: Bound) -> None:
    """Coded supports of one of a few shapes; too short or too long ones are cut or filled, so that they are read."""
    shape = _SHAPES[data[0] % len(_SHAPES)] if data else _SHAPES[0]
    length = support.coded_bytes([shape])
    support.decode_supports(data[1 : 1 + length].ljust(length, b"\0") if len(data) > 2 else data, [shape])


def _sealed_seeds() -> list[bytes]:
    from medveil.codecs.lapped.composition_padding import pad_with_nulls

    found = []
    for kind, profile in enumerate((cast.PROFILE, cast.DEEP)):
        composition = cast.lapped().composition(profile, _SMALL)
        padded = pad_with_nulls(_codes()[2 * kind + 1], composition)
        nulls = [np.flatnonzero(each.levels == 0) for each in padded.maps]
        full = [
            each.cells - int(each.positions[empty[0]]) if len(empty) else 0
            for empty, each in zip(nulls, padded.maps, strict=True)
        ]
        found.append(canonical.dumps([kind, entropy.pack_levels(padded, composition), 7, full]))
    return [
        *found,
        canonical.dumps([0, b"", 0, []]),
        canonical.dumps([2, bytes(4000), 1, []]),
        canonical.dumps([2, b"\xff" * 4000, 1, []]),
    ]


def _sealed(data: bytes, bound: Bound) -> None:
    """A sealed code: its level stream is the input's, supports and signs are drawn; or the public bytes themselves."""
    kind, stream, seed, last = split(data, 4)
    kind, stream, bound.pixels = _integer(kind, 0, 2), _bytes(stream), 64 * 64
    if not isinstance(last, list):
        raise IntegrityError("an input of another form")
    profile = cast.DEEP if kind == 1 else cast.PROFILE
    composition = cast.lapped().composition(profile, _SMALL)
    if kind == 2:
        length = sealing.public_bytes(composition)
        public = sealing.PublicCode.from_bytes(stream[:length].ljust(length, b"\0"), composition)
    else:
        draw = np.random.default_rng(_integer(seed, 0, 1 << 30))
        maps = []
        counts = [*last, *[0] * len(composition.maps)]
        for number, (shape, count) in enumerate(zip(composition.maps, counts, strict=False)):
            filled = _integer(count, 0, shape.nonzeros)  # of the highest cells, where the nulls are
            first = shape.cells - filled
            positions = np.sort(draw.permutation(first)[: shape.nonzeros - filled]).astype(np.int64)
            positions = np.concatenate([positions, np.arange(first, shape.cells)])
            order = Keystream(_KEY, f"permutation/{number}").permutation(shape.cells)
            signs = draw.integers(0, 2, shape.nonzeros).astype(bool)
            maps.append(sealing.PublicMap(shape.cells, *sealing.mask_map(positions, signs, order, signs)))
        stream = stream[: composition.level_bytes].ljust(composition.level_bytes, b"\0")
        masked = sealing.xor(stream, Keystream(_KEY, "levels").bytes(len(stream)))
        public = sealing.PublicCode.from_bytes(
            sealing.PublicCode(tuple(maps), masked).to_bytes(composition), composition
        )
    code = sealing.unseal(public, composition, _KEY)
    anew = sealing.unseal(sealing.reseal(public, composition, _KEY, _OTHER), composition, _OTHER)
    if anew.side != code.side or any(
        list(a.levels) != list(b.levels) for a, b in zip(anew.maps, code.maps, strict=True)
    ):
        raise AssertionError("a code that is sealed anew does not open to what it was")
    _pixels(code, profile, _SMALL, None)


def _pixels(code: SparseCode, profile: Profile, bucket: Bucket, base: SparseCode | None) -> None:
    pixels = cast.lapped().decode(code, profile, bucket, base)
    if pixels.ndim != 2 or Bucket.of(*pixels.shape) != bucket or pixels.dtype.str not in ("|u1", "<u2", "<i2"):
        raise AssertionError("pixels of another shape or type than any image")


def _obfuscated_seeds() -> list[bytes]:
    found = []
    for code in _codes():
        public, secret = ambiguation.ambiguate(code, 0, 1)
        found.append(canonical.dumps([public.to_bytes(), secret]))
    wide = SparseCode((CodeMap(512, np.array([1, 300]), np.array([1, -2], np.int32)),), b"s")
    public, secret = ambiguation.ambiguate(wide, 256, 2)
    return [*found, canonical.dumps([public.to_bytes(), secret])]


def _obfuscated(data: bytes, bound: Bound) -> None:
    public, secret = split(data, 2)
    bound.pixels = 64 * 64
    shown = ambiguation.AmbiguatedCode.from_bytes(_bytes(public), Coding(cast.lapped(), cast.PROFILE).max_cells(_SMALL))
    _pixels(ambiguation.purify(shown, _bytes(secret)), cast.PROFILE, _SMALL, None)


def _as_record(code: SparseCode) -> list[Any]:
    maps = [[m.cells, np.diff(m.positions, prepend=-1).tolist(), m.levels.tolist()] for m in code.maps]
    return [code.side, maps]


def _from_record(value: Any, cells: int) -> SparseCode:
    """A code that no entropy coder would hold back: any levels below 2**31 at any positions."""
    side, rows = value if isinstance(value, list) and len(value) == 2 else (None, None)
    if not isinstance(side, bytes) or not isinstance(rows, list):
        raise IntegrityError("an input of another form")
    maps = []
    for row in rows:
        count, gaps, levels = row if isinstance(row, list) and len(row) == 3 else (None, None, None)
        count = _integer(count, 0, cells)
        if not isinstance(gaps, list) or not isinstance(levels, list):
            raise IntegrityError("an input of another form")
        steps = np.array([_integer(gap, 1, cells) for gap in gaps], np.int64)
        values = np.array([_integer(level, -entropy.MAX_LEVEL, entropy.MAX_LEVEL) or 1 for level in levels], np.int32)
        positions = np.cumsum(steps) - 1
        kept = min(len(values), int(np.searchsorted(positions, count)))
        maps.append(CodeMap(count, positions[:kept].astype(np.int64), values[:kept]))
    return SparseCode(tuple(maps), side)


def _lapped_seeds() -> list[bytes]:
    found = [canonical.dumps([_as_record(code), None, 64, 64]) for code in _codes()]
    for image, profile in (
        (cast.plain_image(40, 48, 8), cast.PROFILE),
        (cast.plain_image(70, 48, 12, padded=True), cast.DEEP),
    ):
        base = preview_codec().encode(image, preview_profile(profile), None)
        code = cast.lapped().encode(image, profile, None, base)
        found.append(canonical.dumps([_as_record(code), _as_record(base), 64 * (1 + (image.pixels.shape[0] > 64)), 64]))
    empty = [entry for entry in _as_record(_codes()[0])[1] if entry[0] < 0]
    return [
        *found,
        canonical.dumps([[_codes()[0].side, [[65280 // 13 + 80, [], []]] * 13], None, 64, 64]),
        canonical.dumps([[b"", empty], None, 64, 64]),
    ]


def _lapped(data: bytes, bound: Bound) -> None:
    """Any code, with any base, of any small bucket."""
    code, base, height, width = split(data, 4)
    bucket = cast.bucket_of(_integer(height, 0, 1 << 20), _integer(width, 0, 1 << 20))
    bound.pixels = bucket.height * bucket.width
    known = None if base is None else _from_record(base, Coding(cast.lapped(), cast.PROFILE).max_cells(bucket))
    _pixels(_from_record(code, Coding(cast.lapped(), cast.PROFILE).max_cells(bucket)), cast.PROFILE, bucket, known)


def _side(data: bytes, bound: Bound) -> None:
    bound.pixels = 64 * 64
    for maps in (len(FREE_THRESHOLDS) + 1, 13):
        try:
            found = Side.from_bytes(data, maps, _SMALL)
        except IntegrityError:
            continue
        if Side.from_bytes(found.to_bytes(), maps, _SMALL).pixel_kind != found.pixel_kind:
            raise AssertionError("side bytes do not come back from what writing them gives")
        return
    raise IntegrityError("side bytes of no number of maps")


def _padding_seeds() -> list[bytes]:
    found = []
    for image in (cast.plain_image(9, 14, 8, padded=True), cast.plain_image(40, 48, 16, signed=True, padded=True)):
        padding = find_padding(image.pixels, image.padding)
        assert padding is not None
        found.append(_padding_record(write_padding(padding), image.pixels.shape))
    many = find_padding(cast.picture(20, 20, 8), (0, 90))
    assert many is not None
    return [*found, _padding_record(write_padding(many), (20, 20))]


def _padding_record(data: bytes, shape: tuple[int, ...]) -> bytes:
    """A padding record taken apart, so that what is packed in it can be changed."""
    from medveil.codecs.varints import read_varint

    numbers, at, streams = [], 0, []
    for _ in range(3):
        number, at = read_varint(data, at)
        numbers.append(number)
    for _ in range(2):
        size, at = read_varint(data, at)
        streams.append(data[at : at + size])
        at += size
    return canonical.dumps([numbers, streams, shape[0], shape[1]])


def _padding(data: bytes, bound: Bound) -> None:
    numbers, streams, height, width = split(data, 4)
    shape = _integer(height, 1, 600), _integer(width, 1, 600)
    bound.pixels = shape[0] * shape[1]
    if not isinstance(numbers, list) or not isinstance(streams, list):
        raise IntegrityError("an input of another form")
    head = b"".join(varint(_integer(number, 0, (1 << 35) - 1)) for number in numbers)
    record = head + b"".join(varint(len(_bytes(stream))) + stream for stream in streams)
    found, at = read_padding(record, 0, shape)
    if int(found.mask.sum()) != len(found.values) or at > len(record):
        raise AssertionError("mask and values do not agree")


def _dc(data: bytes, bound: Bound) -> None:
    """A DC plane of a shape that the first two bytes say."""
    if len(data) < 2:
        raise IntegrityError("an input of another form")
    shape = 1 + data[0] % 70, 1 + data[1] % 70
    plane = dc_plane.read(SymbolReader(data[2:]), shape)
    if plane.shape != shape or np.abs(plane).max() > dc_plane.LARGEST:
        raise AssertionError("a plane of another shape or range")


def _dc_seeds() -> list[bytes]:
    from medveil.codecs.symbols import SymbolWriter

    found = []
    for height, width in ((1, 1), (3, 5), (33, 20)):
        writer = SymbolWriter()
        dc_plane.write(
            writer, cast.picture(height, width, 12).astype(np.int64) if height > 1 else np.array([[-70_000]])
        )
        found.append(bytes([height - 1, width - 1]) + writer.to_bytes())
    return found


_KINDS = (("u1", 8), ("u2", 12), ("i2", 12), ("u2", 16))


@cache
def _base(kind: int, size: int) -> Any:
    name, bits = _KINDS[kind]
    pixels = cast.picture(size, size + 5, bits, signed=name == "i2", seed=1)
    return np.ascontiguousarray(pixels.astype(np.dtype(name)))


def _exact_seeds(method: exact.Method) -> list[bytes]:
    found = []
    for kind, (name, bits) in enumerate(_KINDS):
        for size, gap in ((12, 1), (40, 5 if bits > 8 else 1)):
            base = _base(kind, size)
            low = int(base.min())
            pixels = ((base.astype(np.int64) - low) // gap * gap + low).astype(base.dtype)
            pixels[3:5, 2:9] = low
            data = exact.encode_exact(pixels, base, bits)
            if method is exact.Method.RESIDUAL:
                found += [_residual_seed(kind, size, each) for each in (pixels, _few_values(base, bits))]
            if method is exact.Method.JPEG_LS:
                from medveil.codecs.residual import jpegls

                bottom = -(1 << bits - 1) if name == "i2" else 0
                alone = jpegls.encode((pixels.astype(np.int32) - bottom).astype(np.uint16), bits)
                data = bytes([method]) + (alone or b"")
            found.append(canonical.dumps([kind, size, data[1:]]))
    return found


def _few_values(base: NDArray[np.generic], bits: int) -> NDArray[np.generic]:
    """Pixels of so few values that a section begins with a map of those in use."""
    low, step = int(base.min()), 40 if bits > 8 else 9
    few: NDArray[np.generic] = (low + step * (np.arange(base.size).reshape(base.shape) % 5)).astype(base.dtype)
    return few


def _residual_seed(kind: int, size: int, pixels: NDArray[np.generic]) -> bytes:
    base, bits = _base(kind, size), _KINDS[kind][1]
    return canonical.dumps([kind, size, coder.encode(pixels, base, exact._value_range(base.dtype, bits))])


def _exact(data: bytes, bound: Bound, method: exact.Method) -> None:
    kind, size, stream = split(data, 3)
    kind, size = _integer(kind, 0, len(_KINDS) - 1), _integer(size, 1, 64)
    base, bits = _base(kind, size), _KINDS[kind][1]
    bound.pixels = base.size
    pixels = exact.decode_exact(bytes([method]) + _bytes(stream), base, bits, base.dtype)
    if pixels.shape != base.shape or pixels.dtype != base.dtype:
        raise AssertionError("pixels of another shape or type")


TARGETS = (
    Target("packed code", _entropy, lambda: [entropy.pack(code) for code in _codes()], is_record=False, share=1.5),
    Target("level stream", _levels, _level_seeds, is_record=False),
    Target("supports", _supports, _support_seeds, is_record=False),
    Target("sealed code", _sealed, _sealed_seeds, share=2),
    Target("obfuscated code", _obfuscated, _obfuscated_seeds, share=1.5),
    Target("lapped", _lapped, _lapped_seeds, share=2),
    Target("side bytes", _side, lambda: [code.side for code in _codes()], is_record=False),
    Target("padding record", _padding, _padding_seeds),
    Target("DC plane", _dc, _dc_seeds, is_record=False),
    Target(
        "exact, residual",
        lambda d, b: _exact(d, b, exact.Method.RESIDUAL),
        lambda: _exact_seeds(exact.Method.RESIDUAL),
        share=1.5,
    ),
    Target(
        "exact, JPEG-LS", lambda d, b: _exact(d, b, exact.Method.JPEG_LS), lambda: _exact_seeds(exact.Method.JPEG_LS)
    ),
)
