"""How PriCheXy-Net learns: what its networks are shown, their losses, and the order in which they are updated.

Three networks: a generator that moves pixels (`medveil.networks.flow_fields`), an auxiliary classifier that is to go on
recognising findings, and a siamese verifier that is not to go on recognising people. `prepare` trains each by itself,
`oppose` the generator against both (Packhäuser et al., MICCAI 2023).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medveil.errors import UsageError
from medveil.networks.classifiers import build_classifier
from medveil.networks.embedders import SiameseVerifier
from medveil.networks.flow_fields import KNOTS, NOISES, FlowGenerator
from medveil.training.augmentation import disturbance
from medveil.training.checkpoints import Checkpoint, Course
from medveil.training.loop import Turn, bfloat16_pays, choose_device, constant, cosine, seeded, train

NO_FINDING = "No Finding"
"""What stands in the column `finding` of ChestX-ray14 where there is none of its 14: no class of its own."""
_MEAN, _SD = 0.449, 0.226  # of ImageNet, over its three planes: what the critics' pictures are normalised by
_MOMENTUM, _CLASSIFIER_DECAY = 0.9, 1e-4
_START = 0.01  # mu with which the generator learns to change nothing, in their program
_VALIDATION = 128  # pictures at most, and pairs


class Target(StrEnum):
    """What the generator wants the verifier to say: of any pair that it is of two people; or nothing, chance."""

    EVADE = "published"
    CONFUSION = "confusion"


class Weighting(StrEnum):
    """How the classifier's loss adds up over classes: the paper's equation 2, or the mean of their program."""

    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True)
class Recipe:
    """Sizes of networks and of their training.

    Attributes:
        side: of the pictures in pixels, a multiple of 16.
        width: channels of the first stage of the generator.
        verifier: ResNet of the siamese branch, by name.
        classifier: by name.
        classifier_side: of the pictures that it sees.
        batch: pairs an update.
        rate: learning rate of the adversarial updates and of the verifier.
        classifying, verifying, copying: updates of each network before they meet: classifier, verifier, generator.
        classifier_rate: of the classifier before that, with Adam.
        verifier_rate, copying_rate: of the verifier and of the generator before that, with Adam.
        checks: how often the networks are validated, in each part.
        copies: share of the pairs of one person that are an image and a disturbed copy of it, so that people with one
            image can be learned from; 0 as published.
    """

    side: int = 128
    width: int = 8
    verifier: str = "resnet18"
    classifier: str = "resnet18"
    classifier_side: int = 64
    batch: int = 8
    rate: float = 1e-4
    classifying: int = 160
    verifying: int = 250
    copying: int = 60
    classifier_rate: float = 1e-3
    verifier_rate: float = 1e-3
    copying_rate: float = 1e-3
    checks: int = 4
    copies: float = 0.5


QUICK = Recipe()
"""Minutes on one core: no network is wide, none has seen other pictures before, and few updates."""
PAPER = Recipe(
    side=256, width=32, verifier="resnet50", classifier="densenet121", classifier_side=224, batch=64,
    classifying=20_000, verifying=40_000, copying=20_000, verifier_rate=1e-4, copying_rate=1e-4, checks=100,
)  # fmt: skip
"""The published sizes; for a GPU. MONAI has no ImageNet weights of these networks, so they start untrained."""


@dataclass(frozen=True)
class Game:
    """What the generator plays for.

    Attributes:
        mu: largest offset in half sides; 0.001, 0.005 or 0.01 as published.
        target: what the verifier is to say.
        weighting: of the classifier's loss.
        stages: how often a verifier that knows nothing learns the present generator, and the game goes on; 1 as
            published: the verifier of the beginning learns on.
        steps: of all stages together.
    """

    mu: float = 0.01
    target: Target = Target.EVADE
    weighting: Weighting = Weighting.MEAN
    stages: int = 1
    steps: int = 160

    @property
    def stage_steps(self) -> int:
        """Updates of one stage."""
        return -(-self.steps // self.stages)


def updates(recipe: Recipe, game: Game) -> int:
    """How often `tick` is called by `prepare` and `oppose` together."""
    before = recipe.classifying + recipe.verifying + recipe.copying
    return before + game.stages * game.stage_steps + (game.stages - 1) * recipe.verifying


@dataclass(frozen=True)
class People:
    """Pictures to learn from.

    Attributes:
        pictures: (n, 1, side, side) float32, 0 … 1.
        patients: (n,) whose each is.
        strata: (n,) data set and view; two people of a pair are of one.
        findings: (n, classes) 0 or 1.
    """

    pictures: Tensor = field(repr=False)
    patients: NDArray[np.int64]
    strata: NDArray[np.int64]
    findings: Tensor = field(repr=False)

    def part(self, numbers: Sequence[int] | NDArray[np.int64]) -> People:
        """Some of them."""
        chosen = np.asarray(numbers, np.int64)
        places = torch.from_numpy(chosen)
        return People(self.pictures[places], self.patients[chosen], self.strata[chosen], self.findings[places])


def findings_of(words: Sequence[str], classes: Sequence[str] | None = None) -> tuple[tuple[str, ...], Tensor]:
    """Classes of texts such as "Mass|Nodule", and (n, classes) which of them each text names.

    Args:
        words: a text an image.
        classes: that are told apart; all that occur where none are given.

    >>> findings_of(["Mass|Nodule", "No Finding", "Mass"])
    (('Mass', 'Nodule'), tensor([[1., 1.],
            [0., 0.],
            [1., 0.]]))
    """
    each = [{word.strip() for word in text.split("|")} - {"", NO_FINDING} for text in words]
    known = tuple(sorted(set().union(*each))) if classes is None else tuple(classes)
    return known, torch.tensor([[float(name in found) for name in known] for found in each])


@dataclass(frozen=True)
class Pairs:
    """A batch.

    Attributes:
        first, second: (m, 1, side, side) 0 … 1.
        same: (m,) 1 where both are of one person.
        findings: (m, classes) of the first.
        noise: (m, NOISES, KNOTS, KNOTS) standard normal numbers.
    """

    first: Tensor
    second: Tensor
    same: Tensor
    findings: Tensor
    noise: Tensor


class PairDraw:
    """Draws pairs, half of one person and half of two people of one data set and view.

    Args:
        people: at least two of one stratum.
        copies: see `Recipe`; all pairs of one person are copies where nobody has two images.

    Raises:
        UsageError: there are no two people of one data set and view.
    """

    def __init__(self, people: People, copies: float) -> None:
        self.people, self._copies = people, copies
        patients, strata = people.patients, people.strata
        self._others = {number: np.flatnonzero(patients == number) for number in np.unique(patients)}
        self._several = [number for number, images in self._others.items() if len(images) > 1]
        self._strata = {number: np.flatnonzero(strata == number) for number in np.unique(strata)}
        crowds = {number: len(np.unique(patients[images])) > 1 for number, images in self._strata.items()}
        self._firsts = np.flatnonzero([crowds[number] for number in strata])
        if not len(self._firsts):
            raise UsageError(
                "a verifier learns from two or more people of one data set and view, and there are none",
                hint="give images of more people, with their patient_id in the manifest",
            )

    def __call__(self, count: int, generator: np.random.Generator) -> Pairs:
        """So many pairs, the second picture of each disturbed a little: there are few, and they come again."""
        first, second, same = np.empty((3, count), np.int64)
        for place in range(count):
            same[place] = place % 2 == 0
            first[place], second[place] = self._same(generator) if same[place] else self._different(generator)
        people = self.people
        one, other = (people.pictures[torch.from_numpy(numbers)] for numbers in (first, second))
        bent = denormalised(disturbance(normalised(other), generator)).clamp(0, 1)
        noise = torch.from_numpy(generator.normal(size=(count, NOISES, KNOTS, KNOTS)).astype(np.float32))
        return Pairs(
            one, bent, torch.from_numpy(same).float(), people.findings[torch.from_numpy(first)], noise
        )  # fmt: skip

    def _same(self, generator: np.random.Generator) -> tuple[int, int]:
        if self._several and generator.random() >= self._copies:
            images = self._others[self._several[int(generator.integers(len(self._several)))]]
            one, other = generator.permutation(images)[:2]
            return int(one), int(other)
        one = int(generator.integers(len(self.people.patients)))
        return one, one

    def _different(self, generator: np.random.Generator) -> tuple[int, int]:
        one = int(generator.choice(self._firsts))
        crowd = self._strata[self.people.strata[one]]
        strangers = crowd[self.people.patients[crowd] != self.people.patients[one]]
        return one, int(generator.choice(strangers))


def normalised(pictures: Tensor) -> Tensor:
    """0 … 1 as critics see it."""
    return (pictures - _MEAN) / _SD


def denormalised(pictures: Tensor) -> Tensor:
    """Back from what critics see to 0 … 1."""
    return pictures * _SD + _MEAN


@dataclass(frozen=True)
class Actors:
    """The three networks.

    Attributes:
        generator: see `medveil.networks.flow_fields`.
        verifier: two times (n, 1, side, side) -> (n,) log odds.
        classifier: (n, 1, side, side) -> (n, classes) log odds.
        recipe: how they learn.
        device: on which all of them are.
        beginner: weights of a verifier that has learned nothing.
    """

    generator: FlowGenerator
    verifier: nn.Module
    classifier: nn.Module
    recipe: Recipe
    device: str
    beginner: Mapping[str, Tensor] = field(repr=False)

    @classmethod
    def new(cls, recipe: Recipe, classes: int, seed: int, *, noise: bool = False, device: str = "auto") -> Actors:
        """The networks that a recipe names, with fresh weights.

        Args:
            classes: that the classifier tells.
            seed: of first weights.
            noise: whether the generator sees noise.
            device: as for `choose_device`.

        Raises:
            UsageError: there is no network of that name, or no such device.
        """
        with seeded(seed):
            verifier, classifier = SiameseVerifier(recipe.verifier), build_classifier(recipe.classifier, classes)
            generator = FlowGenerator(recipe.width, _START, noise=noise)
        return cls.of(generator, verifier, classifier, recipe, device)

    @classmethod
    def of(
        cls, generator: FlowGenerator, verifier: nn.Module, classifier: nn.Module, recipe: Recipe, device: str = "auto"
    ) -> Actors:
        """These networks, of which none has learned anything."""
        chosen = choose_device(device)
        for network in (generator, verifier, classifier):
            network.to(chosen, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(generator, verifier, classifier, recipe, chosen, copy.deepcopy(verifier.state_dict()))

    def weights(self) -> dict[str, NDArray[Any]]:
        """Those of the generator, by name."""
        return {name: each.detach().cpu().numpy().copy() for name, each in self.generator.state_dict().items()}

    def moved(self, pairs: Pairs) -> Tensor:
        """The first pictures as the generator releases them."""
        with self._cheap():
            found: Tensor = self.generator(pairs.first.to(self.device), pairs.noise.to(self.device))
        return found

    def same(self, first: Tensor, second: Tensor) -> Tensor:
        """Log odds of the verifier, (n,)."""
        with self._cheap():
            found: Tensor = self.verifier(*(normalised(each.to(self.device)) for each in (first, second)))
        return found.float()

    def found(self, pictures: Tensor) -> Tensor:
        """Log odds of the classifier, (n, classes)."""
        side, pictures = self.recipe.classifier_side, pictures.to(self.device)
        if pictures.shape[-1] != side:
            pictures = functional.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
        with self._cheap():
            found: Tensor = self.classifier(normalised(pictures))
        return found.float()

    def _cheap(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=bfloat16_pays(self.device))


def verifier_loss(log_odds: Tensor, target: Target) -> Tensor:
    """What the generator pays for what the verifier says.

    −log(1 − y) with y the sigmoid, for pairs of one person and of two alike, as published; for chance the binary
    cross-entropy against ½. From log odds, so that no y is so near to 1 that nothing is left.
    """
    loss = functional.softplus(log_odds)
    return (loss - 0.5 * log_odds if target is Target.CONFUSION else loss).mean()


def classifier_loss(log_odds: Tensor, findings: Tensor, weighting: Weighting = Weighting.MEAN) -> Tensor:
    """Binary cross-entropy of classes, the mean over pictures of the sum or of the mean over classes."""
    loss = functional.binary_cross_entropy_with_logits(log_odds, findings.to(log_odds.device))
    return loss * findings.shape[1] if weighting is Weighting.SUM else loss


def same_loss(log_odds: Tensor, same: Tensor) -> Tensor:
    """Binary cross-entropy of a verifier."""
    return functional.binary_cross_entropy_with_logits(log_odds, same.to(log_odds.device))


@contextmanager
def judging(*critics: nn.Module) -> Iterator[None]:
    """Within it critics are in evaluation mode, and no gradient is reckoned of their weights."""
    for critic in critics:
        critic.eval().requires_grad_(False)
    yield
    for critic in critics:
        critic.requires_grad_(True)


def prepare(
    actors: Actors, people: People, validation: People | None, seed: int, *, checkpoint: Path | None = None,
    tick: Callable[[int], None] = lambda _: None,
) -> None:  # fmt: skip
    """Train each network by itself: the classifier on findings, the verifier on pairs of untouched pictures, the
    generator to give back what it gets (mean squared error, at mu 0.01 whatever mu follows, as in their program).

    Deviations: networks start untrained, so classifier and verifier learn by Adam at a larger rate along half a cosine
    (published: a classifier that began from ImageNet and stochastic gradient descent, a verifier trained on 792,294
    pairs); see `PairDraw`.

    Args:
        actors: changed.
        people, validation: of different patients; without validation the last weights are kept.
        seed: of all that is drawn.
        checkpoint: where each part leaves its state, under this name and its own, and goes on from; None for nowhere.
        tick: called after each update, with how many there are of the part.

    Raises:
        UsageError: no pairs can be drawn; or a checkpoint is of other settings.
    """
    recipe, draw = actors.recipe, PairDraw(people, actors.recipe.copies)
    held = _held(validation, recipe, seed)

    def classify(pairs: Pairs) -> Tensor:
        return classifier_loss(actors.found(pairs.first), pairs.findings)

    def verify(pairs: Pairs) -> Tensor:
        return same_loss(actors.same(pairs.first, pairs.second), pairs.same)

    def give_back(pairs: Pairs) -> Tensor:
        return functional.mse_loss(actors.moved(pairs), pairs.first.to(actors.device))

    copying = "copying-noise" if actors.generator.noise else "copying"
    parts = (
        ("classifier", actors.classifier, classify, recipe.classifying, recipe.classifier_rate),
        ("verifier", actors.verifier, verify, recipe.verifying, recipe.verifier_rate),
        (copying, actors.generator, give_back, recipe.copying, recipe.copying_rate),
    )
    for name, network, loss, steps, rate in parts:
        train(
            [Turn([network], loss)], lambda generator: draw(recipe.batch, generator), steps=steps, seed=seed, rate=rate,
            schedule=cosine, validate=_mean(loss, held), checks=recipe.checks, keep_best=held is not None,
            checkpoint=_checkpoint(checkpoint, name, recipe, seed), tick=tick,
        )  # fmt: skip


def oppose(
    actors: Actors, people: People, validation: People | None, game: Game, seed: int, *, checkpoint: Path | None = None,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Course]:  # fmt: skip
    """Train the generator against verifier and classifier, all of which learn on.

    In each step the generator is updated first, by both losses, weight 1 each, critics in evaluation mode; then the
    verifier and then the classifier, in training mode, on what the generator gave before its update, which no gradient
    reaches. Order and optimizers as in their program: Adam at 1e-4, the classifier by stochastic gradient descent with
    momentum 0.9 and weight decay 1e-4 (the paper: Adam for all, and the classifier before the verifier). The generator
    that is kept is the one of the lowest sum of losses on validation, by the critics of that moment, as published;
    since these change, the sums of different moments are not strictly comparable. The rate is constant.

    Args:
        actors: as `prepare` leaves them; changed.
        people, validation: as for `prepare`.
        game: what is played for.
        seed: of all that is drawn.
        checkpoint: as for `prepare`.
        tick: called after each update, with how many there are of the stage.

    Returns:
        the course of each stage.
    """
    recipe, draw = actors.recipe, PairDraw(people, actors.recipe.copies)
    held = _held(validation, recipe, seed)
    actors.generator.mu = game.mu
    last: list[Tensor] = []

    def total(pairs: Pairs) -> Tensor:
        last[:] = [actors.moved(pairs)]
        known = verifier_loss(actors.same(last[0], pairs.second), game.target)
        return known + classifier_loss(actors.found(last[0]), pairs.findings, game.weighting)

    def generate(pairs: Pairs) -> Iterator[Tensor]:
        with judging(actors.verifier, actors.classifier):
            yield total(pairs)

    def verify(pairs: Pairs) -> Tensor:
        actors.verifier.train()
        return same_loss(actors.same(last[0].detach(), pairs.second), pairs.same)

    def classify(pairs: Pairs) -> Tensor:
        actors.classifier.train()
        return classifier_loss(actors.found(last[0].detach()), pairs.findings)

    turns = [
        Turn([actors.generator], generate, weight_decay=0.0),
        Turn([actors.verifier], verify, weight_decay=0.0),
        Turn([actors.classifier], classify, momentum=_MOMENTUM, weight_decay=_CLASSIFIER_DECAY),
    ]
    courses = []
    for stage in range(game.stages):
        settings = {**asdict(game), "stage": stage}
        if stage:
            _fresh_verifier(actors, draw, seed, stage, checkpoint, settings, tick)
        courses.append(train(
            turns, lambda generator: draw(recipe.batch, generator), steps=game.stage_steps,
            seed=seed + stage, rate=recipe.rate, schedule=constant, validate=_mean(total, held), checks=recipe.checks,
            keep_best=held is not None, tick=tick,
            checkpoint=_checkpoint(checkpoint, f"stage-{stage}", recipe, seed, **settings),
        ))  # fmt: skip
    return courses


def _fresh_verifier(
    actors: Actors, draw: PairDraw, seed: int, stage: int, checkpoint: Path | None, settings: dict[str, object],
    tick: Callable[[int], None],
) -> None:  # fmt: skip
    """A verifier that knows nothing learns to recognise people by what the generator releases now."""
    recipe = actors.recipe
    actors.verifier.load_state_dict(actors.beginner)

    def verify(pairs: Pairs) -> Tensor:
        with torch.no_grad():
            released = actors.moved(pairs)
        return same_loss(actors.same(released, pairs.second), pairs.same)

    actors.generator.eval()
    train(
        [Turn([actors.verifier], verify)], lambda generator: draw(recipe.batch, generator), steps=recipe.verifying,
        seed=seed + stage, rate=recipe.verifier_rate, keep_best=False, checks=recipe.checks, tick=tick,
        checkpoint=_checkpoint(checkpoint, f"verifier-{stage}", recipe, seed, **settings),
    )  # fmt: skip


def _held(validation: People | None, recipe: Recipe, seed: int) -> list[Pairs] | None:
    """Pairs to validate with, the same at each check."""
    if validation is None or not len(validation.patients):
        return None
    try:
        draw = PairDraw(validation, recipe.copies)
    except UsageError:
        return None
    generator, count = np.random.default_rng(seed), min(_VALIDATION, 2 * len(validation.patients))
    return [draw(min(recipe.batch, count), generator) for _ in range(max(1, count // recipe.batch))]


def _mean(loss: Callable[[Pairs], Tensor], held: list[Pairs] | None) -> Callable[[], float] | None:
    if held is None:
        return None
    return lambda: sum(float(loss(pairs)) for pairs in held) / len(held)


def _checkpoint(path: Path | None, part: str, recipe: Recipe, seed: int, **settings: object) -> Checkpoint | None:
    if path is None:
        return None
    return Checkpoint(path.with_stem(f"{path.stem}-{part}"), {**asdict(recipe), "seed": seed, **settings})
