"""Invented patients: the same for the same seed, of the stated kinds, and shaped like radiographs."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from medveil.datasets.painting import Canvas, blur, curve, ellipsoid, resample
from medveil.datasets.phantoms import COLUMNS, draw_patient, make_phantoms, patient_name
from medveil.errors import TargetExistsError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantoms(tmp_path_factory.mktemp("phantoms"), patients=3, seed=5)


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_manifest_names_every_file(made: Path) -> None:
    rows = _rows(made)
    assert tuple(rows[0]) == COLUMNS
    named = {row[column] for row in rows for column in ("image", "mask")} | {"manifest.csv"}
    assert named == {p.relative_to(made.parent).as_posix() for p in made.parent.rglob("*") if p.is_file()}
    assert len({row["patient_id"] for row in rows}) == 3
    assert all(int(row["images_of_patient"]) >= 2 for row in rows)


def test_kinds_sizes_and_masks(made: Path) -> None:
    kinds = set()
    for row in _rows(made):
        path = made.parent / row["image"]
        mask = np.asarray(Image.open(made.parent / row["mask"]))
        if path.suffix == ".dcm":
            data = pydicom.dcmread(path)
            pixels = data.pixel_array
            assert (data.BitsStored, data.PatientName) == (12, patient_name(2))
            assert 1024 < pixels.max() < 4096
        else:
            with Image.open(path) as picture:
                assert picture.mode == "L"
                pixels = np.asarray(picture)
        kinds.add(path.suffix)
        assert pixels.shape == mask.shape == (int(row["height"]), int(row["width"]))
        assert set(np.unique(mask)) == {0, 255}
        lungs = mask > 0
        assert 0.15 < lungs.mean() < 0.5
        assert np.median(pixels[lungs]) < 0.8 * np.median(pixels[~lungs])
    assert kinds == {".png", ".dcm"}


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        manifest = make_phantoms(tmp_path / name, patients=1, seed=9)
        files = sorted(p for p in manifest.parent.rglob("*") if p.is_file())
        digests.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in files])
    assert digests[0] == digests[1]


def test_visits_resemble_each_other_more_than_patients_do() -> None:
    first, other = draw_patient(0, 1), draw_patient(3, 1)
    a, b = (visit.brightness for visit in first.visits[:2])
    c = other.visits[0].brightness
    assert a.shape == c.shape
    assert not np.array_equal(a, b)
    assert np.abs(blur(a, 3) - blur(b, 3)).mean() < np.abs(blur(a, 3) - blur(c, 3)).mean()


def test_nothing_is_overwritten(made: Path) -> None:
    with pytest.raises(TargetExistsError):
        make_phantoms(made.parent, patients=1, seed=0)


def test_blur_keeps_the_mean_and_widens_a_point() -> None:
    plane = np.zeros((41, 41), dtype=np.float32)
    plane[20, 20] = 1
    smooth = blur(plane, 2.0)
    assert smooth.sum() == pytest.approx(1, abs=1e-4)
    assert smooth[20, 20] == pytest.approx(1 / (2 * np.pi * 4), rel=0.02)


def test_curve_goes_through_its_knots() -> None:
    knots = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    assert np.allclose(curve(knots, 5)[::2], knots)


def test_ellipsoid_and_resample() -> None:
    canvas = Canvas.of(64, 64)
    bump = ellipsoid(canvas, (0.0, 0.0), (0.5, 0.25))
    assert bump.max() == pytest.approx(1, abs=0.01)
    assert (bump > 0).mean() == pytest.approx(np.pi * 0.5 * 0.25 / 4, rel=0.03)
    rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
    assert np.allclose(resample(bump, rows, columns)[:-1, :-1], bump[:-1, :-1], atol=1e-3)
