import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.errors import IntegrityError
from medveil.protection import padding


@given(st.binary(max_size=600), st.sampled_from([16, 64, 4096]), st.integers(0, 16))
def test_padding_comes_off_and_lengths_lie_on_the_grid(data: bytes, grid: int, overhead: int) -> None:
    padded = padding.to_grid(data, grid, overhead)
    assert padding.remove(padded) == data
    assert (len(padded) + overhead) % grid == 0
    assert len(padded) > len(data)
    assert padding.remove(padding.to_steps(data)) == data


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x00", b"\x80\x00\x00", b"end\x00"])
def test_data_that_looks_like_padding(data: bytes) -> None:
    assert padding.remove(padding.to_grid(data, 64)) == data
    assert padding.remove(padding.to_steps(data)) == data


def test_steps_cost_little_and_there_are_few() -> None:
    lengths = {len(padding.to_steps(bytes(size))) for size in range(0, 100_000, 7)}
    assert len(lengths) < 250
    assert all(len(padding.to_steps(bytes(size))) <= 1.033 * size + 64 for size in range(0, 100_000, 997))


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"no mark", b"\x80\x01"])
def test_padding_without_a_mark_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        padding.remove(data)
