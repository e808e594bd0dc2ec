"""A seal whose permutation is the identity must be found out, on a real release and by attacks as users run them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.scenes import effort, preset, shared_images

from medveil.audit import presets
from medveil.audit.outcome import Verdict
from medveil.audit.running import audit_release
from medveil.protection.keystream import Keystream

_ATTACKS = ("naive-decode", "likelihood-ratio")


@pytest.fixture
def verdicts(tmp_path, auditor, monkeypatch):
    """The verdicts on a release of 16 patients with one image each, without the report."""

    def run():
        spent = effort(working=64)
        tiny = preset(effort=spent, control_effort=spent, own_images=16, control_own=2, control_tested=2)
        monkeypatch.setattr(presets, "_PRESETS", (tiny,))
        monkeypatch.setattr("medveil.audit.controlling.all_controls", lambda **_: ())
        monkeypatch.setattr("medveil.audit.running.write_report", lambda audit, folder, **_: None)
        root = shared_images(tmp_path, auditor, patients=16, images=1)
        audit = audit_release(
            root / "release", identity=auditor, originals=root / "data", manifest=root / "data" / "manifest.csv",
            out=root / "audit", preset="tiny", attacks=_ATTACKS, threads=1,
        )  # fmt: skip
        return {result.name: result.verdict for result in audit.attacks}

    return run


def test_a_seal_is_not_broken(verdicts):
    assert Verdict.BROKEN not in verdicts().values()


def test_a_seal_with_the_identity_permutation_is_broken(verdicts, monkeypatch):
    monkeypatch.setattr(Keystream, "permutation", lambda self, cells: np.arange(cells))
    assert set(verdicts().values()) == {Verdict.BROKEN}
