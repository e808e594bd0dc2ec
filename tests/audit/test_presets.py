"""What an audit would do, its presets, and how long it says that it takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.audit.scenes import Noise, effort, subject, target, use

from medveil.audit.audit_run import fixed_threads, forecast_release
from medveil.audit.pace import measured_pace
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
    # Two rounds, 8 own images and 6 under attack: 8 + 6 x 3 published and 8 + 6 x 2 looked at in each, 14 of them coded
    # once. The control: as many, all coded. Fidelity of 4 images, and the checks.
    assert found.expected_seconds == 14 * 2 + 2 * (26 + 20) + (14 * 2 + 26 + 20) + 4 * 2 + 2 * 2
    assert list(tmp_path.iterdir()) == []


def test_the_speed_of_this_machine_is_measured():
    pace = measured_pace(target([subject(number, number) for number in range(3)]), effort())
    assert pace.update > 1e-4
    assert pace.control.publish > 1e-4
    assert pace.release.code >= 0
    unet, network = SimpleNamespace(name="unet", trains=True), SimpleNamespace(name="own", trains=True)
    assert pace.training(unet, effort(steps=4)) == 4 * pace.update == pace.training(network, effort(steps=4))
    assert pace.training(SimpleNamespace(name="unet", trains=False), effort()) == 0


def test_without_a_number_there_is_a_thread_a_core(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    before = torch.get_num_threads()
    for asked, expected in ((0, 3), (2, 2)):
        with fixed_threads(asked) as count:
            assert count == torch.get_num_threads() == expected
    assert torch.get_num_threads() == before


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
