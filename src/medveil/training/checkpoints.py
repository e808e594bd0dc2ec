"""Checkpoints of a training run: everything that the next step depends on, so that a resumed run is the same run.

A checkpoint is a safetensors file: tensors by name, and the settings, the optimizer's numbers and the progress as JSON
in its header. Nothing is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medveil.errors import UnreadableInputError, UsageError
from medveil.files.atomic import write_bytes


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        step: updates done.
        seconds: wall time spent in training, over all sessions.
        best_psnr: best validation PSNR so far.
        stale: validations since then.
        best: the weights that gave it; empty before the first validation.
    """

    step: int
    seconds: float
    best_psnr: float
    stale: int
    best: dict[str, Tensor]

    @classmethod
    def start(cls) -> Progress:
        return cls(0, 0.0, float("-inf"), 0, {})


def save_checkpoint(
    path: Path,
    settings: dict[str, Any],
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Write a checkpoint whole or not at all."""
    from safetensors.torch import save

    state = optimizer.state_dict()
    tensors = {"generator": generator.get_state()}
    tensors |= {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best.items()}
    for number, entry in state["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in entry.items()}
    numbers = {name: getattr(progress, name) for name in ("step", "seconds", "best_psnr", "stale")}
    header = {"settings": settings, "groups": state["param_groups"], "progress": numbers}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_bytes(path, save(plain, metadata={"run": json.dumps(header)}), overwrite=True)


def load_checkpoint(
    path: Path,
    settings: dict[str, Any],
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> Progress:
    """Bring network, optimizer and generator to the state of a checkpoint.

    Raises:
        UnreadableInputError: the file is damaged.
        UsageError: the checkpoint is of a run with other settings.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        found, numbers = header["settings"], header["progress"]
        optimizer_state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            number, key = name.split(".")
            optimizer_state.setdefault(int(number), {})[key] = value
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UnreadableInputError(f"the checkpoint is damaged ({type(error).__name__})") from error
    different = sorted(key for key in settings.keys() | found.keys() if settings.get(key) != found.get(key))
    if different:
        raise UsageError(
            f"the run in this folder has other settings: {', '.join(different)}",
            hint="give the same settings to go on with it, or another output folder",
        )
    network.load_state_dict(_part(tensors, "network."))
    optimizer.load_state_dict({"state": optimizer_state, "param_groups": header["groups"]})
    generator.set_state(tensors["generator"])
    return Progress(**numbers, best=_part(tensors, "best."))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
