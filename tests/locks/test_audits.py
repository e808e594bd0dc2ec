"""report.json of tiny audits is what it was: see `tests.locks.audits`.

By default tasks work with what sealed opens to; the canaries of the audits hold what attacks find on controls.
`-m slow` runs attacks and tasks on every level, and every attack: run it before and after what moves.
"""

from __future__ import annotations

import pytest
from tests.locks import audits, releases, stored

pytest.importorskip("torch", reason="audits need torch")
_FAST = {("tasks", "sealed")}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return releases.unpacked(tmp_path_factory.mktemp("locks"))


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        pytest.param(kind, level, marks=[] if (kind, level) in _FAST else [pytest.mark.slow], id=f"{kind}-{level}")
        for kind in audits.KINDS
        for level in releases.LEVELS
    ],
)
def test_audit(root, kind, level):
    stored.check("audits", audits.KINDS[kind](root, level), f"{kind} {level}")


@pytest.mark.slow
@pytest.mark.parametrize("level", releases.LEVELS)
def test_whole_audit(root, level):
    stored.check("audits-whole", audits.whole(root, level), f"whole {level}")
