"""The method prichexy: how far it moves pixels, at any size and depth, what noise changes, and learning it."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from tests import image_files
from tests.cli.shell import run
from tests.pictures import picture

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("safetensors", reason="models need safetensors")

from medveil.anonymizers import prichexy  # noqa: E402
from medveil.anonymizers.model import AnonymizerModel  # noqa: E402
from medveil.anonymizers.prichexy import Prichexy, change, distances  # noqa: E402
from medveil.anonymizers.registry import get_anonymizer  # noqa: E402
from medveil.errors import UnreadableInputError, UsageError  # noqa: E402
from medveil.images.image import FileKind, Image, Source  # noqa: E402
from medveil.networks.flow_fields import FlowGenerator  # noqa: E402
from medveil.testing import check_anonymizer  # noqa: E402
from medveil.training import flow_training  # noqa: E402
from medveil.training.flow_training import Recipe  # noqa: E402

KEY, OTHER = bytes(32), bytes([1]) * 32
TINY = Recipe(
    side=32, width=2, classifier_side=32, batch=2, classifying=1, verifying=1, copying=1, checks=1
)  # fmt: skip


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prichexy, "_recipe", lambda _: TINY)


def method(push: float = 0.0, **words: str) -> Prichexy:
    """With a network of large weights; pushed, offsets are as large as they may be everywhere."""
    chosen = Prichexy.of_words(words)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = FlowGenerator(2, noise=chosen.draws)
        torch.nn.init.normal_(generator.body.final_conv.weight, std=0.0 if push else 30.0)
        torch.nn.init.constant_(generator.body.final_conv.bias, push)
    arrays = {name: each.numpy() for name, each in generator.state_dict().items()}
    return chosen.with_model(AnonymizerModel("prichexy", chosen.stated, arrays))


def image(height: int = 64, width: int = 64, bits: int = 8) -> Image:
    return Image.of_pixels(picture(1, height, width, bits), bits, Source(FileKind.PNG, b""))


@pytest.mark.parametrize("words", [{}, {"noise": "on"}])
def test_it_keeps_to_the_interface_of_methods(words: dict[str, str]) -> None:
    check_anonymizer(method(**words))


@pytest.mark.parametrize(("height", "width", "bits"), [(37, 64, 8), (50, 33, 12), (96, 80, 16)])
def test_size_and_depth_stay_and_pixels_move_by_no_more_than_mu(height: int, width: int, bits: int) -> None:
    before, found = image(height, width, bits), method(9.0, mu="0.05")
    down, right = found.displacement(before, KEY)
    assert np.allclose(down, -0.025 * (height - 1), rtol=1e-3)
    assert np.allclose(right, -0.025 * (width - 1), rtol=1e-3)
    made = found.apply([before], KEY)
    assert (made.pixels.shape, made.bits_stored) == ((height, width), bits)
    assert change(before, made).max() > 1.0


def test_where_nothing_is_to_move_every_pixel_stays() -> None:
    still = method()
    still = still.with_model(
        AnonymizerModel("prichexy", still.stated, {n: np.zeros_like(each) for n, each in still.model.arrays.items()})
    )
    assert np.array_equal(still.apply([image(50, 70, 16)], KEY).pixels, image(50, 70, 16).pixels)


def test_flow_does_not_hang_on_the_size_of_the_picture() -> None:
    pixels = picture(1, 64, 64, 8)
    double = Image.of_pixels(np.kron(pixels, np.ones((2, 2), np.uint8)), 8, Source(FileKind.PNG, b""))
    small, large = (method(mu="0.05").displacement(each, KEY)[0] for each in (image(), double))
    assert np.abs(large[::2, ::2] / 127 - small / 63).max() < 0.1 * np.abs(small).max() / 63


def test_noise_makes_it_secret_and_is_drawn_from_the_key() -> None:
    plain, noisy = method(), method(noise="on", mu="0.05")
    assert (plain.draws, noisy.draws) == (False, True)
    assert np.array_equal(plain.apply([image()], KEY).pixels, plain.apply([image()], OTHER).pixels)
    assert not np.array_equal(noisy.apply([image()], KEY).pixels, noisy.apply([image()], OTHER).pixels)


def test_distances_in_pixels_and_in_mm() -> None:
    down, right = np.float32([[3, 0]]), np.float32([[4, 2]])
    assert distances(down, right).tolist() == [[5, 2]]
    assert distances(down, right, (2.0, 0.5)).tolist() == [[pytest.approx(40**0.5), 1]]


def test_it_needs_a_model_and_one_that_fits() -> None:
    with pytest.raises(UsageError, match="needs a model"):
        Prichexy().apply([image()], KEY)
    learned = method(mu="0.05").model
    assert learned is not None
    assert get_anonymizer("prichexy", {}, learned).mu == Fraction(1, 20)
    with pytest.raises(UsageError, match="another mu"):
        get_anonymizer("prichexy", {"mu": "0.01"}, learned)
    with pytest.raises(UsageError, match="mu is a number from"):
        Prichexy.of_words({"mu": "0"})
    foreign = AnonymizerModel("prichexy", learned.settings, {"weights": np.zeros(3, np.float32)})
    with pytest.raises(UnreadableInputError, match="not of the network"):
        get_anonymizer("prichexy", {}, foreign).apply([image()], KEY)


class Alike(torch.nn.Module):
    """A small verifier in the place of a ResNet."""

    def __init__(self, _: str) -> None:
        super().__init__()
        self.merge = torch.nn.Linear(32, 1)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.merge((first - second).abs().mean((1, 2)))[:, 0]


def test_from_training_to_a_release(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_training, "SiameseVerifier", Alike)
    small = torch.nn.Sequential
    monkeypatch.setattr(
        flow_training, "build_classifier", lambda _, n: small(torch.nn.Flatten(), torch.nn.Linear(32**2, n))
    )
    monkeypatch.chdir(tmp_path)
    lines = ["image,patient_id,finding,label"]
    for number in range(5):
        (tmp_path / f"Doe{number}.png").write_bytes(image_files.png(picture(number, 32, 32)))
        lines.append(f"Doe{number}.png,Doe{number},{'Mass|Nodule' if number % 2 else ''},ill{number % 2}")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    line = ("train", "--anonymizer", "prichexy", ".", "--manifest", "m.csv", "-o", "model", "--set", "noise=on")
    whole = flow_training.oppose
    monkeypatch.setattr(flow_training, "oppose", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
    assert run(*line, "--steps", "2").code == 1
    assert run(*line, "--steps", "2").code == 1
    assert len(list((tmp_path / "model").glob("checkpoint-*"))) == 3
    monkeypatch.setattr(flow_training, "oppose", whole)
    made = run(*line, "--steps", "2", "--resume", "--json")
    assert made.code == 0, made.err
    assert made.json["facts"]["findings"] == 3  # Mass, Nodule, ill0
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["card.md", "model.safetensors"]
    release = ("anonymize", "Doe0.png", "--method", "prichexy", "-j", "1", "--model", "model", "--link")
    assert run(*release, "l.csv", "-o", "public").code == 0
    record = json.loads((tmp_path / "public" / "release.json").read_text())
    assert (record["method"], record["model"], record["settings"]["noise"]) == ("prichexy", made.json["model"], "on")
    assert run(*release, "k.csv", "-o", "again").code == 14  # secret randomness: a second release helps to undo it
    assert run("train", "--anonymizer", "prichexy", "Doe0.png", "-o", "other").code == 2  # no findings, nobody else
