"""What the commands answer with --json is what it was: see `tests.locks.commands`."""

from __future__ import annotations

import pytest
from tests.locks import commands, stored

pytest.importorskip("torch", reason="the commands of the audit need torch")


def test_session(tmp_path):
    stored.check("commands", commands.commands(tmp_path), "session")


@pytest.mark.slow
def test_demo(tmp_path):
    stored.check("commands", commands.demo(tmp_path), "demo")
