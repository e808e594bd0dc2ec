"""What `medveil train` runs: a folder of images becomes a folder of weights that the codec takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from medveil.codecs.primis.codec import codec_from_folder  # noqa: E402
from medveil.codecs.primis.training_run import TrainingStart, read_log, train_codec  # noqa: E402
from medveil.errors import TargetExistsError, UsageError  # noqa: E402
from medveil.networks.primis import PrimisConfig  # noqa: E402
from medveil.training.model_card import digest_of_images  # noqa: E402
from medveil.training.primis_training import LogEntry, Settings  # noqa: E402

CONFIG = PrimisConfig(4, blocks=((16, 16),), bank_channels=(1, 4, 4), sweeps=1)
SETTINGS = Settings(steps=4, batch=1, crop=32, validate_every=2)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Six files of three patients, one of them not an image, and a manifest."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = []
    for number in range(6):
        paths.append(folder / f"{number}.png")
        Picture.fromarray(rng.integers(0, 256, (40, 36)).astype(np.uint8)).save(paths[-1])
    paths[5].write_bytes(b"no image")
    rows = [f"{path.name},p{number // 2},{('train', 'val', 'train')[number // 2]}" for number, path in enumerate(paths)]
    (folder / "manifest.csv").write_text("\n".join(["image,patient_id,fold", *rows]))
    return paths


def test_training_writes_weights_log_and_card(images: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = images[0].parent / "manifest.csv"
    seen = []
    result = train_codec(
        images, out, sparsity=4, manifest=manifest, device="cpu", config=CONFIG, settings=SETTINGS, progress=seen.append
    )
    assert (result.training_images, result.validation_images, result.patients_known) == (3, 2, True)
    assert [entry.step for entry in read_log(out)] == [2, 4] == [entry.step for entry in seen]
    card = (out / "README.md").read_text()
    assert result.digest in card
    assert digest_of_images([images[0], images[1], images[4]]) in card
    assert "split by patient" in card
    assert codec_from_folder(out).profile(quality_centidb=0, sparsity=None, deep=0).weights.hex() == result.digest
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "model.safetensors", "training.jsonl"]
    with pytest.raises(TargetExistsError, match="trained model"):
        train_codec(images, out, sparsity=4, config=CONFIG, settings=SETTINGS)


def test_a_manifest_that_was_moved_is_matched_below_the_folder_and_what_is_left_over_is_told(
    images: list[Path], tmp_path: Path
) -> None:
    manifest = tmp_path / "moved.csv"
    manifest.write_text("image,patient_id\nimages/0.png,p\nold/1.png,q\ngone.png,r\n")
    starts: list[TrainingStart] = []
    given = {"sparsity": 4, "device": "cpu", "config": CONFIG, "settings": SETTINGS, "manifest": manifest}
    train_codec(images, tmp_path / "out", folders=[tmp_path], begun=starts.append, **given)
    assert starts == [TrainingStart(1, 1, unlisted=4, rows=3, unmatched=1, by_name=1)]
    manifest.write_text("image,patient_id\nelsewhere.png,p\n")
    with pytest.raises(UsageError, match="none of the 1 images"):
        train_codec(images, tmp_path / "other", **given)


def test_an_unfinished_run_goes_on_only_with_resume(images: list[Path], tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(entry: LogEntry) -> None:
        if entry.step == 4:
            raise Killed

    out, whole = tmp_path / "out", tmp_path / "whole"
    given = {"sparsity": 4, "device": "cpu", "config": CONFIG, "settings": SETTINGS}
    with pytest.raises(Killed):
        train_codec(images, out, progress=kill, **given)
    with pytest.raises(TargetExistsError, match="unfinished run"):
        train_codec(images, out, **given)
    resumed = train_codec(images, out, resume=True, **given)
    assert resumed.digest == train_codec(images, whole, **given).digest


def test_requests_that_make_no_sense_are_refused(images: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to train"):
        train_codec(images, tmp_path / "a", codec="lapped")
    with pytest.raises(UsageError, match="1 to 64"):
        train_codec(images, tmp_path / "a", sparsity=0)
    with pytest.raises(UsageError, match="no image to train on"):
        train_codec(images[5:], tmp_path / "a")
