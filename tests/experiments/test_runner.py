"""Plans run to their end, in any way and with any interruption, and always give the same."""

from __future__ import annotations

import errno
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from medveil.errors import IntegrityError, MedveilError, MissingDependencyError, NotKeptError, UsageError
from medveil.experiments import unit_store
from medveil.experiments.progress import Progress
from medveil.experiments.runner import run
from medveil.experiments.unit import Plan, Product, Status, Unit
from medveil.experiments.unit_store import UnitStore

SETTINGS = {"seed": 3, "sizes": [1, 2]}


def drawn(number, tick):
    tick()
    return Product({"x": np.random.default_rng(number).random(number)}, {"sum": number / 3, "names": ("a", number)})


def fails(error, tick):
    raise error


def plan(*changed, count=4):
    units = [Unit(("draw", number), "draw", f"draw {number}", partial(drawn, number)) for number in range(count)]
    return Plan(SETTINGS, (*units[: count // 2], *changed, *units[count // 2 :]))


def bad(error, name="bad"):
    return Unit((name,), "other", name, partial(fails, error))


def plain(results):
    """All of results but their seconds, for comparison."""
    return [
        (key, one.status, one.reason, one.product.values, {name: a.tobytes() for name, a in one.product.arrays.items()})
        for key, one in results.items()
    ]


@pytest.fixture
def store(tmp_path):
    return UnitStore(tmp_path / "units", SETTINGS)


def test_a_plan_gives_the_product_of_every_unit():
    results = run(plan())
    assert list(results) == [("draw", 0), ("draw", 1), ("draw", 2), ("draw", 3)]
    assert results["draw", 3].status is Status.DONE
    assert results["draw", 3].product.values == {"sum": 1.0, "names": ["a", 3]}  # as JSON gives it back
    np.testing.assert_array_equal(results["draw", 3].product.arrays["x"], np.random.default_rng(3).random(3))


def test_no_two_units_have_one_key():
    with pytest.raises(ValueError, match="the key"):
        plan(Unit(("draw", 1), "draw", "again", partial(drawn, 1)))


@pytest.mark.parametrize("stop", range(5))
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), OSError(errno.ENOSPC, "full")], ids=repr)
def test_interrupted_anywhere_it_resumes_with_the_same_result(store, stop, error):
    whole, done = plan(bad(UsageError("not here")), bad(ValueError(), "worse")), []

    def counted(unit):
        def make(tick):
            if len(done) == stop:
                raise error
            done.append(unit.key)
            return unit.make(tick)

        return Unit(unit.key, unit.kind, unit.title, make)

    with pytest.raises(type(error)):
        run(Plan(SETTINGS, tuple(map(counted, whole.units))), store)
    stop = -1
    assert plain(run(Plan(SETTINGS, tuple(map(counted, whole.units))), store)) == plain(run(whole))
    assert sorted(set(done)) == sorted(unit.key for unit in whole.units)
    assert all(done.count(key) == 1 for key in done if key != ("worse",))  # what failed is tried again


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_gives_the_same(pool, store):
    mixed = plan(bad(UsageError("not here")), bad(ValueError("of patient 7"), "worse"))
    with pool(2) as executor:
        assert plain(run(mixed, store, executor)) == plain(run(mixed))
    assert plain(run(mixed, store)) == plain(run(mixed))


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_what_ends_a_run_ends_it_in_an_executor(pool, store):
    with pool(2) as executor, pytest.raises(MemoryError):
        run(plan(bad(MemoryError()), count=40), store, executor)
    assert plain(run(plan(), store)) == plain(run(plan()))


def test_a_refused_unit_says_why_and_a_failed_one_no_more_than_its_class(monkeypatch):
    results = run(plan(bad(UsageError("too few images: 3")), bad(ValueError("of patient 7"), "worse")))
    assert (results["bad",].status, results["bad",].reason) == (Status.REFUSED, "too few images: 3")
    assert (results["worse",].status, results["worse",].reason) == (Status.FAILED, "ValueError")
    assert results["draw", 3].status is Status.DONE
    monkeypatch.setenv("MEDVEIL_DEBUG", "1")
    with pytest.raises(ValueError, match="patient 7"):
        run(plan(bad(ValueError("of patient 7"))))


def test_damaged_data_is_no_reason_to_refuse_and_a_failure_tells_what_it_came_from():
    def wrapped(tick):
        raise ValueError from UsageError("of patient 7")

    odd = (bad(IntegrityError("of patient 7")), Unit(("worse",), "other", "worse", wrapped),
           bad(MissingDependencyError("needs torch"), "lacks"))  # fmt: skip
    results = run(Plan({}, odd))
    assert [(each.status, each.reason) for each in results.values()] == [
        (Status.FAILED, "IntegrityError"), (Status.FAILED, "UsageError"), (Status.REFUSED, "needs torch"),
    ]  # fmt: skip


@pytest.mark.parametrize("product", [
    Product({"x": np.array([None])}), Product(values={"x": object()}), Product(values={"x": b"bytes"}),
])  # fmt: skip
def test_a_product_that_cannot_be_kept_fails_at_once(product):
    unit = Unit(("odd",), "other", "odd", lambda _: product)
    assert run(Plan({}, (unit,)))["odd",].status is Status.FAILED


def test_a_full_disk_ends_the_run_and_loses_nothing(store, monkeypatch):
    written, write = [], unit_store.write_bytes

    def full(path, data, **options):
        if len(written) == 2:
            raise MedveilError("a file could not be written: No space left on device")
        written.append(path)
        write(path, data, **options)

    with monkeypatch.context() as patch:
        patch.setattr(unit_store, "write_bytes", full)
        with pytest.raises(NotKeptError, match="No space left") as caught:
            run(plan(), store)
    assert "--resume" in caught.value.hint
    assert [store.find(unit.key) is not None for unit in plan().units] == [True, True, False, False]
    assert plain(run(plan(), store)) == plain(run(plan()))


def test_a_store_of_other_settings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="other settings"):
        run(plan(), UnitStore(tmp_path, {"seed": 4, "sizes": [1, 2]}))


def test_progress_counts_what_was_found_and_estimates_from_what_was_done(store):
    run(Plan(SETTINGS, plan().units[:2]), store)
    said, seconds = [], iter(range(0, 1000, 60))
    progress = Progress(lambda *line: said.append(line), lambda: float(next(seconds)))
    run(plan(count=8), store, progress=progress)
    assert said[0][:2] == (1, 8)
    assert said[-1][:2] == (8, 8)
    assert any("min left)" in text for *_, text in said)
    assert all(done <= total for done, total, _ in said)


def test_costs_in_seconds_give_an_estimate_from_the_first_unit_on():
    said, now = [], [0.0]
    progress = Progress(lambda *line: said.append(line), lambda: now[0])
    progress.expect([60.0] * 10, seconds=True)
    progress.begin("one")
    assert said[-1] == (0, 10, "one (about 10 min left)")
    now[0] = 180.0  # it took three times as long
    progress.end(60.0)
    progress.begin("two")
    assert said[-1] == (1, 10, "two (about 21 min left)")
    relative = Progress(lambda *line: said.append(line), lambda: now[0])
    relative.expect([60.0] * 10)
    relative.begin("one")
    assert said[-1] == (0, 10, "one")
