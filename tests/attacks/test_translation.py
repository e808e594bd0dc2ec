"""The four networks of family 5: they win on plain pictures, find nothing in noise, and repeat themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.attacks.applicability import Need, unmet_need  # noqa: E402
from medveil.attacks.attack import Effort, Knowledge  # noqa: E402
from medveil.attacks.reconstruction import translation, translation_training  # noqa: E402
from medveil.attacks.reconstruction.translation_data import Plates, darkroom_of  # noqa: E402
from medveil.codecs.code import Bucket  # noqa: E402
from medveil.images.intensity import grey_image  # noqa: E402
from medveil.mechanisms.mechanism import Mechanism  # noqa: E402
from medveil.mechanisms.observation import Case, Observation, Subject  # noqa: E402
from medveil.metrics.image_quality import psnr  # noqa: E402

S = 32
ATTACKS = {
    "unet": translation.UNetAttack,
    "vnet": translation.VNetAttack,
    "cgan": translation.ConditionalGanAttack,
    "cyclegan": translation.CycleGanAttack,
}
NAMES = tuple(ATTACKS)
PAIRED = NAMES[:3]
VNET = pytest.param("vnet", marks=pytest.mark.slow)
SAMPLED = [VNET if name == "vnet" else name for name in NAMES]


@dataclass(frozen=True)
class Toy(Mechanism):
    """Publishes the picture with some noise, or noise alone."""

    plain: bool
    name = "toy"

    def publish(self, subject: Subject, key: bytes) -> Observation:
        noise = np.random.default_rng(list(key)).standard_normal((S, S))
        seen = (subject.picture - 128) / 40 + 0.1 * noise if self.plain else noise
        return Observation(Bucket(64, 64), encoding=seen.astype(np.float32))


def subject(number: int) -> Subject:
    """Two soft spots on a bright field."""
    generator = np.random.default_rng(number)
    y, x = np.mgrid[:S, :S]
    spots = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 40) for a, b in generator.uniform(4, S - 4, (2, 2)))
    plane = (90 + 120 * spots).clip(0, 255).astype(np.float32)
    return Subject(number, number, 0, grey_image(plane), plane)


def cases(mechanism: Toy, first: int, count: int) -> tuple[Case, ...]:
    people = [subject(number) for number in range(first, first + count)]
    return tuple(mechanism.case_of(each, bytes([each.number] * 32)) for each in people)


def knowledge(plain: bool, steps: int = 20, width: int = 8) -> Knowledge:
    mechanism = Toy(plain)
    effort = Effort(working=S, steps=steps, batch=8, width=width, seed_bits=0, targets=0)
    seen = tuple(case.observation for case in cases(mechanism, 60, 8))
    return Knowledge(mechanism, cases(mechanism, 0, 24), cases(mechanism, 40, 8), seen, effort, seed=3)


def scores(attacker: object, found_in: Knowledge) -> tuple[float, float]:
    """Mean PSNR (peak 255) of the attacker's pictures, and of the mean own picture."""
    mean = np.mean([case.subject.picture for case in found_in.own], axis=0)
    guessed, by_mean = [], []
    for case in cases(found_in.mechanism, 60, 8):
        picture = attacker.predict(case.observation).picture
        assert picture.shape == (S, S)
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert picture.max() <= 255
        guessed.append(psnr(picture, case.subject.picture, 255))
        by_mean.append(psnr(mean, case.subject.picture, 255))
    return float(np.mean(guessed)), float(np.mean(by_mean))


@pytest.mark.parametrize("name", SAMPLED)
def test_plain_pictures_are_found(name: str) -> None:
    """Untrained, each of them gives the mean picture."""
    attack = ATTACKS[name]()
    known = knowledge(plain=True)
    found, by_mean = scores(attack.fit(known), known)
    assert found > by_mean + 1


@pytest.mark.parametrize("name", [name for name in SAMPLED if name in PAIRED or name is VNET])
def test_nothing_is_found_in_noise_and_the_mean_is_what_is_left(name: str) -> None:
    attack = ATTACKS[name]()
    known = knowledge(plain=False)
    found, by_mean = scores(attack.fit(known), known)
    assert abs(found - by_mean) < 0.5


def test_cyclegan_finds_nothing_in_noise() -> None:
    attack = ATTACKS["cyclegan"]()
    known = knowledge(plain=False)
    found, by_mean = scores(attack.fit(known), known)
    assert found < by_mean + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_one_picture(name: str) -> None:
    attack = ATTACKS[name]()
    pictures = []
    for _ in range(2):
        known = knowledge(plain=True, steps=3, width=4)
        pictures.append(attack.fit(known).predict(known.seen[0]).picture)
    assert np.array_equal(*pictures)


def test_a_network_needs_a_few_images() -> None:
    attack = ATTACKS["unet"]()
    known = knowledge(plain=True)
    few = Knowledge(known.mechanism, known.own[:3], known.validation, known.seen, known.effort, 0)
    assert unmet_need(attack.requires, few) is Need.OWN_IMAGES
    assert unmet_need(attack.requires, known) is None


def test_own_images_are_published_again_unless_that_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(darkroom_of(knowledge(plain=False)).own.shown) >= 2
    publish = Toy.publish
    monkeypatch.setattr(Toy, "publish", lambda self, subject, key: publish(self, subject, bytes([subject.number])))
    assert len(darkroom_of(knowledge(plain=True)).own.shown) == 1


def test_halves_have_no_image_in_common() -> None:
    numbers = torch.arange(9.0).reshape(9, 1, 1, 1)
    plates = Plates(torch.stack([numbers, numbers]), numbers)
    shown, wanted = translation_training.unpaired(plates, np.random.default_rng(0))
    first, second = (set(half.flatten().tolist()) for half in (shown, wanted))
    assert not first & second
    assert first | second == set(range(9))
    assert len(shown) == 2 * len(first)


def test_cyclegan_never_sees_a_stranger_s_picture_and_its_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every image that is looked at while it learns, either the one or the other."""
    known = knowledge(plain=True)
    darkroom = darkroom_of(known)
    batches = []

    def watched(turns, draw, *, validate, **settings) -> None:
        generator = np.random.default_rng(0)
        batches.extend(draw(generator) for _ in range(40))

    monkeypatch.setattr(translation_training, "train", watched)
    translation.CycleGanAttack().fit(known)
    shown = [each for each, _ in batches for each in each]
    wanted = [each for _, each in batches for each in each]
    own = darkroom.own
    first = {n for n, each in enumerate(own.shown.unbind(1)) if any(torch.equal(s, e) for s in shown for e in each)}
    second = {n for n, each in enumerate(own.wanted) if any(torch.equal(w, each) for w in wanted)}
    assert first
    assert second
    assert not first & second
