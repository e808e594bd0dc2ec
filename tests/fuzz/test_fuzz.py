"""Whatever bytes a stranger or a hostile owner sends, a reader gives a value or one of medveil's own errors.

By default a sample: some dozen inputs a reader. The whole is slow: every reader under the fuzzer in a process of its
own, inputs made to take much memory, and how many branches of the parsers the corpus reaches. Inputs that once broke a
reader have tests of their own beside the tests of that reader.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import campaign_summary
from tests.fuzz import branches, campaign, extremes
from tests.fuzz.mutation import mutate_record, random_bytes
from tests.fuzz.target import Bound, Target
from tests.fuzz.targets import TARGETS

from medveil.errors import MedveilError
from medveil.keys import passphrases

SECONDS = 10.0  # of CPU time for a target with a share of one
LEAST_COVERED = 0.9
_SLOW_SEEDS = {"exact, JPEG-LS", "primis", "weights", "package, sealed", "package, obfuscated"}
QUICK = [target for target in TARGETS if target.name not in _SLOW_SEEDS]
_SHORT = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", autouse=True)
def _scrypt_as_it_was() -> Iterator[None]:
    """The seeds of key files make scrypt cheap in the whole process; the tests that come after must not meet that."""
    real = passphrases._aead
    yield
    passphrases._aead = real


def read(target: Target, data: bytes) -> bool:
    """Whether the target takes it; any error but medveil's own fails the test."""
    try:
        target.read(data, Bound())
    except MedveilError:
        return False
    return True


@pytest.mark.parametrize("target", QUICK, ids=lambda target: target.name)
def test_any_bytes_are_read_or_refused(target: Target) -> None:
    @_SHORT
    @given(st.binary(max_size=200))
    def check(data: bytes) -> None:
        read(target, data)

    check()


@pytest.mark.parametrize("target", QUICK, ids=lambda target: target.name)
def test_any_change_of_an_honest_input_is_read_or_refused(target: Target) -> None:
    seeds = target.seeds()
    assert any(read(target, seed) for seed in seeds)

    @_SHORT
    @given(st.sampled_from(seeds), st.integers(0, 1 << 32))
    def check(seed: bytes, number: int) -> None:
        draw = random.Random(number)
        if target.is_record:
            data = mutate_record(seed, target.longest, draw, random_bytes)
        else:
            data = random_bytes(seed, target.longest, draw)
        read(target, data)

    check()


@pytest.mark.slow
def test_the_whole_finds_nothing(tmp_path) -> None:
    """Every target for some seconds; a release's campaign goes on for half an hour: `python -m tests.fuzz.campaign`."""
    shares = sum(target.share for target in TARGETS)
    found = campaign.fuzz_all(tmp_path, SECONDS * shares / 60)
    found["large_inputs"] = extremes.measure()
    campaign_summary.write("fuzzing", found)
    assert {row["target"]: row["findings"] for row in found["targets"] if row["findings"]} == {}
    assert min(row["executions"] for row in found["targets"]) > 20
    for row in found["large_inputs"]:
        assert row["peak_mib"] <= 1.01 * row["allowed_mib"], row["input"]


@pytest.mark.slow
def test_nine_of_ten_branches_of_the_parsers_are_reached() -> None:
    """By the corpus alone; no other test runs in the process that is measured."""
    pytest.importorskip("coverage", reason="needs coverage, one of the development dependencies")
    found = branches.measure()
    print(f"\n{branches.table(found)}")
    reached, count = (sum(row[which] for row in found.values()) for which in (1, 0))
    assert reached >= LEAST_COVERED * count, branches.table(found)


def test_the_corpus_is_the_same_in_every_run() -> None:
    """Else a measured coverage could not be measured again."""
    target = next(one for one in QUICK if one.name == "manifest")
    first, second = (list(branches.corpus(target, 20)) for _ in range(2))
    assert first == second
    assert len(set(first)) > 10
