"""Codec `primis`: the learned sparse code of PRIMIS, with shipped weights or weights of one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Budget, CodeMap, Composition, MapShape, Profile, SparseCode
from medveil.codecs.entropy import level_stream, pack
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.codecs.padding_mask import Padding, filled, find_padding, read_padding, write_padding
from medveil.codecs.primis.cells import from_cells, to_cells
from medveil.codecs.primis.weights_file import Model, load_model, parse_model
from medveil.codecs.varints import read_varint, varint
from medveil.errors import IntegrityError, MissingDependencyError, UnsupportedInputError, UsageError
from medveil.images.image import Image
from medveil.images.intensity import grey, stored
from medveil.networks.lapped_bases import CHANNELS, STRIDE
from medveil.networks.primis_inference import decode_picture, encode_picture, grid_of

WEIGHTS = Path(__file__).parents[1] / "weights"
MODEL_FILE = "model.safetensors"
DEFAULT_SPARSITY = 16
# The level stream of a sealed code holds this many tenths of a bit a nonzero: a little more than any image of the
# validation fold needs at the steps of the shipped weights. Codes that need more are quantised more coarsely.
_LEVEL_TENTHS = {4: 49, 8: 44, 16: 51}
# A packed code has room for this many tenths of a bit a nonzero, enough for 49 of 50 images of the train fold. Codes
# that need more are quantised more coarsely.
_PACKED_TENTHS = {4: 135, 8: 120, 16: 117}
_SIDE_BYTES = 64
_STEP_UNIT = 1 / 1024
_OFFSET_BIAS = 1 << 16
_MAX_STEP = 1 << 22


@dataclass(frozen=True)
class Side:
    """What the side bytes state.

    Attributes:
        height, width: true size in pixels.
        bits_stored, signed: depth and signedness of the pixels.
        offset: the stored value that is coded as zero (the mean).
        step: quantisation step in 1/1024 of an 8-bit grey value.
        padding: pixels that are "no data", or None.
    """

    height: int
    width: int
    bits_stored: int
    signed: bool
    offset: int
    step: int
    padding: Padding | None = None

    @property
    def value_range(self) -> tuple[int, int]:
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1

    def to_bytes(self) -> bytes:
        flags = (self.bits_stored - 1) | self.signed << 4 | (self.padding is not None) << 5
        head = varint(self.height) + varint(self.width) + bytes([flags])
        tail = b"" if self.padding is None else write_padding(self.padding)
        return head + varint(self.offset + _OFFSET_BIAS) + varint(self.step) + tail

    @classmethod
    def from_bytes(cls, data: bytes, bucket: Bucket) -> Side:
        """Read what to_bytes wrote for an image of this bucket. Raises IntegrityError for anything else."""
        height, at = read_varint(data, 0)
        width, at = read_varint(data, at)
        if height < 1 or width < 1 or Bucket.of(height, width) != bucket:
            raise IntegrityError("the size that the side bytes state is not of the package's bucket")
        flags = data[at] if at < len(data) else 255
        bits_stored, signed = (flags & 15) + 1, bool(flags & 16)
        if flags >= 64 or bits_stored < 8:
            raise IntegrityError("the depth that the side bytes state is not possible")
        offset, at = read_varint(data, at + 1)
        step, at = read_varint(data, at)
        if offset > 2 * _OFFSET_BIAS or not 1 <= step <= _MAX_STEP:
            raise IntegrityError("the offset or the step that the side bytes state is not possible")
        padding = None
        if flags & 32:
            padding, at = read_padding(data, at, (height, width))
        if at != len(data):
            raise IntegrityError("the side bytes are longer than what they state")
        return cls(height, width, bits_stored, signed, offset - _OFFSET_BIAS, step, padding)


class PrimisCodec:
    """See `medveil.codecs.code.Codec`. Any size, 8 to 16 bits, signed or unsigned.

    Args:
        weights: the weights file to use, or its bytes; None for the shipped ones, by sparsity.

    >>> from medveil.codecs.registry import get_codec
    >>> codec = get_codec("primis")
    >>> codec.profile(quality_centidb=0, sparsity=4, deep=0).sparsity, codec.vector_length
    (4, 256)
    """

    name = "primis"
    successive = False
    reproducible = False  # its network computes in floating point
    vector_length = CHANNELS

    def __init__(self, weights: Path | bytes | None = None) -> None:
        self.weights = weights

    def profile(self, *, quality_centidb: int, sparsity: int | None, deep: int) -> Profile:
        """The profile of a sparsity; the weights decide on the quality, so `quality_centidb` is not used."""
        if self.weights is None:
            model = _loaded(shipped_weights(DEFAULT_SPARSITY if sparsity is None else sparsity))
        else:
            model = _loaded(self.weights)
        if sparsity not in (None, model.config.sparsity):
            raise UsageError(f"these weights are for --sparsity {model.config.sparsity}, not {sparsity}")
        return Profile(self.name, 0, model.config.sparsity, deep, model.digest)

    def weights_bytes(self) -> bytes:
        """The weights file, to embed in a release."""
        if isinstance(self.weights, bytes):
            return self.weights
        return (self.weights or shipped_weights(DEFAULT_SPARSITY)).read_bytes()

    def composition(self, profile: Profile, bucket: Bucket) -> Composition:
        """L maps over the bucket's grid, S nonzeros a code vector."""
        model = self._model(profile)
        vectors = (bucket.height // STRIDE) * (bucket.width // STRIDE)
        shape = MapShape(vectors * CHANNELS, vectors * profile.sparsity)
        tenths = _LEVEL_TENTHS.get(profile.sparsity, max(_LEVEL_TENTHS.values()))
        level_bytes = _SIDE_BYTES - (-vectors * profile.sparsity * model.network.maps * tenths // 80)
        return Composition((shape,) * model.network.maps, level_bytes)

    def packed_bytes(self, profile: Profile, bucket: Bucket) -> int:
        """Room for the nonzeros of the bucket's grid, at the bits that nearly all images need."""
        model = self._model(profile)
        vectors = (bucket.height // STRIDE) * (bucket.width // STRIDE)
        tenths = _PACKED_TENTHS.get(profile.sparsity, max(_PACKED_TENTHS.values()))
        return _SIDE_BYTES - (-vectors * profile.sparsity * model.network.maps * tenths // 80)

    def encode(
        self, image: Image, profile: Profile, budget: Budget | None, base: SparseCode | None = None
    ) -> SparseCode:
        """Code of an image at the step of the weights, or, with a budget, coarsened until it fits.

        Complete: a base is not used.
        """
        model = self._model(profile)
        bucket = Bucket.of(*image.pixels.shape)
        step = max(1, round(model.step / _STEP_UNIT))
        while True:
            code = _encode_at(image, model, bucket, step)
            if budget is None:
                return code
            excess = _excess(code, budget)
            if excess <= 0:
                return code
            if step >= _MAX_STEP:
                raise UnsupportedInputError("the padding pixels leave no room in a package of this codec")
            nonzeros = max(1, sum(len(entry.levels) for entry in code.maps))
            step = min(_MAX_STEP, math.ceil(step * 2 ** (0.1 + min(8 * excess / nonzeros, 8.0))))

    def decode(
        self, code: SparseCode, profile: Profile, bucket: Bucket, base: SparseCode | None = None
    ) -> NDArray[np.generic]:
        """Pixels of a code: (height, width), uint8, uint16 or int16. A base is not used.

        Raises:
            IntegrityError: the code is not one of this bucket and these weights.
        """
        model = self._model(profile)
        side = Side.from_bytes(code.side, bucket)
        grid = grid_of(side.height, side.width)
        if len(code.maps) != model.network.maps:
            raise IntegrityError(f"a code of {len(code.maps)} maps; these weights have {model.network.maps}")
        cells = (bucket.height // STRIDE) * (bucket.width // STRIDE) * CHANNELS
        if any(entry.cells != cells for entry in code.maps):
            raise IntegrityError("the maps of the code don't have the cells of an image of its size")
        levels = from_cells(code.maps, grid, model.network)
        found = decode_picture(model.network, levels, (side.height, side.width), side.step * _STEP_UNIT)
        kind = np.dtype(np.int16 if side.signed else np.uint8 if side.bits_stored == 8 else np.uint16)
        pixels = stored(found.numpy(), side.value_range, side.offset, kind)
        return pixels if side.padding is None else _padded(pixels, side.padding, side.value_range)

    def _model(self, profile: Profile) -> Model:
        for weights in [self.weights] if self.weights else sorted(WEIGHTS.glob("*.safetensors")):
            model = _loaded(weights)
            if model.digest == profile.weights:
                return model
        raise MissingDependencyError(
            "the weights that the release names are not here",
            hint="ask the owner for a release with embedded weights, or install the medveil version that made it",
        )


def _excess(code: SparseCode, budget: Budget) -> int:
    """By how many bytes a code, or its level stream where the budget is a composition, is too long."""
    if isinstance(budget, Composition):
        return len(level_stream(pad_with_nulls(code, budget), budget)) - budget.level_bytes
    return len(pack(code)) - budget


def codec_from_weights(digest: bytes, weights: bytes | None) -> PrimisCodec:
    """The codec of the weights with this SHA-256: shipped, or in a weights file of these bytes.

    Raises:
        MissingDependencyError: there are no such weights here.
        IntegrityError: the weights file is not the one that the digest names.
    """
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        if _loaded(path).digest == digest:
            return PrimisCodec(path)
    if weights is None:
        raise MissingDependencyError(
            "the release was made with weights of its own, which are not in it or not for this key",
            hint="ask the owner for a release without --no-embed",
        )
    parse_model(weights, digest)
    return PrimisCodec(weights)


def codec_from_folder(folder: Path) -> PrimisCodec:
    """The codec of the weights that `medveil train` wrote to a folder."""
    path = folder / MODEL_FILE
    if not path.exists():
        raise UsageError(f"the folder holds no {MODEL_FILE}", hint="give the folder that `medveil train -o` wrote")
    return PrimisCodec(path)


def shipped_weights(sparsity: int) -> Path:
    """The shipped weights file of a sparsity. Raises UsageError for a sparsity without one."""
    path = WEIGHTS / f"primis-s{sparsity}.safetensors"
    if not path.exists():
        known = sorted(int(found.stem.removeprefix("primis-s")) for found in WEIGHTS.glob("primis-s*.safetensors"))
        if not known:
            raise MissingDependencyError("no weights are installed", hint="train some: medveil train")
        raise UsageError(
            f"there are no weights for --sparsity {sparsity}; there are some for {', '.join(map(str, known))}",
            hint="train your own: medveil train IMAGES -o my-codec/ --sparsity S",
        )
    return path


def _loaded(weights: Path | bytes) -> Model:
    if isinstance(weights, bytes):
        return _parsed(weights)
    status = weights.stat() if weights.exists() else None
    return _cached(weights, (status.st_size, status.st_mtime_ns) if status else (0, 0))


@lru_cache(maxsize=2)
def _parsed(weights: bytes) -> Model:
    return parse_model(weights)


@lru_cache(maxsize=4)
def _cached(path: Path, version: tuple[int, int]) -> Model:
    return load_model(path)


def _encode_at(image: Image, model: Model, bucket: Bucket, step: int) -> SparseCode:
    pixels = image.pixels
    padding = find_padding(pixels, image.padding)
    samples = pixels.astype(np.float32)
    if padding is not None and padding.mask.any():
        samples = filled(samples, padding.mask)
    offset = round(float(samples.mean(dtype=np.float64)))
    height, width = pixels.shape
    side = Side(height, width, image.bits_stored, image.signed, offset, step, padding)
    picture = torch.from_numpy(grey(samples, side.value_range, offset=offset, kind=np.float32))
    levels = encode_picture(model.network, picture, step * _STEP_UNIT)
    cells = (bucket.height // STRIDE) * (bucket.width // STRIDE) * CHANNELS
    found = to_cells(levels, grid_of(height, width), model.network)
    return SparseCode(tuple(CodeMap(cells, *entry) for entry in found), side.to_bytes())


def _padded(pixels: NDArray[np.generic], padding: Padding, value_range: tuple[int, int]) -> NDArray[np.generic]:
    """Padding pixels restored, and all others kept out of the padding range."""
    low, high = value_range
    values = pixels.astype(np.int64)
    inside = (values >= padding.low) & (values <= padding.high)
    up = padding.high < high and (padding.low <= low or padding.low + padding.high < low + high)
    values = np.where(inside, padding.high + 1 if up else padding.low - 1, values)
    values[padding.mask] = padding.values
    return np.clip(values, low, high).astype(pixels.dtype)
