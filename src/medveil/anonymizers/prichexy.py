"""prichexy: a learned flow field that moves pixels a little, made to keep findings and to mislead a verifier."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from medveil.anonymizers.anonymizer import Anonymizer, setting
from medveil.anonymizers.learning import Learning
from medveil.anonymizers.model import AnonymizerModel
from medveil.anonymizers.planes import Plane, displaced, enlarged, square
from medveil.anonymizers.warp import normal
from medveil.datasets.manifest import Record
from medveil.errors import MissingDependencyError, UnreadableInputError, UsageError
from medveil.images.image import Image
from medveil.images.intensity import grey_of
from medveil.metrics.image_quality import PEAK
from medveil.protection.keystream import Keystream

if TYPE_CHECKING:
    from medveil.networks.flow_fields import FlowGenerator
    from medveil.training.flow_training import People, Recipe


@dataclass(frozen=True)
class Prichexy(Anonymizer):
    """PriCheXy-Net (Packhäuser, Gündel, Thamm, Denzinger and Maier, MICCAI 2023): a U-Net that sees the picture says
    from where each pixel is taken, at most `mu` half sides away.

    It learned against a classifier, which is to go on finding what there is to find, and a siamese verifier, which is
    to say of every pair that it is of two people; see `medveil.training.flow_training`. The flow field is made at the
    size at which it learned, and applied at the picture's own size, linear between pixels, beyond the border that of
    the border. At the published `mu` of 0.01 no pixel moves by more than 0.5 % of a side.

    Deviations: see `medveil.networks.flow_fields` and `medveil.training.flow_training`; the published pictures have 256
    × 256 pixels throughout. What is ours: the settings `noise`, `target: confusion` and `stages`, and a larger `mu`.
    """

    name: ClassVar[str] = "prichexy"
    title: ClassVar[str] = "a learned flow field that moves pixels a little"
    promise: ClassVar[str] = (
        "Nothing is promised. Without noise it is deterministic: whoever has the image and the model finds its picture."
    )
    source: ClassVar[str] = "Packhäuser et al. 2023, Deep learning-based anonymization of chest radiographs (MICCAI)"
    measured: ClassVar[str] = (
        "mu 0.01, chest radiographs of 128 pixels: matched AUC 0.89 and 0.79 in two data sets "
        "(untouched 0.89 and 0.78), the very image found first always; "
        "see docs/evidence/open-releases.md"
    )
    cost: ClassVar[str] = "minutes (quick) to train on a core, tens of milliseconds a picture"
    learns: ClassVar[bool] = True

    mu: Fraction = setting(
        Fraction(1, 100), "how far a pixel may move along each axis, in half sides", low="0.001", high="0.06"
    )
    noise: str = setting("off", "whether secret random numbers have a part in the flow", words=("off", "on"))
    target: str = setting(
        "published", "what a verifier is to say: that two people are two, or nothing", words=("published", "confusion")
    )
    weighting: str = setting(
        "mean",
        "how the classifier's loss adds up over findings: as in the program, or the paper",
        words=("mean", "sum"),
    )
    stages: int = setting(1, "in how many stages it learns, each but the first against a new verifier", low=1, high=20)
    size: str = setting(
        "quick", "of its networks: for minutes on a core, or the published ones", words=("quick", "paper")
    )

    recipe: Recipe | None = field(default=None, repr=False, compare=False, kw_only=True)
    """Other sizes of networks than `size` names; for tests and benchmarks."""

    @property
    def draws(self) -> bool:
        return self.noise == "on"

    @property
    def sizes(self) -> Recipe:
        """Sizes of the networks, and how they are trained."""
        return self.recipe or _recipe(self.size)

    def learn(self, how: Learning) -> AnonymizerModel:
        try:
            from medveil.training import flow_training
        except ImportError as error:
            raise MissingDependencyError(
                f"training needs {error.name or 'a package'}, which is not installed",
                hint='pip install "medveil[train]"',
            ) from None

        recipe = self.sizes
        classes, people = people_of(how.training, recipe.side)
        validation = people_of(how.validation, recipe.side, classes)[1] if how.validation else None
        game = flow_training.Game(
            float(self.mu), flow_training.Target(self.target), flow_training.Weighting(self.weighting), self.stages
        )
        game = replace(game, steps=how.steps or game.steps)
        start, done = time.monotonic(), [0]

        def tick(_: int) -> None:
            done[0] += 1
            how.tick(done[0])

        how.begin(flow_training.updates(recipe, game))
        actors = flow_training.Actors.new(recipe, len(classes), how.seed, noise=self.draws, device=how.device)
        flow_training.prepare(actors, people, validation, how.seed, checkpoint=how.checkpoint, tick=tick)
        flow_training.oppose(actors, people, validation, game, how.seed, checkpoint=how.checkpoint, tick=tick)
        facts: dict[str, int | float | str] = {
            "images": len(how.training), "patients": len(np.unique(people.patients)), "findings": len(classes),
            "validation images": len(how.validation), "side in pixels": recipe.side, "steps against both": game.steps,
            "verifier": recipe.verifier, "classifier": recipe.classifier, "seed": how.seed,
            "seconds": round(time.monotonic() - start),
        }  # fmt: skip
        return AnonymizerModel(self.name, self.stated, actors.weights(), facts)

    def apply(self, images: Sequence[Image], key: bytes) -> Image:
        return displaced(images[0], *self.displacement(images[0], key))

    def displacement(self, image: Image, key: bytes) -> tuple[Plane, Plane]:
        """From where each pixel is taken: how many pixels down and to the right, (height, width) each."""
        import torch

        from medveil.networks.flow_fields import KNOTS, NOISES

        numbers = normal(Keystream(key, "anonymize/prichexy"), NOISES * KNOTS**2).astype(np.float32)
        noise = torch.from_numpy(numbers.reshape(1, NOISES, KNOTS, KNOTS)) if self.draws else None
        seen = torch.from_numpy(square(image, self.sizes.side) / np.float32(PEAK))[None, None]
        with torch.inference_mode():
            right, down = self._generator.offsets(seen, noise)[0].numpy()
        height, width = image.pixels.shape
        moves = ((down, height), (right, width))
        rows, columns = (enlarged(plane, (height, width)) * np.float32((side - 1) / 2) for plane, side in moves)
        return rows, columns

    @cached_property
    def _generator(self) -> FlowGenerator:
        """The network of the model."""
        import torch

        from medveil.networks.flow_fields import FlowGenerator

        if self.model is None:
            raise self.lacks_model()
        with torch.random.fork_rng(devices=[]):
            generator = FlowGenerator(self.sizes.width, float(self.mu), noise=self.draws)
        try:
            generator.load_state_dict({name: torch.from_numpy(each) for name, each in self.model.arrays.items()})
        except RuntimeError:
            raise UnreadableInputError(
                "the model is not of the network that its settings name", hint="train it again"
            ) from None
        return generator.eval()


def distances(down: Plane, right: Plane, spacing: tuple[float, float] = (1.0, 1.0)) -> Plane:
    """How far each pixel is moved.

    Args:
        down, right: in pixels.
        spacing: of rows and columns, such as `Image.spacing_mm` for distances in mm; pixels where none is given.

    >>> down, right = np.float32([[3]]), np.float32([[4]])
    >>> distances(down, right).tolist(), distances(down, right, (0.5, 0.5)).tolist()
    ([[5.0]], [[2.5]])
    """
    return np.asarray(np.hypot(down * spacing[0], right * spacing[1]), np.float32)


def change(image: Image, released: Image) -> Plane:
    """|x − F(x)|: by how many grey values (0 … 255) each pixel differs."""
    return np.asarray(np.abs(grey_of(image, np.float32) - grey_of(released, np.float32)))


def _recipe(size: str) -> Recipe:
    from medveil.training.flow_training import PAPER, QUICK

    return PAPER if size == "paper" else QUICK


def people_of(
    records: Sequence[Record], side: int, classes: Sequence[str] | None = None
) -> tuple[tuple[str, ...], People]:
    """Names of the findings, and pictures with whose they are and what they show.

    Raises:
        UsageError: no image has a finding.
    """
    import torch

    from medveil import images
    from medveil.training.flow_training import People, findings_of

    told, findings = findings_of([record.cells.get("finding") or record.label for record in records], classes)
    if not told:
        raise UsageError(
            "the classifier learns from findings, and the manifest names none of these images",
            hint='add a column "finding" (several separated by |) or "label" to the manifest',
        )
    planes = [square(images.read(record.path), side) / np.float32(PEAK) for record in records]
    numbers = (_numbered([record.patient for record in records]), _numbered([record.stratum for record in records]))
    return told, People(torch.from_numpy(np.stack(planes))[:, None], *numbers, findings)


def _numbered(values: Sequence[object]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    known: dict[object, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)
