"""The codec primis: round trips, S nonzeros a vector, compositions, hostile codes. No weights of the package needed."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from medveil.codecs.code import Bucket, CodeMap, Composition, Profile, SparseCode  # noqa: E402
from medveil.codecs.entropy import level_stream, pack, unpack  # noqa: E402
from medveil.codecs.lapped.composition_padding import pad_with_nulls  # noqa: E402
from medveil.codecs.primis.codec import MODEL_FILE, PrimisCodec, Side, codec_from_folder, codec_from_weights  # noqa: E402
from medveil.codecs.primis.weights_file import load_model, parse_model, save_model  # noqa: E402
from medveil.errors import IntegrityError, MissingDependencyError, UnreadableInputError, UsageError  # noqa: E402
from medveil.images.image import FileKind, Image, Source  # noqa: E402
from medveil.networks.primis import PrimisConfig, PrimisNetwork  # noqa: E402

CONFIG = PrimisConfig(8, bank_channels=(1, 4, 4), sweeps=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `medveil train` writes it, with an untrained network."""
    path = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(path / MODEL_FILE, PrimisNetwork(CONFIG), 1.5)
    return path


@pytest.fixture(scope="module")
def codec(folder: Path) -> PrimisCodec:
    return codec_from_folder(folder)


def profile_of(codec: PrimisCodec, deep: int = 0) -> Profile:
    return codec.profile(quality_centidb=4000, sparsity=None, deep=deep)


def image(height: int, width: int, bits: int = 8, signed: bool = False, seed: int = 0) -> Image:
    rows, columns = np.mgrid[:height, :width]
    shape = np.sin(rows / 9) + np.cos(columns / 7) + 0.05 * np.random.default_rng(seed).standard_normal(rows.shape)
    spread = float(np.ptp(shape)) or 1.0
    values = (shape - shape.min()) / spread * ((1 << bits) - 1) - (1 << (bits - 1) if signed else 0)
    kind = np.int16 if signed else np.uint8 if bits == 8 else np.uint16
    return Image.of_pixels(values.astype(kind), bits, Source(FileKind.PNG, b""))


def round_trip(codec: PrimisCodec, original: Image, sealed: bool = True) -> NDArray[np.generic]:
    profile, bucket = profile_of(codec), Bucket.of(*original.pixels.shape)
    composition = codec.composition(profile, bucket) if sealed else None
    code = unpack(pack(codec.encode(original, profile, composition)))
    return codec.decode(code, profile, bucket)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    ("height", "width", "bits", "signed"),
    [(80, 50, 8, False), (1, 1, 8, False), (17, 200, 12, False), (64, 40, 16, True)],
)
def test_images_come_back_alike(
    codec: PrimisCodec, height: int, width: int, bits: int, signed: bool, sealed: bool
) -> None:
    original = image(height, width, bits, signed)
    back = round_trip(codec, original, sealed)
    assert back.dtype == original.pixels.dtype
    assert back.shape == original.pixels.shape
    error = back.astype(float) - original.pixels
    assert np.sqrt(np.mean(error**2)) < 0.02 * (1 << bits)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_constant_images_come_back_exactly(codec: PrimisCodec, value: int) -> None:
    original = image(40, 70).with_pixels(np.full((40, 70), value, np.uint8))
    assert (round_trip(codec, original) == value).all()


def test_noise_is_coarsened_until_it_fits(codec: PrimisCodec) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (96, 96)).astype(np.uint16)
    original = image(96, 96, 16).with_pixels(noise)
    profile, bucket = profile_of(codec, 1), Bucket.of(96, 96)
    composition = codec.composition(profile, bucket)
    code = codec.encode(original, profile, composition)
    assert len(level_stream(pad_with_nulls(code, composition), composition)) <= composition.level_bytes
    assert codec.decode(code, profile, bucket).shape == (96, 96)


def test_padding_pixels_come_back_exactly(codec: PrimisCodec) -> None:
    pixels = image(50, 60, 12).pixels.astype(np.int16) - 1000
    pixels[:, :20] = -2000
    original = Image.of_pixels(pixels, 12, Source(FileKind.DICOM, b""), padding=(-2000, -2000))
    back = round_trip(codec, original)
    assert ((back == -2000) == (pixels == -2000)).all()


