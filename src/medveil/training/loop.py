"""The one training loop: one network or several that take turns, the best weights kept, checkpoints, and a device."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from medveil.errors import UsageError
from medveil.experiments.cache import ByteCache
from medveil.training.checkpoints import Checkpoint, Course, RunState

Batch = TypeVar("Batch")
Value = TypeVar("Value")
Schedule = Callable[[float], float]
"""Share of the run that is done, 0 … 1, to the factor of the learning rate."""
_LEARNED_BYTES = 1 << 29
_LEARNED: ByteCache[str, tuple[Any, int]] = ByteCache(_LEARNED_BYTES, lambda held: held[1])


def constant(_: float) -> float:
    """The learning rate stays as it is."""
    return 1.0


def cosine(done: float) -> float:
    """The learning rate falls to zero along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * done))


def choose_device(wanted: str = "auto") -> str:
    """`auto`: CUDA, else MPS, else CPU. Raises UsageError for a device that is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, available in there.items() if available)
    if not there.get(wanted, False):
        possible = ", ".join(name for name, available in there.items() if available)
        raise UsageError(f"there is no device {wanted!r} here; possible are auto, {possible}")
    return wanted


def bfloat16_pays(device: str) -> bool:
    """Whether the convolutions run faster in bfloat16: on CUDA that supports it, and on CPUs with AVX512-BF16 or AMX.

    Measured on a CPU with AVX512-BF16, forth and back at 448 x 384: a chain of 3x3 convolutions of 48 channels 0.22 s
    against 0.43 s, the bank 0.11 s against 0.13 s.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device == "cpu":
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    return False


