"""What an audit would do, its presets, and how long it says that it takes."""

from __future__ import annotations

import pytest
from tests.audit.scenes import Noise, use

from medveil.audit.audit_run import forecast_release
from medveil.audit.pace import Pace, Publishing
from medveil.audit.presets import find_preset, preset_names
from medveil.errors import UsageError


def test_a_forecast_counts_and_writes_nothing(scene, auditor, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    attack = Noise("noise")
    found = forecast_release(
        scene / "release", identity=auditor, originals=scene / "data", manifest=scene / "data" / "manifest.csv",
        out=tmp_path / "audit", preset="tiny", attacks=(), force=False, seed=0, owner=None,
    )  # fmt: skip
    assert (found.packages, found.images, found.patients, found.rounds) == (12, 12, 6, 2)
    assert found.own_images == 8
    assert found.attacks == ("noise",)
    assert found.units == {"attack": 2, "control": 1, "fidelity": 1, "check": 1}
    assert attack.learned == []
    images, linkage = found.verdicts
    assert images.patients == 6
    assert linkage.patients in (4, 6)  # by who is in a fold with whom
    assert 0 < found.expected_seconds < 600
    monkeypatch.setattr("medveil.audit.plan.measured_pace", lambda *_: Pace(*[Publishing(2.0, 1.0)] * 2, 0.5))
    told = forecast_release(
        scene / "release", identity=auditor, originals=scene / "data", manifest=scene / "data" / "manifest.csv",
        out=tmp_path / "audit", preset="tiny",
    )  # fmt: skip
    # Two rounds, 8 own images and 6 under attack: 8 + 6 x 3 published and 8 + 6 x 2 looked at in each, 14 of them coded
    # once. The control: as many, all coded. Fidelity of 4 images, and the checks.
    assert told.expected_seconds == 14 * 2 + 2 * (26 + 20) + (14 * 2 + 26 + 20) + 4 * 2 + 2 * 2
    assert list(tmp_path.iterdir()) == []


def test_presets_rise():
    assert preset_names() == ("quick", "standard", "paper")
    found = [find_preset(name) for name in preset_names()]
    for name in ("own_images", "tested_images", "resamples", "folds", "control_tested"):
        values = [getattr(preset, name) for preset in found]
        assert values == sorted(values)
    assert (found[-1].effort.batch, found[-1].effort.working) == (30, 256)
    with pytest.raises(UsageError, match="quick, standard, paper") as caught:
        find_preset("standart")
    assert caught.value.hint == "did you mean standard?"