def test_every_vector_has_at_most_s_nonzeros(codec: PrimisCodec) -> None:
    original, profile = image(70, 130), profile_of(codec)
    code = codec.encode(original, profile, None)
    assert profile.sparsity == 8
    for entry in code.maps:
        assert entry.cells == 8 * 12 * 256
        assert np.bincount(entry.positions // 256).max() <= 8
        assert (entry.levels != 0).all()
        assert (np.diff(entry.positions) > 0).all()


def test_the_composition_depends_on_bucket_and_profile_alone(codec: PrimisCodec) -> None:
    profile = profile_of(codec)
    first, second = (codec.composition(profile, Bucket.of(*shape)) for shape in ((65, 65), (128, 100)))
    assert first == second
    assert isinstance(first, Composition)
    assert first.maps[0].nonzeros == first.maps[0].cells // 256 * 8


@pytest.mark.parametrize("damage", ["maps", "cells", "outside", "side", "bucket", "depth"])
def test_foreign_codes_are_refused(codec: PrimisCodec, damage: str) -> None:
    profile, bucket = profile_of(codec), Bucket.of(70, 70)
    code = codec.encode(image(70, 70), profile, None)
    last = CodeMap(code.maps[0].cells, np.array([code.maps[0].cells - 1]), np.array([1], np.int32))
    damaged = {
        "maps": SparseCode(code.maps[:2], code.side),
        "cells": SparseCode((replace(code.maps[0], cells=7), *code.maps[1:]), code.side),
        "outside": SparseCode((last, *code.maps[1:]), code.side),
        "side": SparseCode(code.maps, code.side[:-1]),
        "bucket": SparseCode(code.maps, Side(700, 70, 8, False, 0, 1024).to_bytes()),
        "depth": SparseCode(code.maps, code.side[:2] + b"\x03" + code.side[3:]),
    }[damage]
    with pytest.raises(IntegrityError):
        codec.decode(damaged, profile, bucket)


def test_side_bytes_survive() -> None:
    side = Side(70, 66, 12, True, -1500, 3072)
    assert Side.from_bytes(side.to_bytes(), Bucket.of(70, 66)) == side


def test_sparsity_has_to_be_that_of_the_weights(codec: PrimisCodec) -> None:
    assert codec.profile(quality_centidb=0, sparsity=8, deep=0).sparsity == 8
    with pytest.raises(UsageError, match="for --sparsity 8"):
        codec.profile(quality_centidb=0, sparsity=16, deep=0)


def test_weights_are_found_by_their_digest_or_refused(folder: Path, tmp_path: Path) -> None:
    data = (folder / MODEL_FILE).read_bytes()
    assert codec_from_weights(load_model(folder / MODEL_FILE).digest, data).weights_bytes() == data
    with pytest.raises(IntegrityError, match="SHA-256"):
        codec_from_weights(bytes(32), data)
    with pytest.raises(MissingDependencyError, match="weights of its own"):
        codec_from_weights(bytes(32), None)
    with pytest.raises(UsageError, match="holds no"):
        codec_from_folder(tmp_path)


def test_damaged_weights_are_one_clear_error(folder: Path, tmp_path: Path) -> None:
    data = (folder / MODEL_FILE).read_bytes()
    for name, content in {"short": data[:1000], "empty": b"", "foreign": b"\x89PNG" * 99, "cut": data[:-100]}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UnreadableInputError, match="weights file"):
            load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": [[16, 16]] * 8},  # more weights than the file holds
        {"blocks": [[16, 16]] * 9},
        {"blocks": []},
        {"blocks": [[1 << 20, 16]]},
        {"blocks": [[3, 16]]},
        {"blocks": [[math.inf, 16]]},
        {"bank_channels": [1, 60_000, 60_000]},
        {"bank_channels": [1, -4, 4]},
        {"bank_strides": [4.0, 4]},
        {"sweeps": 1 << 40},
        {"sparsity": "8"},
        {"selection": "other"},
    ],
)
def test_configurations_that_ask_for_gigabytes_are_refused(change: dict[str, object]) -> None:
    network = PrimisNetwork(PrimisConfig(8, blocks=((16, 16),), bank_channels=(1, 4, 4)))
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}

    from safetensors.torch import save

    def weights(**changes: object) -> bytes:
        header = {"config": network.config.to_json() | changes, "step": 1.0}
        return bytes(save(tensors, metadata={"medveil-primis-1": json.dumps(header)}))

    assert parse_model(weights()).config == network.config
    started = time.process_time()
    with pytest.raises(UnreadableInputError):
        parse_model(weights(**change))
    assert time.process_time() - started < 2
