"""What is kept comes back to the last bit, in a form that runs no program, and only for the same settings."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import pytest

from medveil.experiments.unit import Product, Result, Status
from medveil.experiments.unit_store import UnitStore

ARRAYS = {
    "rest": np.arange(3), "a/b c": np.array([[True, False]]), "text": np.array(["x"]), "none": np.zeros((0, 2)),
    "odd": np.array([np.nan, -0.0, np.inf]), "file": np.float32([1 / 3]),
}  # fmt: skip
DONE = Result(Status.DONE, Product(ARRAYS, {"third": 1 / 3, "list": [1, "two", None], "nan": float("nan")}), "", 1.25)


@pytest.fixture
def store(tmp_path):
    return UnitStore(tmp_path / "deep" / "units", {"seed": 0})


def test_a_unit_comes_back_as_it_was(store):
    store.keep(("attack", 1), DONE)
    found = store.find(("attack", 1))
    assert (found.status, found.reason, found.seconds) == (Status.DONE, "", 1.25)
    assert repr(found.product.values) == repr(dict(DONE.product.values))
    assert list(found.product.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.product.arrays[name].dtype == array.dtype
        assert found.product.arrays[name].tobytes() == array.tobytes()


def test_a_refusal_is_kept_and_a_failure_is_not(store):
    store.keep(("a",), Result(Status.REFUSED, reason="it makes no sense"))
    store.keep(("b",), Result(Status.FAILED, reason="ValueError"))
    assert store.find(("a",)) == Result(Status.REFUSED, reason="it makes no sense")
    assert store.find(("b",)) is None


def test_other_keys_and_settings_are_other_units(store, tmp_path):
    store.keep(("1", 2), DONE)
    assert store.find((1, 2)) is None
    assert store.find(("1", 2, "")) is None
    assert UnitStore(tmp_path / "deep" / "units", {"seed": 1}).find(("1", 2)) is None
    assert UnitStore(tmp_path / "deep" / "units", {"seed": 0}).find(("1", 2)) is not None


def test_a_damaged_or_foreign_file_counts_as_not_finished(store, tmp_path):
    store.keep(("a",), DONE)
    (path,) = (tmp_path / "deep" / "units").iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], whole[:-30], pickle.dumps({"rest": b""}), b"no zip at all"):
        path.write_bytes(damaged)
        assert store.find(("a",)) is None


def test_a_flipped_bit_leaves_a_unit_as_it_was_or_not_finished(store, tmp_path):
    store.keep(("a",), Result(Status.DONE, Product({"some": np.arange(9)}, {"value": 1}), "", 1.0))
    (path,) = (tmp_path / "deep" / "units").iterdir()
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        for bit in (0, 3):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            found = store.find(("a",))
            assert found is None or (found.status is Status.DONE and found.product.values == {"value": 1})


def test_all_of_it_is_its_users_alone(store, tmp_path):
    store.keep(("a",), DONE)
    folder = tmp_path / "deep" / "units"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    place: np.ndarray
    colour: Colour = Colour.RED
    inside: tuple[Point, ...] = ()
    about: dict[str, float] = field(default_factory=dict)


def test_a_value_of_dataclasses_comes_back_as_it_was(store):
    value = (Point(np.arange(3), inside=(Point(np.float32([0.5])),), about={"a": np.float64(1 / 3)}), None, "text")
    store.keep(("a",), Result(Status.DONE, Product.of(value).as_kept()))
    point, none, text = store.find(("a",)).product.value(Point, Colour)
    assert (none, text) == (None, "text")
    assert (point.colour, point.about) == (Colour.RED, {"a": 1 / 3})
    np.testing.assert_array_equal(point.place, np.arange(3))
    assert point.inside[0].place.dtype == np.float32
    with pytest.raises(KeyError):
        store.find(("a",)).product.value(Colour)


@dataclass(frozen=True)
class Former:
    """What a unit gave once."""

    some: int


@pytest.mark.parametrize("now", ["Former", "Other"])
def test_a_value_that_cannot_be_read_back_is_not_finished(store, tmp_path, now):
    """It is of another form than the class of that name has now, or of a class that there is no more."""
    store.keep(("a",), Result(Status.DONE, Product.of(Former(3))))

    def found(*classes):
        return UnitStore(tmp_path / "deep" / "units", {"seed": 0}, classes).find(("a",))

    assert found(Former) is not None
    assert found(dataclass(type(now, (), {"__annotations__": {"more": int}}))) is None
