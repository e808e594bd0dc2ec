"""Side bytes of a `lapped` code: everything that the decoder needs besides the maps. Secret like the levels.

varint height | varint width | one byte (bits_stored - 1) + 16 signed + 32 padding + 64 thresholds + 128 refines
| varint step
| thresholds, a byte each, unless those of the table | reconstruction offset, a byte each map | padding record
| range-coded DC plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket
from medveil.codecs.lapped import dc_plane
from medveil.codecs.lapped.tables import FREE_THRESHOLDS
from medveil.codecs.lapped.transform import STRIDE
from medveil.codecs.padding_mask import Padding, read_padding, write_padding
from medveil.codecs.symbols import SymbolReader
from medveil.codecs.varints import read_varint, varint
from medveil.errors import IntegrityError

MAX_STEP = 1 << 26
OFFSET_UNIT = 64
OFFSET_ABOVE_ONE = 1
"""By how many 1/64 of a step coefficients of magnitudes above 1 are reconstructed nearer to zero."""


@dataclass(frozen=True)
class Side:
    """What the side bytes state.

    Attributes:
        height, width: true size in pixels.
        bits_stored, signed: depth and signedness of the pixels.
        step: quantisation step in units of 1/64 grey value.
        thresholds: lowest key of each map but the last.
        offsets: (maps,) by how many 1/64 of a step coefficients of magnitude 1 are reconstructed nearer to zero, -128
            to 127.
        padding: pixels that are "no data", or None.
        dc: quantised DC plane, (ceil(height / 16), ceil(width / 16)).
        refines: whether the code holds what a base left over. Where the base has a padding record it has none.
    """

    height: int
    width: int
    bits_stored: int
    signed: bool
    step: int
    thresholds: tuple[int, ...]
    offsets: tuple[int, ...]
    padding: Padding | None
    dc: NDArray[np.int64]
    refines: bool = False

    @property
    def pixel_kind(self) -> tuple[int, int, int, bool]:
        """Size, depth and signedness: what a code and the base that it refines have in common."""
        return self.height, self.width, self.bits_stored, self.signed

    @property
    def value_range(self) -> tuple[int, int]:
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1

    def to_bytes(self, dc: bytes | None = None) -> bytes:
        """The side bytes; `dc` are those of the DC plane, where they are known."""
        own_thresholds = self.thresholds != FREE_THRESHOLDS
        flags = (self.bits_stored - 1) | self.signed << 4 | (self.padding is not None) << 5 | own_thresholds << 6
        flags |= self.refines << 7
        parts = [varint(self.height), varint(self.width), bytes([flags]), varint(self.step)]
        parts += [bytes(self.thresholds) if own_thresholds else b"", bytes(offset & 255 for offset in self.offsets)]
        if self.padding is not None:
            parts.append(write_padding(self.padding))
        return b"".join(parts) + (dc_plane.coded(self.dc) if dc is None else dc)

    @classmethod
    def from_bytes(cls, data: bytes, maps: int, bucket: Bucket) -> Side:
        """Read what to_bytes wrote for a code of this number of maps and an image of this bucket.

        Raises:
            IntegrityError: the bytes make no sense.
        """
        height, at = read_varint(data, 0)
        width, at = read_varint(data, at)
        if height < 1 or width < 1 or Bucket.of(height, width) != bucket:
            raise IntegrityError("the size that the side bytes state is not of the package's bucket")
        if len(data) <= at:
            raise IntegrityError("the side bytes end too early")
        flags = data[at]
        bits_stored, signed = (flags & 15) + 1, bool(flags & 16)
        if bits_stored < 8:
            raise IntegrityError("the side bytes state an unknown depth")
        step, at = read_varint(data, at + 1)
        thresholds: tuple[int, ...] = FREE_THRESHOLDS
        if flags & 64:
            thresholds, at = tuple(data[at : at + maps - 1]), at + maps - 1
        if not 1 <= step <= MAX_STEP or len(data) < at + maps or len(thresholds) != maps - 1:
            raise IntegrityError("the side bytes state no valid step, or end too early")
        if any(later > former for former, later in pairwise(thresholds)):
            raise IntegrityError("the thresholds of the side bytes are not in falling order")
        offsets, at = tuple((byte ^ 128) - 128 for byte in data[at : at + maps]), at + maps
        padding = None
        if flags & 32:
            padding, at = read_padding(data, at, (height, width))
        shape = (-(-height // STRIDE), -(-width // STRIDE))
        dc = dc_plane.read(SymbolReader(data[at:]), shape)
        return cls(height, width, bits_stored, signed, step, thresholds, offsets, padding, dc, bool(flags & 128))
