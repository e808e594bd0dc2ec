"""Whatever bytes a stranger or a hostile owner sends, a reader gives a value or one of medveil's own errors.

Short property tests on the targets of `benchmarks.fuzzing`, which goes on for half an hour; inputs that once broke a
reader have tests of their own beside the tests of that reader.
"""

import random

import pytest
from benchmarks.fuzz import codes, containers, keyfiles, pictures
from benchmarks.fuzz.mutation import mutate_record, random_bytes
from benchmarks.fuzz.target import Bound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medveil.errors import MedveilError

_LEFT_OUT = {"exact, JPEG-LS", "primis", "weights", "package, sealed", "package, obfuscated"}  # slow to begin with
TARGETS = [
    target
    for target in (*containers.TARGETS, *keyfiles.TARGETS, *codes.TARGETS, *pictures.TARGETS)
    if target.name not in _LEFT_OUT
]
_SHORT = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def read(target, data):
    try:
        target.read(data, Bound())
    except MedveilError:
        return False
    return True


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_bytes_are_read_or_refused(target):
    @_SHORT
    @given(st.binary(max_size=200))
    def check(data):
        read(target, data)

    check()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_change_of_an_honest_input_is_read_or_refused(target):
    seeds = target.seeds()
    assert any(read(target, seed) for seed in seeds)

    @_SHORT
    @given(st.sampled_from(seeds), st.integers(0, 1 << 32))
    def check(seed, number):
        draw = random.Random(number)
        if target.is_record:
            data = mutate_record(seed, target.longest, draw, random_bytes)
        else:
            data = random_bytes(seed, target.longest, draw)
        read(target, data)

    check()
