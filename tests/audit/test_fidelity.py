"""What recipients open, against the originals."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.scenes import WORKING

from medveil.audit.fidelity import tier_fidelity
from medveil.audit.targets.keyed import keyed_target
from medveil.audit.targets.target import Limits
from medveil.releases.release import Release


@pytest.fixture(scope="module")
def opened(scene, auditor):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(scene / "state"))
        return keyed_target(
            Release(scene / "release"), auditor, scene / "data", scene / "data" / "manifest.csv",
            limits=Limits(100, 0), working=WORKING, seed=0,
        )  # fmt: skip


def measured(opened, **changed):
    values = {"resamples": 200, "generator": np.random.default_rng(0)} | changed
    return tier_fidelity(opened.image_sets[0], opened.subjects, **values)


def test_rows_are_those_of_the_opened_images(opened):
    (diagnostic,) = opened.image_sets
    gaps = {one.number: diagnostic.stored(one).astype(float) - one.image.pixels for one in opened.subjects}
    found = {row.metric: row for row in measured(opened).rows}
    errors = {number: float(np.sqrt((gap**2).mean())) for number, gap in gaps.items()}
    assert found["rmse"].mean == pytest.approx(np.mean(list(errors.values())))
    assert found["rmse"].sd == pytest.approx(np.std(list(errors.values()), ddof=1))
    assert found["rmse"].worst == tuple(sorted(errors, key=lambda number: -errors[number])[:3]) == found["psnr"].worst
    assert found["me"].mean == pytest.approx(np.mean([gap.mean() for gap in gaps.values()]))
    assert found["mae"].mean == pytest.approx(np.mean([abs(gap).mean() for gap in gaps.values()]))
    assert found["psnr"].ci[0] < found["psnr"].mean < found["psnr"].ci[1]
    assert found["psnr"].images == 12
    assert "ms_ssim" not in found


def test_the_histogram_pools_all_pixels_and_the_worst_images_are_shown(opened):
    found = measured(opened)
    pixels = np.concatenate([one.image.pixels.ravel() for one in opened.subjects])
    assert found.histogram.sum() == pixels.size
    np.testing.assert_array_equal(found.histogram.sum(axis=1), np.bincount(pixels, minlength=256))
    assert 0.99 < found.r_squared < 1
    psnr = next(row for row in found.rows if row.metric == "psnr")
    assert tuple(example.number for example in found.examples) == psnr.worst
    for example in found.examples:
        np.testing.assert_allclose(example.baseline, np.abs(example.attacker - example.original))
