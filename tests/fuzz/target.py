"""Target: one reader under the fuzzer, with inputs to start from and the bounds that it has to keep."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MIB = 1 << 20
BASE_BYTES = 256 * MIB
BYTES_A_PIXEL_BYTE = 16
_BYTES_A_PIXEL = 2  # what is not yet read can hold 16 bits


@dataclass
class Bound:
    """What the input that is being read may allocate; a target that reads an image states its size here.

    Attributes:
        pixels: of the size class that the input states, before anything is decoded.
    """

    pixels: int = 0

    @property
    def bytes(self) -> int:
        return BASE_BYTES + BYTES_A_PIXEL_BYTE * _BYTES_A_PIXEL * self.pixels


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: of the target.
        read: reads an input; anything but a MedveilError that it raises is a finding.
        seeds: inputs to start from.
        is_record: whether inputs are CBOR, which the mutator takes apart; else plain bytes.
        share: of the whole time, in relation to those of the other targets.
        longest: bytes of an input.
        seconds: an input may take.
    """

    name: str
    read: Callable[[bytes, Bound], None]
    seeds: Callable[[], list[bytes]]
    is_record: bool = True
    share: float = 1.0
    longest: int = 1 << 16
    seconds: float = 10.0

    @property
    def file_name(self) -> str:
        return re.sub(r"[^a-zA-Z0-9]+", "-", self.name)
