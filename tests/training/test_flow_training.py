"""How PriCheXy-Net learns: its losses, what is updated when, its pairs, and that it learns what it is made for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.errors import UsageError  # noqa: E402
from medveil.networks.classifiers import build_classifier  # noqa: E402
from medveil.networks.embedders import SiameseVerifier  # noqa: E402
from medveil.networks.flow_fields import FlowGenerator  # noqa: E402
from medveil.training import flow_training  # noqa: E402
from medveil.training.flow_training import (  # noqa: E402
    PAPER,
    Actors,
    Game,
    PairDraw,
    People,
    Recipe,
    Target,
    Weighting,
    classifier_loss,
    findings_of,
    judging,
    oppose,
    prepare,
    same_loss,
    verifier_loss,
)
from medveil.training.loop import seeded  # noqa: E402

TINY = Recipe(
    side=32, width=2, batch=4, classifying=2, verifying=2, copying=2, checks=2, classifier_side=32,
)  # fmt: skip


class Verifier(torch.nn.Module):
    """A small one in the place of a ResNet."""

    def __init__(self):
        super().__init__()
        self.branch = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten(), torch.nn.LazyLinear(16))
        self.merge = torch.nn.Linear(16, 1)
        self(*torch.zeros(2, 1, 1, 32, 32))

    def forward(self, first, second):
        return self.merge((self.branch(first) - self.branch(second)).abs())[:, 0]


def trio(recipe: Recipe, given: People, *, noise: bool = False) -> Actors:
    with seeded(0):
        classifier = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.LazyLinear(2))
        classifier(torch.zeros(1, 1, 32, 32))
        return Actors.of(FlowGenerator(2, noise=noise), Verifier(), classifier, recipe, "cpu")


def people(count: int = 6, side: int = 32, *, several: bool = True) -> People:
    """Invented people of two strata, every second one with two pictures."""
    generator = np.random.default_rng(3)
    patients = np.repeat(np.arange(count), np.where((np.arange(count) % 2 == 0) & several, 2, 1))
    base = generator.random((count, 4, 4)).astype(np.float32)
    planes = [np.kron(base[patient], np.ones((side // 4, side // 4), np.float32)) for patient in patients]
    pictures = torch.from_numpy(np.stack(planes)[:, None])
    _, findings = findings_of(["Mass" if patient % 3 else "Mass|Nodule" for patient in patients])
    return People(pictures, patients.astype(np.int64), (patients % 2).astype(np.int64), findings)


def test_losses_are_the_published_ones() -> None:
    odds = torch.tensor([-3.0, 0.0, 2.0])
    y = torch.sigmoid(odds)
    assert verifier_loss(odds, Target.EVADE) == pytest.approx(float(-torch.log(1 - y).mean()), rel=1e-5)
    assert math.isfinite(verifier_loss(torch.tensor([200.0]), Target.EVADE))
    found, wanted = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    mean = classifier_loss(found, wanted)
    assert classifier_loss(found, wanted, Weighting.SUM) == pytest.approx(2 * float(mean))
    assert same_loss(odds, torch.tensor([0.0, 1.0, 1.0])) == pytest.approx(
        float(-(torch.log(1 - y[0]) + torch.log(y[1]) + torch.log(y[2])) / 3), rel=1e-5
    )


def test_confusion_is_least_at_chance_and_evasion_far_below_it() -> None:
    losses = {odds: verifier_loss(torch.tensor([odds]), Target.CONFUSION) for odds in (-2.0, 0.0, 2.0)}
    assert losses[0.0] < losses[-2.0] == pytest.approx(float(losses[2.0]))
    assert verifier_loss(torch.tensor([-2.0]), Target.EVADE) < verifier_loss(torch.tensor([0.0]), Target.EVADE)


def test_findings_split_at_bars_and_no_finding_is_no_class() -> None:
    classes, found = findings_of(["Mass|Nodule", "No Finding", "", " Nodule "])
    assert classes == ("Mass", "Nodule")
    assert found.tolist() == [[1, 1], [0, 0], [0, 0], [0, 1]]


def test_half_of_the_pairs_are_of_one_person_and_strangers_share_a_stratum() -> None:
    given = people()
    for copies in (0.0, 1.0):
        draw, generator = PairDraw(given, copies), np.random.default_rng(0)
        for _ in range(40):
            assert draw(4, generator).same.tolist() == [1, 0, 1, 0]
            one, other = draw._same(generator)
            assert given.patients[one] == given.patients[other]
            assert (one == other) == (copies == 1.0)
            one, other = draw._different(generator)
            assert given.patients[one] != given.patients[other]
            assert given.strata[one] == given.strata[other]


def test_nobody_to_be_told_from_is_a_clear_error() -> None:
    alone = people(2)
    with pytest.raises(UsageError, match="two or more people"):
        PairDraw(alone, 0.5)


def test_critics_get_no_gradient_while_they_judge() -> None:
    critic = torch.nn.Linear(1, 1)
    seen = torch.ones(1, 1, requires_grad=True)
    with judging(critic):
        assert not critic.training
        critic(seen).backward()
    assert critic.weight.grad is None
    assert seen.grad is not None
    assert critic.weight.requires_grad


def test_order_of_updates_and_the_modes_of_critics(monkeypatch: pytest.MonkeyPatch) -> None:
    actors, said = trio(TINY, people()), []
    for name in ("same", "found"):
        whole = getattr(type(actors), name)

        def told(self, *given, name=name, whole=whole):
            critic = self.verifier if name == "same" else self.classifier
            said.append((name, critic.training, given[0].requires_grad))
            return whole(self, *given)

        monkeypatch.setattr(type(actors), name, told)
    oppose(actors, people(), None, Game(steps=1), 0)
    assert said == [
        ("same", False, True), ("found", False, True), ("same", True, False), ("found", True, False)
    ]  # fmt: skip


def test_a_run_that_is_gone_on_with_is_the_same_run_and_stages_are_too(tmp_path, monkeypatch) -> None:
    given, game = people(), Game(mu=0.05, stages=2, steps=4, target=Target.CONFUSION)

    def learned(place):
        actors = trio(TINY, given, noise=True)
        prepare(actors, given, given, 0, checkpoint=place)
        oppose(actors, given, given, game, 0, checkpoint=place)
        return actors.generator.state_dict()

    whole = learned(None)
    place, whole_stage = tmp_path / "checkpoint.safetensors", flow_training._fresh_verifier
    monkeypatch.setattr(flow_training, "_fresh_verifier", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        learned(place)
    monkeypatch.setattr(flow_training, "_fresh_verifier", whole_stage)
    again = learned(place)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    with pytest.raises(UsageError, match="other settings"):
        prepare(trio(replace(TINY, copying=3), given, noise=True), given, given, 0, checkpoint=place)


def test_the_published_sizes_name_networks_that_there_are() -> None:
    with torch.device("meta"):
        assert build_classifier(PAPER.classifier, 14)
        assert SiameseVerifier(PAPER.verifier)
    assert (PAPER.side, PAPER.width, PAPER.batch, PAPER.rate, PAPER.classifier_side) == (256, 32, 64, 1e-4, 224)


def test_networks_of_a_recipe_and_one_that_is_unknown() -> None:
    actors = Actors.new(TINY, 3, 0, device="cpu")
    assert actors.found(torch.zeros(2, 1, 64, 64)).shape == (2, 3)
    with pytest.raises(UsageError, match="there is no ResNet of that name"):
        Actors.new(replace(TINY, verifier="resnet17"), 3, 0)


@pytest.mark.slow
def test_the_generator_learns_to_escape_a_verifier_that_stays() -> None:
    given = people(24)
    actors = trio(replace(TINY, verifying=100, copying=10, batch=8), given)
    prepare(actors, given, None, 0)
    draw, generator = PairDraw(given, 0.0), np.random.default_rng(1)
    pairs = draw(24, generator)
    with torch.no_grad():
        before = float(actors.same(actors.moved(pairs), pairs.second)[pairs.same == 1].mean())
    frozen = {name: value.clone() for name, value in actors.verifier.state_dict().items()}
    oppose(actors, given, None, Game(mu=0.3, steps=40), 0)
    actors.verifier.load_state_dict(frozen)
    with torch.no_grad():
        after = float(actors.same(actors.moved(pairs), pairs.second)[pairs.same == 1].mean())
    assert after < before
