"""What an audit would do, its presets, and how long it says that it takes."""

from __future__ import annotations

import pytest
from tests.audit.scenes import Noise, use

from medveil.audit.audit_run import forecast_release
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
