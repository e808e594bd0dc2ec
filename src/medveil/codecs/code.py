"""SparseCode and its public shape: what every codec produces and every protection level protects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medveil.images.image import Image


@dataclass(frozen=True)
class CodeMap:
    """One code map: a long vector of cells of which few are nonzero.

    Attributes:
        cells: number of cells N.
        positions: (K,) int64, strictly increasing, in [0, cells).
        levels: (K,) int32, the integer values there; none is zero.
    """

    cells: int
    positions: NDArray[np.int64]
    levels: NDArray[np.int32]


@dataclass(frozen=True)
class SparseCode:
    """L code maps, coded successively (map l codes what the maps before it left over), and the codec's side bytes.

    Attributes:
        maps: the code maps, coarsest first.
        side: whatever else the decoder needs, written and read by the codec alone (true size, depth, step, DC …).
            As secret as the levels: it leaves the codec's hands only masked or encrypted.
    """

    maps: tuple[CodeMap, ...]
    side: bytes


@dataclass(frozen=True)
class MapShape:
    """Public shape of one code map: how many cells it has, and how many of them are nonzero, nulls included."""

    cells: int
    nonzeros: int


@dataclass(frozen=True)
class Composition:
    """What everybody may know of a sealed code: a function of (bucket, profile) and of nothing else.

    Attributes:
        maps: the shape of each code map.
        level_bytes: exact length of the masked level stream (side bytes, magnitudes, null marks).
    """

    maps: tuple[MapShape, ...]
    level_bytes: int


Budget = Composition | int
"""What a code is to fill: a composition, or so many bytes of its packed form (`medveil.codecs.entropy.pack`)."""


@dataclass(frozen=True)
class Bucket:
    """Public size class of an image: its sides rounded up to multiples of 64 pixels."""

    height: int
    width: int

    STEP = 64

    @classmethod
    def of(cls, height: int, width: int) -> Bucket:
        return cls(-(-height // cls.STEP) * cls.STEP, -(-width // cls.STEP) * cls.STEP)


@dataclass(frozen=True)
class Profile:
    """Release-wide coding settings. Public. Integers and names only, so that it goes into canonical CBOR as it is.

    Attributes:
        codec: registered name of the codec.
        quality_centidb: the target in 1/100 dB (mean PSNR over the reference set), 0 where sparsity rules.
        sparsity: nonzeros a code vector (codec primis), 0 where quality rules.
        deep: 1 when the release is for images of more than 8 bits: the budget follows the RMSE target of those.
        weights: sha256 (32 bytes) of the weights file, empty for a codec without weights.
    """

    codec: str
    quality_centidb: int
    sparsity: int = 0
    deep: int = 0
    weights: bytes = b""


class Codec(Protocol):
    """Image <-> SparseCode.

    `encode` with a composition fills it (top-S, coarsened until the level stream fits): the constant-rate code that
    is sealed. With a number of bytes it gives a code that takes no more when it is packed, and as many of them as serve
    the picture: the code that is encrypted. Without either it works at the profile's constant step.

    A codec that codes successively takes a base, the code of the same image at the preview profile, and codes what
    that left over; its `decode` needs the same base. One that doesn't ignores the base: its code is complete.
    """

    name: str
    successive: bool
    reproducible: bool  # whether its decoder gives the same pixels on every machine, so that others can build on them
    vector_length: (
        int  # channels M of a code vector (cell v * M + c of a map is channel c of vector v), the unit of decoys;
    )
    # 0 where the cells of a map are in order of priority

    def profile(self, *, quality_centidb: int, sparsity: int | None, deep: int) -> Profile:
        """The profile of a request; raises UsageError for a setting that this codec does not have."""
        ...

    def weights_bytes(self) -> bytes:
        """The weights file of this codec, to embed in a release; empty for a codec without weights."""
        ...

    def composition(self, profile: Profile, bucket: Bucket) -> Composition: ...

    def packed_bytes(self, profile: Profile, bucket: Bucket) -> int:
        """Length that every packed code of this bucket is padded to; as the composition, of a table or a rule."""
        ...

    def encode(
        self, image: Image, profile: Profile, budget: Budget | None, base: SparseCode | None = None
    ) -> SparseCode:
        """Raises UnsupportedInputError where not even the coarsest code keeps to the budget."""
        ...

    def decode(
        self, code: SparseCode, profile: Profile, bucket: Bucket, base: SparseCode | None = None
    ) -> NDArray[np.generic]:
        """Pixels (height, width) in the true size, depth and dtype that the side bytes state."""
        ...
