"""Attack 3: a network that looks at the whole public code and says of every cell whether it is true.

Neighbouring code vectors are of one image, so what is true goes together, and decoys don't go with it. Codecs of code
vectors: a convolutional network over the code grid, from all channels of all maps to a logit a cell. Codecs of cells in
order of priority: one along the maps. It starts from the likelihood ratios of attack 2 and learns their correction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import ON_CODE_MAPS
from medveil.attacks.attack import Attacker, Goal, Knowledge
from medveil.attacks.reconstruction.image_extent import Size
from medveil.attacks.support.cell_planes import cut, grid_order, laid_out, ranks
from medveil.attacks.support.cell_statistics import Plane
from medveil.attacks.support.likelihood import CellOdds
from medveil.attacks.support.purification import Purification, calibration_cases
from medveil.attacks.views import own_size, published_again
from medveil.mechanisms.observation import Case, Observation
from medveil.mechanisms.public_codec import PublicCodec

if TYPE_CHECKING:
    from torch import Tensor

    from medveil.networks.code_decoders import SupportNetwork

_CROP = 16
_LINE_CROP = 4096
_CHECKED = 12
_GRID_DILATIONS = (1, 2, 4)
_LINE_DILATIONS = (1, 4, 16)
_LEAST_ODDS = -12.0


@dataclass(frozen=True)
class CodePlanes:
    """Planes of one observation: odds, values, shown, and what is true and what counts; (5, cells, ...)."""

    planes: NDArray[np.float32]
    extra: NDArray[np.float32]


class Layout:
    """How cells are laid out for the network.

    Args:
        space: of the mechanism.
        in_place: entries are in their own cells, so that only they can be true.
    """

    def __init__(self, space: PublicCodec, *, in_place: bool) -> None:
        self.space = space
        self.line = not space.vector_length or space.preview
        self.in_place = in_place

    def order(self, observation: Observation, size: Size | None) -> NDArray[np.int64]:
        """Number of the cell at each place; for cells in a line just all of them."""
        cells = tuple(shown.cells for shown in observation.maps)
        if self.line:
            return np.arange(sum(cells))[None]
        return grid_order(self.space, cells, observation.bucket, size)

    def inputs(self, observation: Observation, size: Size | None, odds: Sequence[Plane]) -> CodePlanes:
        """What the network sees of an observation."""
        order = self.order(observation, size)
        planes = np.stack([flat[order] for flat in laid_out(observation.maps, odds)])
        extra = ranks(observation.maps) if self.line else np.zeros((0, *order.shape[1:]), np.float32)
        return CodePlanes(planes, extra)

    def example(self, case: Case, size: Size | None, odds: Sequence[Plane]) -> CodePlanes:
        """The same with what is true and what counts."""
        seen, code = case.observation, case.code
        found = self.inputs(seen, size, odds)
        true = np.zeros(sum(shown.cells for shown in seen.maps), np.float32)
        start = 0
        for code_map in code.maps if code else ():
            true[start + code_map.positions] = 1.0
            start += code_map.cells
        truth = true[self.order(seen, size)]
        counts = found.planes[2] if self.in_place else np.ones_like(truth)
        return CodePlanes(np.concatenate([found.planes, truth[None], counts[None]]), found.extra)


class NetworkOdds:
    """Log-odds of every cell by the network."""

    def __init__(self, knowledge: Knowledge) -> None:
        from medveil.training.loop import Turn, choose_device, seeded, train

        space = knowledge.mechanism.space
        if space is None:
            raise ValueError("a network over code maps needs a codec")
        self.odds = CellOdds(knowledge)
        self.layout = Layout(space, in_place=knowledge.mechanism.in_place)
        self.device = choose_device()
        self.knowledge = knowledge
        cases = [case for case in knowledge.own if case.code is not None]
        if knowledge.mechanism.in_place:  # decoys drawn anew teach more; a seal teaches nothing
            cases += published_again(knowledge, cases, "support-network")
        parts = knowledge.generator("support-network validation")
        checked = [
            _cropped(self._example(case), self._limit, parts) for case in calibration_cases(knowledge)[:_CHECKED]
        ]
        width, seed = knowledge.effort.width, knowledge.seed
        with seeded(seed):
            self.network = self._network(len(checked[0].planes[0]), width).to(self.device)
        draw = self._draw(cases, knowledge.effort.batch)
        train(
            [Turn([self.network], self._loss)], draw, steps=knowledge.effort.steps, seed=seed, rate=2e-3, clip=1.0,
            validate=lambda: float(np.mean([float(self._loss(_batch([each], self.device))) for each in checked])),
        )  # fmt: skip

    def __call__(self, observation: Observation, size: Size | None = None) -> tuple[Plane, ...]:
        """For each map (cells,)."""
        import torch

        odds = self.odds(observation)
        found = self.layout.inputs(observation, size, odds)
        with torch.no_grad():
            logits = self._forward(_batch([found], self.device)).cpu().numpy()[0]
        flat = np.full(sum(shown.cells for shown in observation.maps), _LEAST_ODDS, np.float32)
        flat[self.layout.order(observation, size).ravel()] = logits.ravel()
        return cut(flat, observation.maps)

    @property
    def _limit(self) -> int:
        """Places a side that are looked at together in training."""
        return _LINE_CROP if self.layout.line else _CROP

    def _network(self, channels: int, width: int) -> SupportNetwork:
        from medveil.networks.code_decoders import SupportNetwork

        if self.layout.line:
            return SupportNetwork(1, width, _LINE_DILATIONS, line=True, extra=2)
        return SupportNetwork(channels, 4 * width, _GRID_DILATIONS)

    def _example(self, case: Case) -> CodePlanes:
        return self.layout.example(case, own_size(self.knowledge.mechanism, case), self.odds(case.observation))

    def _draw(self, cases: Sequence[Case], batch: int) -> Callable[[np.random.Generator], tuple[Tensor, Tensor]]:
        def draw(generator: np.random.Generator) -> tuple[Tensor, Tensor]:
            chosen = generator.integers(len(cases), size=batch)
            return _batch([_cropped(self._example(cases[i]), self._limit, generator) for i in chosen], self.device)

        return draw

    def _forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        planes, extra = batch
        found: Tensor = self.network(planes[:, 0], planes[:, 1], planes[:, 2], extra if extra.shape[1] else None)
        return found

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        from torch.nn import functional

        planes = batch[0]
        losses = functional.binary_cross_entropy_with_logits(self._forward(batch), planes[:, 3], reduction="none")
        return (losses * planes[:, 4]).sum() / planes[:, 4].sum().clamp_min(1.0)


def _cropped(example: CodePlanes, limit: int, generator: np.random.Generator) -> CodePlanes:
    """A random part of at most `limit` places a side."""
    parts = []
    for side in example.planes.shape[2:]:
        start = int(generator.integers(max(side - limit, 0) + 1))
        parts.append(slice(start, start + limit))
    return CodePlanes(example.planes[:, :, *parts], example.extra[:, *parts])


def _batch(examples: Sequence[CodePlanes], device: str) -> tuple[Tensor, Tensor]:
    """Examples of one batch, filled up with places that don't count."""
    import torch

    sides = np.max([example.planes.shape[2:] for example in examples], axis=0)
    planes, extra = [], []
    for example in examples:
        room = [(0, int(whole - side)) for whole, side in zip(sides, example.planes.shape[2:], strict=True)]
        planes.append(np.pad(example.planes, [(0, 0), (0, 0), *room]))
        extra.append(np.pad(example.extra, [(0, 0), *room]))
    return torch.from_numpy(np.stack(planes)).to(device), torch.from_numpy(np.stack(extra)).to(device)


class SupportInference:
    """See `medveil.attacks.attack.Attack`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(SupportInference())[0], str(SupportInference.goal)
    ('matched-decoys', 'support')
    """

    name = "support-network"
    title = "network over the whole public code, likeliest cells decoded"
    goal = Goal.SUPPORT
    knows = "codec, protection and parameters; own images with codes and keys"
    needs = "public code maps"
    requires = ON_CODE_MAPS
    cost = "a minute, trains a network"
    trains = True

    def fit(self, knowledge: Knowledge) -> Attacker:
        return Purification.fit(knowledge, NetworkOdds(knowledge))
