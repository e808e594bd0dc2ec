"""Attacks publish the same few pictures over and over."""

import pytest
from tests.code_memory import remembered_codes


@pytest.fixture(scope="module", autouse=True)
def _remembered_codes():
    """Every picture is coded once."""
    with remembered_codes():
        yield