class OnDevice(nn.Module):
    """A network of pictures on the device where it is trained: channels last, in bfloat16 where that pays.

    Args:
        body: takes (n, channels, H, W).
        device: as for `choose_device`.
    """

    def __init__(self, body: nn.Module, device: str = "auto") -> None:
        super().__init__()
        self.device = choose_device(device)
        self.body = body.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures from wherever they are -> float32 on the device."""
        with torch.autocast(self.device, torch.bfloat16, enabled=bfloat16_pays(self.device)):
            found: Tensor = self.body(pictures.to(self.device, memory_format=torch.channels_last))
        return found.float()


@dataclass(frozen=True)
class Turn(Generic[Batch]):
    """What one optimizer does in a step.

    Attributes:
        networks: whose weights it updates; no others are.
        loss: of a batch, differentiable; or several whose sum it is, of which one at a time is held in memory. A turn
            sees what the turns before it in the step have updated.
        rate: its learning rate; None for that of the run.
        betas: of Adam.
        rates: learning rates of single weights by the name that their network gives them.
        after: called after each update.
        momentum: of stochastic gradient descent, which this turn takes instead of Adam; None for Adam.
        weight_decay: None for that of the run.
    """

    networks: Sequence[nn.Module]
    loss: Callable[[Batch], Tensor | Iterable[Tensor]]
    rate: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    rates: Mapping[str, float] = field(default_factory=dict)
    after: Callable[[], None] = lambda: None
    momentum: float | None = None
    weight_decay: float | None = None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it torch's own generator starts from a seed: initial weights and dropout draw from no other.

    Afterwards it is as it was before.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def learned_once(make: Callable[[], Value], weights: Callable[[Value], nn.Module], *depends: object) -> Value:
    """What `make` learns; where this process has learned from the same before, that, up to 512 MiB of weights.

    So whoever audits several releases of the same images trains on untouched ones once.

    Args:
        make: trains a network, and draws nothing but from a seed.
        weights: the network of what it gives.
        depends: all that it learns from: tensors, arrays, and what `repr` tells apart.
    """
    digest = hashlib.sha256(repr(torch.get_num_threads()).encode())
    for each in depends:
        array = each.detach().cpu().numpy() if isinstance(each, Tensor) else each
        if isinstance(array, np.ndarray):
            digest.update(repr((array.shape, array.dtype.str)).encode() + array.tobytes())
        else:
            digest.update(repr(array).encode())

    def held() -> tuple[Value, int]:
        made = make()
        return made, sum(weight.nbytes for weight in weights(made).parameters())

    found: Value = _LEARNED.get(digest.hexdigest(), held)[0]
    return found


def train(
    turns: Sequence[Turn[Batch]], draw: Callable[[np.random.Generator], Batch], *, steps: int, seed: int,
    rate: float = 1e-3, weight_decay: float = 1e-4, schedule: Schedule = cosine, warm_up: int = 10,
    clip: float | None = None, validate: Callable[[], float] | None = None, checks: int = 5, keep_best: bool = True,
    patience: int | None = None, checkpoint: Checkpoint | None = None,
    report: Callable[[Course], None] = lambda _: None, tick: Callable[[int], None] = lambda _: None,
) -> Course:  # fmt: skip
    """Train by Adam, or as a turn says (weight decay as an L2 term of the gradient, as in the papers). On a CPU with a
    fixed number of threads, equal arguments give equal weights.

    Args:
        turns: the optimizers, in the order in which they work in each step.
        draw: a batch; called once a step, with the generator of the run.
        steps: how often.
        seed: of the run.
        rate, weight_decay: where a turn doesn't say otherwise.
        schedule: factor of all learning rates; the first `warm_up` steps rise to it.
        clip: largest norm of a turn's gradient.
        validate: the lower, the better; called without gradients on networks in evaluation mode.
        checks: how often it is called, evenly spread, the last time at the end.
        keep_best: leave the networks as they were at the best validation; else as they are at the end.
        patience: checks without a new best after which the run ends before its time.
        checkpoint: where the run is left at each check; a file that is there is gone on with.
        report: called at each check, before the checkpoint is written.
        tick: called after each step, with how many there are.

    Raises:
        UnreadableInputError, UsageError: the checkpoint is damaged, or of a run with other settings.
    """
    networks = [network for turn in turns for network in turn.networks]
    run = RunState(networks, [_optimizer(turn, rate, weight_decay) for turn in turns], np.random.default_rng(seed))
    starts = [[group["lr"] for group in optimizer.param_groups] for optimizer in run.optimizers]
    sums, since = [0.0] * len(turns), 0
    marks = {math.ceil(steps * (number + 1) / checks) for number in range(checks)}
    began = time.monotonic()
    with seeded(seed):
        if checkpoint is not None and checkpoint.path.exists():
            checkpoint.load(run)
        course = run.course
        _mode(networks, training=True)
        while course.step < steps and (patience is None or course.stale < patience):
            batch = draw(run.generator)
            course.step += 1
            factor = schedule((course.step - 1) / steps) * min(1.0, course.step / warm_up)
            for number, (turn, optimizer) in enumerate(zip(turns, run.optimizers, strict=True)):
                for group, start in zip(optimizer.param_groups, starts[number], strict=True):
                    group["lr"] = start * factor
                sums[number] += _update(turn, optimizer, batch, clip)
            since += 1
            tick(course.step)
            if course.step not in marks:
                continue
            course.losses.append(tuple(total / since for total in sums))
            sums, since = [0.0] * len(turns), 0
            _check(run, validate, keep_best=keep_best)
            course.seconds, began = course.seconds + time.monotonic() - began, time.monotonic()
            report(course)
            if checkpoint is not None:
                checkpoint.save(run)
    if keep_best:
        for network, state in zip(networks, run.best, strict=bool(run.best)):
            network.load_state_dict(state)
    _mode(networks, training=False)
    return course


def _optimizer(turn: Turn[Batch], rate: float, weight_decay: float) -> torch.optim.Optimizer:
    named = [each for network in turn.networks for each in network.named_parameters()]
    groups: list[dict[str, Any]] = [{"params": [weight for name, weight in named if name not in turn.rates]}]
    groups += [
        {"params": [weight for name, weight in named if name == own], "lr": of_it} for own, of_it in turn.rates.items()
    ]
    rate = rate if turn.rate is None else turn.rate
    decay = weight_decay if turn.weight_decay is None else turn.weight_decay
    if turn.momentum is not None:
        return torch.optim.SGD(groups, lr=rate, momentum=turn.momentum, weight_decay=decay)
    return torch.optim.Adam(groups, lr=rate, betas=turn.betas, weight_decay=decay)


def _update(turn: Turn[Batch], optimizer: torch.optim.Optimizer, batch: Batch, clip: float | None) -> float:
    optimizer.zero_grad()
    loss, total = turn.loss(batch), 0.0
    for part in (loss,) if isinstance(loss, Tensor) else loss:
        part.backward()
        total += float(part.detach())
    if clip is not None:
        nn.utils.clip_grad_norm_([weight for network in turn.networks for weight in network.parameters()], clip)
    optimizer.step()
    turn.after()
    return total


def _check(run: RunState, validate: Callable[[], float] | None, *, keep_best: bool) -> None:
    """Validate, and keep the weights where they are the best so far."""
    course = run.course
    if validate is not None:
        _mode(run.networks, training=False)
        with torch.no_grad():
            course.validation.append(validate())
        _mode(run.networks, training=True)
    if validate is None or not keep_best:
        course.kept = course.step
    elif course.validation[-1] <= min(course.validation):
        course.kept = course.step
        run.best = [copy.deepcopy(network.state_dict()) for network in run.networks]


def _mode(networks: Sequence[nn.Module], *, training: bool) -> None:
    for network in networks:
        network.train(training)
