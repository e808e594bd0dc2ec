from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medveil.codecs.code import CodeMap, Composition, MapShape, SparseCode
from medveil.errors import IntegrityError, MedveilError
from medveil.protection.keystream import fresh_key
from medveil.protection.sealing import PublicCode, PublicMap, public_bytes, reseal, seal, unseal, xor

MakeCode = Callable[..., SparseCode]
ShapeFor = Callable[..., Composition]
SameCode = Callable[[SparseCode, SparseCode], bool]
KEY = bytes(range(32))

shapes = st.integers(1, 400).flatmap(lambda cells: st.tuples(st.just(cells), st.integers(0, cells)))


@given(st.lists(shapes, max_size=4), st.floats(0, 1), st.integers(0, 1000), st.binary(min_size=32, max_size=32))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_codes_come_back(
    make_code: MakeCode,
    shape_for: ShapeFor,
    same_code: SameCode,
    maps: list[tuple[int, int]],
    filled: float,
    seed: int,
    key: bytes,
) -> None:
    composition = shape_for(*maps)
    code = make_code(composition, filled, seed)
    data = seal(code, composition, key).to_bytes(composition)
    assert len(data) == public_bytes(composition)
    public = PublicCode.from_bytes(data, composition)
    assert public.to_bytes(composition) == data
    assert same_code(unseal(public, composition, key), code)


def test_an_empty_and_a_busy_code_have_equal_lengths(make_code: MakeCode, shape_for: ShapeFor) -> None:
    composition = shape_for((4096, 200), (1024, 700), (64, 64))
    lengths = {len(seal(make_code(composition, f, 7), composition, KEY).to_bytes(composition)) for f in (0, 0.3, 1)}
    assert lengths == {public_bytes(composition)}
    for filled in (0, 1):
        public = seal(make_code(composition, filled, 7), composition, KEY)
        assert [len(each.positions) for each in public.maps] == [200, 700, 64]
        assert len(public.levels) == composition.level_bytes


def test_positions_go_anywhere_and_signs_are_mixed(shape_for: ShapeFor) -> None:
    composition = shape_for((100_000, 5000))
    code = SparseCode((CodeMap(100_000, np.arange(5000), np.full(5000, -1, np.int32)),), b"")
    public = seal(code, composition, KEY).maps[0]
    quarters = np.bincount(public.positions // 25_000)
    assert ((quarters - 1250) ** 2 / 1250).sum() < 20
    assert abs(int(public.signs.sum()) - 2500) < 200


def test_codes_of_another_composition_are_refused(make_code: MakeCode, shape_for: ShapeFor) -> None:
    code = make_code(shape_for((100, 10)))
    for other in (shape_for((100, 9)), shape_for((101, 10)), shape_for((100, 10), (5, 1)), shape_for()):
        with pytest.raises(ValueError, match="fit"):
            seal(code, other, KEY)


def test_another_key_does_not_give_the_code(make_code: MakeCode, shape_for: ShapeFor, same_code: SameCode) -> None:
    composition = shape_for((2000, 100))
    code = make_code(composition)
    public = seal(code, composition, KEY)
    for _ in range(20):
        try:
            assert not same_code(unseal(public, composition, fresh_key()), code)
        except IntegrityError:
            continue


def test_every_flipped_byte_is_refused_or_changes_the_code(
    make_code: MakeCode, shape_for: ShapeFor, same_code: SameCode
) -> None:
    """Authenticity is the manifest's; here a change is never overlooked except in the padding of the level stream."""
    composition = shape_for((300, 30), (100, 20))
    code = make_code(composition, seed=3)
    data = seal(code, composition, KEY).to_bytes(composition)
    unnoticed = 0
    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            unnoticed += same_code(unseal(PublicCode.from_bytes(flipped, composition), composition, KEY), code)
        except IntegrityError:
            continue
        assert at >= len(data) - composition.level_bytes or not unnoticed
    assert unnoticed < composition.level_bytes


@given(st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_foreign_bytes_are_refused_or_read_as_they_are(noise: bytes) -> None:
    composition = Composition((MapShape(50, 9), MapShape(20, 3)), 5)
    for data in (noise, (noise + b"\1").ljust(200, noise[:1] or b"a")[: public_bytes(composition)]):
        try:
            assert PublicCode.from_bytes(data, composition).to_bytes(composition) == data
        except IntegrityError:
            continue


def test_unused_sign_bits_must_be_zero(make_code: MakeCode, shape_for: ShapeFor) -> None:
    composition = Composition((MapShape(9, 9),), 60)
    data = bytearray(seal(make_code(composition), composition, KEY).to_bytes(composition))
    data[1] |= 1
    with pytest.raises(IntegrityError, match="unused"):
        PublicCode.from_bytes(bytes(data), composition)


def test_a_public_code_of_another_shape_is_refused(make_code: MakeCode, shape_for: ShapeFor) -> None:
    composition = shape_for((20, 3))
    good = seal(make_code(composition), composition, KEY)
    signs = good.maps[0].signs
    bad_positions = ([1, 1, 2], [3, 2, 1], [-1, 0, 1], [1, 2, 20])
    bad = [PublicCode((PublicMap(20, np.array(positions), signs),), good.levels) for positions in bad_positions]
    bad += [
        PublicCode(good.maps, good.levels + b"\0"),
        PublicCode((), good.levels),
        PublicCode(good.maps * 2, good.levels),
    ]
    bad += [PublicCode((PublicMap(20, good.maps[0].positions, signs[:2]),), good.levels)]
    for public in bad:
        with pytest.raises(IntegrityError):
            unseal(public, composition, KEY)
        with pytest.raises(IntegrityError):
            public.to_bytes(composition)


def test_a_map_of_more_cells_than_a_permutation_has_is_refused() -> None:
    with pytest.raises(IntegrityError, match="cells"):
        PublicCode.from_bytes(b"", Composition((MapShape((1 << 28) + 1, 1),), 0))


def test_mistakes_of_the_caller_are_said() -> None:
    key = fresh_key()
    code = SparseCode((CodeMap(40, np.arange(3), np.array([1, -2, 3], np.int32)),), b"side")
    composition = Composition((MapShape(40, 5),), 64)
    public = seal(code, composition, key)
    with pytest.raises(ValueError, match="another key"):
        reseal(public, composition, key, key)
    with pytest.raises(MedveilError, match="exceeds"):
        seal(code, Composition((MapShape(40, 5),), 3), key)
    with pytest.raises(ValueError, match="masked"):
        xor(b"ab", b"a")
    again = unseal(reseal(public, composition, key, fresh := fresh_key()), composition, fresh)
    assert again.maps[0].levels.tolist() == [1, -2, 3]
