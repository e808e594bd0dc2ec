"""The numbers of the examples in docs/format-codes.md."""

from __future__ import annotations

from tests.reader import codes, keystream
from tests.reader.lapped_walk import key_of
from tests.reader.rangecoder import RangeDecoder, RangeEncoder, bit, equal
from tests.reader.supports import coded_bytes, decode_supports
from tests.reader.symbols import Frequencies, geometric

KEY = bytes(range(32))
QUARTER = bit(1 << 22)


def test_keystreams() -> None:
    assert keystream.commit(KEY).hex().startswith("1c8db25c")
    assert keystream.derive(KEY, b"medveil/v1/keystream/permutation/0").hex().startswith("32464dd7")
    words = "2bd00fb8c21c7d5a ce658cc859f8a396 cd8cae36630ac034 625ba1dc53e79040 29ac71a0f083b483"
    assert keystream.Keystream(KEY, "permutation/0").take(40) == bytes.fromhex(words)
    assert keystream.Keystream(KEY, "permutation/0").permutation(5) == [2, 3, 0, 4, 1]
    assert keystream.Keystream(KEY, "signs/0").bits(5) == [1, 0, 0, 1, 1]
    assert keystream.Keystream(KEY, "levels").take(8).hex() == "8c0f13a23ca12fd6"


def test_range_coder() -> None:
    for words, symbols in [
        ("ffffe3ee 0081bc1c", [(QUARTER, 1), (equal(12), 3000), (equal(16), 65535), (equal(8), 200)]),
        ("ffffcb44 0134bbfe", [*((equal(16), each) for each in (17611, 65535, 65535)), (equal(8), 255), (QUARTER, 0)]),
    ]:
        encoder, decoder = RangeEncoder(), RangeDecoder(bytes.fromhex(words))
        for model, symbol in symbols:
            encoder.put(symbol, model)
            assert decoder.symbol(model) == symbol
        assert encoder.finish() == bytes.fromhex(words)


def test_models() -> None:
    counts = geometric(20, 500, 512)
    assert counts == [256, 128, 64, 32, 16, 8, 4, 2, 1, *[1] * 11]
    weights = Frequencies(counts).cumulative()
    assert weights[:4] == [0, 8227575, 12340467, 14396913]
    assert weights[-3:] == [16712702, 16744959, 16777216]
    assert Frequencies([60, 4]).cumulative() == [0, 15728639, 16777216]
    assert [key_of(prediction) for prediction in (0, 16, 17, 16384, 250000)] == [0, 16, 16, 160, 222]


def test_supports() -> None:
    assert coded_bytes([(10, 3)]) == 8
    assert decode_supports(bytes.fromhex("dd5d144900000000"), [(10, 3)]) == [[2, 3, 7]]


def test_codes() -> None:
    code = codes.SparseCode([codes.CodeMap(10, [1, 2], [3, -1])], b"\x2a")
    assert codes.unpack(bytes.fromhex("010a02012a28fc9bc5")) == code
    assert keystream.Keystream(KEY, "permutation/0").permutation(10) == [6, 7, 2, 3, 0, 5, 4, 1, 8, 9]
    sealed = bytes.fromhex("499fa24d00000000 00 8d25619310cf2fd609acb214")
    assert codes.unseal(sealed, codes.Composition([(10, 3)], 12), KEY) == code
    stream = keystream.xor(sealed[9:], keystream.Keystream(KEY, "levels").take(12))
    assert stream.hex() == "012a72312c6e" + 6 * "00"
