"""Weights on disk: safetensors with the configuration in its header, named by the SHA-256 of the whole file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medveil.errors import IntegrityError, MissingDependencyError, UnreadableInputError
from medveil.files.atomic import write_bytes
from medveil.networks.primis import PrimisConfig, PrimisNetwork

_FORMAT = "medveil-primis-1"
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Model:
    """A network ready for use.

    Attributes:
        network: in evaluation mode, float32.
        config: its shape.
        step: quantisation step of the levels in 8-bit grey values.
        digest: SHA-256 of the weights file.
    """

    network: PrimisNetwork
    config: PrimisConfig
    step: float
    digest: bytes


def save_model(path: Path, network: PrimisNetwork, step: float, *, half: bool = True, overwrite: bool = False) -> bytes:
    """Write a network to `path` and return the digest of the file. `half` stores float16, which is what then counts."""
    from safetensors.torch import save

    dtype = torch.float16 if half else torch.float32
    tensors = {name: value.detach().cpu().to(dtype).contiguous() for name, value in network.state_dict().items()}
    header = {"config": network.config.to_json(), "step": step}
    # One entry only: safetensors writes several in no fixed order, and equal weights are to have equal digests.
    data = save(tensors, metadata={_FORMAT: json.dumps(header, sort_keys=True)})
    write_bytes(path, data, overwrite=overwrite)
    return hashlib.sha256(data).digest()


def load_model(path: Path, digest: bytes | None = None) -> Model:
    """Read a weights file.

    Raises:
        MissingDependencyError: no such file.
        IntegrityError: the file is not the one that `digest` names.
        UnreadableInputError: the file is damaged or not of this kind.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingDependencyError(
            f"the weights file {path.name} cannot be read: {type(error).__name__}", hint="train one: medveil train"
        ) from error
    return parse_model(data, digest)


def parse_model(data: bytes, digest: bytes | None = None) -> Model:
    """Like `load_model`, from bytes (weights that are embedded in a release)."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    found = hashlib.sha256(data).digest()
    if digest is not None and found != digest:
        raise IntegrityError("the weights are not the ones that the release names: their SHA-256 differs")
    if len(data) > MAX_BYTES:
        raise UnreadableInputError(f"a weights file of {len(data)} bytes; at most {MAX_BYTES} are allowed")
    try:
        header = _header(data)
        config = PrimisConfig.from_json(header["config"])
        if 2 * config.least_weights > len(data):  # float16: before a network of that size is made
            raise ValueError("fewer weights than the configuration asks for")
        step = float(header["step"])
        network = PrimisNetwork(config)
        network.load_state_dict({name: value.float() for name, value in load(data).items()})
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise UnreadableInputError(
            f"not a weights file of the codec primis, or damaged ({type(error).__name__})"
        ) from error
    return Model(network.eval(), config, step, found)


def _header(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(len(data) - 8, 1 << 20):
        raise ValueError("header length")
    header: dict[str, Any] = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_FORMAT])
    return header
