"""Checkpoints of a training run: everything that the next step depends on, so that a resumed run is the same run.

A checkpoint is a safetensors file: tensors by name, and the settings, the optimizers' numbers and the course as JSON in
its header. Nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medveil.errors import UnreadableInputError, UsageError
from medveil.files.atomic import write_bytes


@dataclass
class Course:
    """How a run went so far.

    Attributes:
        losses: for each turn the mean loss between two checks.
        validation: what `validate` said, in order: the lower, the better.
        kept: step of the weights that the networks are left with.
        step: updates done.
        seconds: wall time, over all sessions.
    """

    losses: list[tuple[float, ...]] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    kept: int = 0
    step: int = 0
    seconds: float = 0.0

    @property
    def stale(self) -> int:
        """Validations since the lowest one."""
        return len(self.validation) - 1 - self.validation.index(min(self.validation)) if self.validation else 0


@dataclass
class RunState:
    """What the next step of a run depends on, with torch's own generator.

    Attributes:
        networks, optimizers: of all turns.
        generator: of what is drawn.
        course: how it went.
        best: the networks' weights at the best validation; empty before the first.
    """

    networks: Sequence[nn.Module]
    optimizers: Sequence[torch.optim.Optimizer]
    generator: np.random.Generator
    course: Course = field(default_factory=Course)
    best: list[dict[str, Tensor]] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """Where a run leaves its state.

    Attributes:
        path: of the file.
        settings: what a run must have in common with the one that it goes on with.
    """

    path: Path
    settings: Mapping[str, Any]

    def save(self, state: RunState) -> None:
        """Write a checkpoint whole or not at all."""
        from safetensors.torch import save

        optimizers = [optimizer.state_dict() for optimizer in state.optimizers]
        tensors = {"torch": torch.get_rng_state()}
        for kind, parts in (("network", [network.state_dict() for network in state.networks]), ("best", state.best)):
            for place, part in enumerate(parts):
                tensors |= {f"{kind}.{place}.{name}": value for name, value in part.items()}
        for place, each in enumerate(optimizers):
            for number, entry in each["state"].items():
                tensors |= {f"optimizer.{place}.{number}.{name}": value for name, value in entry.items()}
        header = {
            "settings": dict(self.settings), "groups": [each["param_groups"] for each in optimizers],
            "generator": state.generator.bit_generator.state, "course": asdict(state.course), "best": len(state.best),
        }  # fmt: skip
        plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        write_bytes(self.path, save(plain, metadata={"run": json.dumps(header)}), overwrite=True)

    def load(self, state: RunState) -> None:
        """Bring a run to the state of the file.

        Raises:
            UnreadableInputError: the file is damaged.
            UsageError: it is of a run with other settings.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                header = json.loads(file.metadata()["run"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            found, course = header["settings"], Course(**header["course"])
            course.losses = [tuple(each) for each in course.losses]
            groups = header["groups"]
            states: list[dict[int, dict[str, Tensor]]] = [{} for _ in groups]
            for name, value in _part(tensors, "optimizer.").items():
                place, weight, key = name.split(".")
                states[int(place)].setdefault(int(weight), {})[key] = value
        except (OSError, SafetensorError, IndexError, KeyError, TypeError, ValueError) as error:
            raise UnreadableInputError(f"the checkpoint is damaged ({type(error).__name__})") from error
        given = self.settings
        different = sorted(key for key in given.keys() | found.keys() if given.get(key) != found.get(key))
        if different:
            raise UsageError(
                f"the run in this folder has other settings: {', '.join(different)}",
                hint="give the same settings to go on with it, or another output folder",
            )
        for number, network in enumerate(state.networks):
            network.load_state_dict(_part(tensors, f"network.{number}."))
        for optimizer, numbers, group in zip(state.optimizers, states, groups, strict=True):
            optimizer.load_state_dict({"state": numbers, "param_groups": group})
        state.best = [_part(tensors, f"best.{number}.") for number in range(header["best"])]
        state.generator.bit_generator.state = header["generator"]
        state.course = course
        torch.set_rng_state(tensors["torch"])


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
