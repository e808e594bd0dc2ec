"""What an audit would do, its presets, and how long it says that it takes."""

from __future__ import annotations

import pytest
from tests.audit.scenes import Noise, use

from medveil.audit.forecast import forecast
from medveil.audit.presets import find_preset, preset_names
from medveil.audit.progress import Progress
from medveil.errors import UsageError


def test_a_forecast_counts_and_writes_nothing(scene, auditor, tmp_path, monkeypatch):
    use(monkeypatch, [Noise("noise")])
    attack = Noise("noise")
    found = forecast(
        scene / "release", identity=auditor, originals=scene / "data", manifest=scene / "data" / "manifest.csv",
        out=tmp_path / "audit", preset="tiny", attacks=(), force=False, seed=0, owner=None,
    )  # fmt: skip
    assert (found.packages, found.tested, found.patients, found.rounds) == (12, 12, 6, 2)
    assert found.own == 8
    assert found.attacks == ("noise",)
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


def test_progress_estimates_the_rest_from_what_is_done():
    now, said = [0.0], []
    told = Progress(lambda *line: said.append(line), clock=lambda: now[0])
    told.plan([1.0, 1.0, 2.0, 10.0, 10.0])
    for weight in (1, 1, 2):
        since = told.begin("a part")
        now[0] += 6 * weight
        told.end(since)
    assert "left" not in said[-1][2]
    told.begin("large")
    assert said[-1] == (3, 5, "large (about 2 min left)")
    told.end(None)
    told.begin("last")
    assert said[-1] == (4, 5, "last (about 1 min left)")
