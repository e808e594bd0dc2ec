"""The shipped weights: what they were trained on, how large they are, and what they gain over untrained transforms."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from medveil.codecs.code import Bucket  # noqa: E402
from medveil.codecs.primis.codec import WEIGHTS, PrimisCodec, shipped_weights  # noqa: E402
from medveil.errors import UsageError  # noqa: E402
from medveil.images.image import FileKind, Image, Source  # noqa: E402
from medveil.metrics.image_quality import psnr  # noqa: E402
from medveil.networks.lapped_bases import dct_matrix  # noqa: E402
from medveil.training.model_card import digest_of_images  # noqa: E402

SPARSITIES = (4, 8, 16)
BARS = {4: 38.0, 8: 41.0, 16: 45.0}
MARGIN = 1.0
# Sources whose licence allows any use with attribution.
SOURCES = ("nih", "kermany", "hannover")


def rows(shared: Path) -> list[dict[str, str]]:
    with (shared / "cxr" / "manifest.csv").open(newline="") as handle:
        return sorted(csv.DictReader(handle), key=lambda row: row["image"])


def stated_digest(sparsity: int) -> str:
    card = (WEIGHTS / f"primis-s{sparsity}.md").read_text()
    found = re.search(r"sorted digests of the training images \| `([0-9a-f]{64})`", card)
    assert found
    return found[1]


def test_the_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 15_000_000


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_every_file_has_a_log_and_a_card(sparsity: int) -> None:
    lines = [json.loads(line) for line in (WEIGHTS / f"primis-s{sparsity}.jsonl").read_text().splitlines()]
    assert len(lines) >= 3
    assert {"step", "loss", "validation_psnr", "seconds"} <= set(lines[0])
    card = (WEIGHTS / f"primis-s{sparsity}.md").read_text()
    assert hashlib.sha256(shipped_weights(sparsity).read_bytes()).hexdigest() in card
    for word in ("seed", "commit", "trained on"):
        assert word in card


def test_a_sparsity_without_weights_lists_those_with() -> None:
    with pytest.raises(UsageError, match="4, 8, 16"):
        shipped_weights(5)


def test_no_validation_or_test_image_was_trained_on(shared: Path) -> None:
    known = rows(shared)
    training = [shared / "cxr" / row["image"] for row in known if row["fold"] == "train" and row["source"] in SOURCES]
    digest = digest_of_images(training)
    for sparsity in SPARSITIES:
        assert stated_digest(sparsity) == digest
    trained = {hashlib.sha256(path.read_bytes()).digest() for path in training}
    others = [shared / "cxr" / row["image"] for row in known if row["fold"] != "train"]
    assert not trained & {hashlib.sha256(path.read_bytes()).digest() for path in others}
    patients = {row["patient_id"] for row in known if row["fold"] == "train"}
    assert not patients & {row["patient_id"] for row in known if row["fold"] != "train"}


def coded(pixels: np.ndarray, sparsity: int) -> float:
    """PSNR of an 8-bit image through the codec."""
    codec, bucket = PrimisCodec(), Bucket.of(*pixels.shape)
    profile = codec.profile(quality_centidb=0, sparsity=sparsity, deep=0)
    code = codec.encode(
        Image.of_pixels(pixels, 8, Source(FileKind.PNG, b"")), profile, codec.composition(profile, bucket)
    )
    for entry in code.maps:
        assert np.bincount(entry.positions // 256).max() <= sparsity
    return psnr(pixels, codec.decode(code, profile, bucket), data_range=255)


def block_dct(pixels: np.ndarray, count: int) -> float:
    """PSNR of the 16x16 block DCT of which each block keeps its `count` largest coefficients, unquantised."""
    padded = np.pad(pixels.astype(float), [(0, -side % 16) for side in pixels.shape], mode="edge")
    dct = dct_matrix(16).numpy()
    high, wide = padded.shape[0] // 16, padded.shape[1] // 16
    blocks = padded.reshape(high, 16, wide, 16).transpose(0, 2, 1, 3)
    cells = np.sort(((dct @ blocks @ dct.T) ** 2).reshape(-1, 256), axis=1)
    # The error on the padding counts too, which only helps the rival where the padding is smooth.
    return 10 * math.log10(255**2 * padded.size / max(float(cells[:, : 256 - count].sum()), 1e-6))


def gain(shared: Path, sparsity: int, every: int) -> tuple[float, float]:
    """Mean PSNR over the test fold, of the shipped weights and of the untrained block DCT of the same L, S and M."""
    found = []
    for row in [row for row in rows(shared) if row["fold"] == "test"][::every]:
        with Picture.open(shared / "cxr" / row["image"]) as picture:
            pixels = np.asarray(picture)
        found.append((coded(pixels, sparsity), block_dct(pixels, 4 * sparsity)))
    ours, rival = np.mean(found, axis=0)
    return float(ours), float(rival)


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_a_few_test_images_reach_the_bar(shared: Path, sparsity: int) -> None:
    ours, rival = gain(shared, sparsity, every=59)
    assert ours >= BARS[sparsity]
    assert ours >= rival + MARGIN


@pytest.mark.slow
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_the_whole_test_fold_reaches_the_bar(shared: Path, sparsity: int) -> None:
    ours, rival = gain(shared, sparsity, every=1)
    assert ours >= BARS[sparsity]
    assert ours >= rival + MARGIN
