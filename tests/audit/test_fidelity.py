"""What recipients open, against the originals."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.scenes import WORKING

from medveil.audit.fidelity import grey, tier_fidelity
from medveil.audit.targets.keyed import Limits, gather, owner_ring
from medveil.images.image import FileKind, Image, Source
from medveil.keys.tiers import Tier
from medveil.releases.release import Release


@pytest.fixture(scope="module")
def opened(scene, auditor):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(scene / "state"))
        release = Release(scene / "release")
        ring = owner_ring(release, auditor)
        found = gather(
            release, ring, scene / "data", scene / "data" / "manifest.csv", skip=(), limits=Limits(100, 0),
            working=WORKING, seed=0,
        )  # fmt: skip
        return release, ring, found.holdings


def measured(opened, **changed):
    release, ring, holdings = opened
    values = {"resamples": 200, "generator": np.random.default_rng(0)} | changed
    return tier_fidelity(release, ring, release.codec(ring), holdings, Tier.DIAGNOSTIC, **values)


def test_rows_are_those_of_the_opened_images(opened):
    release, ring, holdings = opened
    codec = release.codec(ring)
    gaps = {
        holding.subject.number: release.open_package(holding.entry, ring, codec).content.pixels.astype(float)
        - holding.subject.image.pixels
        for holding in holdings
    }
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
    pixels = np.concatenate([holding.subject.image.pixels.ravel() for holding in opened[2]])
    assert found.histogram.sum() == pixels.size
    np.testing.assert_array_equal(found.histogram.sum(axis=1), np.bincount(pixels, minlength=256))
    assert 0.99 < found.r_squared < 1
    psnr = next(row for row in found.rows if row.metric == "psnr")
    assert tuple(example.number for example in found.examples) == psnr.worst
    for example in found.examples:
        np.testing.assert_allclose(example.baseline, np.abs(example.attacker - example.original))


def test_deep_pixels_are_brought_to_eight_bits_by_their_range():
    image = Image(np.array([[-2048, 2047]], np.int16), 12, Source(FileKind.DICOM, b""))
    assert grey(image.pixels, image).tolist() == [[0.0, 255.0]]
