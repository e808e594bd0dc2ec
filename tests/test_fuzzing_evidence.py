"""The stored fuzzing run was long enough, found nothing that is not mended, and reached nearly every branch."""

from __future__ import annotations

import pytest
from benchmarks import provenance


@pytest.fixture(scope="module")
def results():
    stored = provenance.load("fuzzing")
    if stored is None:
        pytest.skip("python -m benchmarks.fuzzing has not been run")
    assert stored["command"] == "python -m benchmarks.fuzzing"
    assert {"commit", "machine", "seconds", "seed"} <= set(stored)
    return stored["results"]


def test_the_run_was_long_and_without_findings(results):
    assert results["cpu_minutes"] >= 30
    assert results["findings"] == 0
    assert {row["way"] for row in results["targets"]} == {"atheris"}
    assert min(row["executions"] for row in results["targets"]) > 1000


def test_no_input_took_more_memory_than_allowed(results):
    assert results["largest_share_of_bound"] <= 1
    for row in results["extremes"]:
        assert row["peak_mib"] <= 1.01 * row["allowed_mib"], row["input"]


def test_nine_of_ten_branches_of_the_readers_are_reached(results):
    if "branch_coverage" not in results:
        pytest.skip("not measured yet: python -m benchmarks.fuzzing --branches --work FOLDER")
    found = results["branch_coverage"]
    assert found["share_with_tests"] >= 0.9
    low = [name for name, row in found["modules"].items() if row["with_tests"] < 0.9 * row["branches"]]
    assert low == []
