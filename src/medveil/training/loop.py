"""Descent: the small training loop of the audit's attack networks, one network or several that take turns."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")
Schedule = Callable[[float], float]
"""Share of the run that is done, 0 … 1, to the factor of the learning rate."""

_WARM_UP = 10


def constant(_: float) -> float:
    """The learning rate stays as it is."""
    return 1.0


def cosine(done: float) -> float:
    """The learning rate falls to zero along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Turn(Generic[Batch]):
    """What one optimizer does in a step.

    Attributes:
        networks: whose weights it updates; no others are.
        loss: of a batch, differentiable. A turn sees what the turns before it in the step have updated.
        rate: its learning rate; None for that of the run.
        betas: of Adam.
    """

    networks: Sequence[nn.Module]
    loss: Callable[[Batch], Tensor]
    rate: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass
class Course:
    """How a run went.

    Attributes:
        losses: for each turn the mean loss between two validations.
        validation: what `validate` said, in order; the last or the lowest is what the networks are left with.
        kept: step of the weights that the networks are left with.
    """

    losses: list[tuple[float, ...]] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    kept: int = 0


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it torch's own generator starts from a seed: initial weights and dropout draw from no other.

    Afterwards it is as it was before.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def descend(
    turns: Sequence[Turn[Batch]],
    draw: Callable[[np.random.Generator], Batch],
    *,
    steps: int,
    seed: int,
    rate: float = 1e-3,
    weight_decay: float = 1e-4,
    schedule: Schedule = cosine,
    validate: Callable[[], float] | None = None,
    checks: int = 5,
    keep_best: bool = True,
    clip: float | None = None,
) -> Course:
    """Train by Adam (weight decay as an L2 term of the gradient, as in the papers). On a CPU with a fixed number of
    threads, equal arguments give equal weights.

    Args:
        turns: the optimizers, in the order in which they work in each step.
        draw: a batch; called once a step, with the generator of the run.
        steps: how often.
        seed: of the run.
        rate, weight_decay: where a turn doesn't say otherwise.
        schedule: factor of all learning rates; the first steps rise to it.
        validate: the lower, the better; called without gradients on networks in evaluation mode.
        checks: how often it is called, evenly spread, the last time at the end.
        keep_best: leave the networks as they were at the best validation; else as they are at the end.
        clip: largest norm of a turn's gradient.
    """
    networks = [network for turn in turns for network in turn.networks]
    optimizers = [_optimizer(turn, rate, weight_decay) for turn in turns]
    generator = np.random.default_rng(seed)
    course, best, sums, since = Course(), None, [0.0] * len(turns), 0
    marks = {math.ceil(steps * (number + 1) / checks) for number in range(checks)}
    with seeded(seed):
        _mode(networks, training=True)
        for step in range(1, steps + 1):
            batch = draw(generator)
            factor = schedule((step - 1) / steps) * min(1.0, step / _WARM_UP)
            for number, (turn, optimizer) in enumerate(zip(turns, optimizers, strict=True)):
                sums[number] += _update(turn, optimizer, batch, factor, rate, clip)
            since += 1
            if step not in marks:
                continue
            course.losses.append(tuple(total / since for total in sums))
            sums, since = [0.0] * len(turns), 0
            if validate is not None:
                course.validation.append(_validated(networks, validate))
            if validate is None or not keep_best:
                course.kept = step
            elif course.validation[-1] <= min(course.validation):
                course.kept = step
                best = [copy.deepcopy(network.state_dict()) for network in networks]
    for network, state in zip(networks, best or (), strict=best is not None):
        network.load_state_dict(state)
    _mode(networks, training=False)
    return course


def _optimizer(turn: Turn[Batch], rate: float, weight_decay: float) -> torch.optim.Optimizer:
    weights = [weight for network in turn.networks for weight in network.parameters()]
    return torch.optim.Adam(weights, lr=turn.rate or rate, betas=turn.betas, weight_decay=weight_decay)


def _update(
    turn: Turn[Batch], optimizer: torch.optim.Optimizer, batch: Batch, factor: float, rate: float, clip: float | None
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = (turn.rate or rate) * factor
    optimizer.zero_grad()
    loss = turn.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    if clip is not None:
        nn.utils.clip_grad_norm_([weight for network in turn.networks for weight in network.parameters()], clip)
    optimizer.step()
    return float(loss.detach())


def _validated(networks: Sequence[nn.Module], validate: Callable[[], float]) -> float:
    _mode(networks, training=False)
    with torch.no_grad():
        found = validate()
    _mode(networks, training=True)
    return found


def _mode(networks: Sequence[nn.Module], *, training: bool) -> None:
    for network in networks:
        network.train(training)
