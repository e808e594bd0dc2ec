"""From stored pixel data to integer pixels and back."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import record
from medveil.images.bounds import check_size
from medveil.images.dicom import attributes
from medveil.images.dicom.elements import Element, named
from medveil.images.image import pixel_type

ZEROS, SIGN, STORED = 0, 1, 2


@dataclass(frozen=True)
class Layout:
    """How pixels lie in the pixel data (Image Pixel module).

    Attributes:
        height, width: Rows and Columns.
        allocated: bits of a cell, 8 or 16.
        stored: bits that carry the value, 8 to 16.
        high_bit: index of the value's highest bit in the cell.
        signed: two's complement.
    """

    height: int
    width: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool

    @property
    def shift(self) -> int:
        return self.high_bit + 1 - self.stored

    @property
    def mask(self) -> int:
        return ((1 << self.stored) - 1) << self.shift

    @property
    def cell(self) -> np.dtype[np.unsignedinteger]:
        return np.dtype("<u1" if self.allocated == 8 else "<u2")

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of the pixels of an Image."""
        return pixel_type(self.stored, signed=self.signed)

    @property
    def length(self) -> int:
        return self.height * self.width * self.allocated // 8

    @property
    def narrow(self) -> Layout:
        """The same pixels in cells no wider than their values need.

        This is what a pixel record states: readers take pixels of 8 bits without sign for bytes, whatever the file's
        cells were.
        """
        if self.stored > 8 or self.signed:
            return self
        return replace(self, allocated=8, high_bit=7)


@dataclass(frozen=True)
class Unused:
    """The bits of the cells that carry no value: zeros, copies of the sign, or what `bits` (deflated) holds."""

    fill: int
    bits: bytes = b""


def layout_of(elements: Mapping[int, Element], *, grey: bool = True) -> Layout:
    """The layout that the Image Pixel module states.

    Args:
        elements: a data set, or an item of one.
        grey: whether the pixels must be grey values, and not for example indices of a palette.

    Raises:
        UnreadableInputError: an attribute of it is missing or contradicts another.
        UnsupportedInputError: colour, several frames, or other depths than 8 to 16 bits.
    """
    _check_kind(elements, grey)
    height, width = _one(elements, attributes.ROWS), _one(elements, attributes.COLUMNS)
    check_size(height, width)
    allocated, stored = _one(elements, attributes.BITS_ALLOCATED), _one(elements, attributes.BITS_STORED)
    high_bit, representation = _one(elements, attributes.HIGH_BIT, stored - 1), _one(elements, attributes.SIGNED, 0)
    if allocated not in (8, 16) or not 8 <= stored <= 16:
        raise UnsupportedInputError(
            f"pixels of {stored} bits stored in cells of {allocated}; medveil takes 8 to 16 bits in cells of 8 or 16"
        )
    if stored > allocated or not stored - 1 <= high_bit < allocated:
        raise UnreadableInputError("Bits Allocated, Bits Stored and High Bit (0028,0100-0102) contradict each other")
    if representation > 1:
        raise UnreadableInputError(f"{named(attributes.SIGNED)}: neither 0 nor 1")
    return Layout(height, width, allocated, stored, high_bit, representation == 1)


def _check_kind(elements: Mapping[int, Element], grey: bool) -> None:
    samples = _one(elements, attributes.SAMPLES, 1)
    photometric = attributes.text(elements.get(attributes.PHOTOMETRIC))
    if not photometric:
        raise UnreadableInputError(f"{named(attributes.PHOTOMETRIC)} is missing")
    if samples != 1 or (grey and photometric == "PALETTE COLOR"):
        raise UnsupportedInputError("a colour image; medveil takes MONOCHROME1 and MONOCHROME2")
    if grey and photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedInputError(f"{named(attributes.PHOTOMETRIC)}: neither MONOCHROME1 nor MONOCHROME2")
    frames = attributes.text(elements.get(attributes.FRAMES)).lstrip("+0")
    if frames and not frames.isdecimal():
        raise UnreadableInputError(f"{named(attributes.FRAMES)} is not a number")
    if frames not in ("", "1"):
        raise UnsupportedInputError("several frames; medveil takes single images")


def _one(elements: Mapping[int, Element], tag: int, default: int | None = None) -> int:
    values = attributes.integers(elements.get(tag))
    if len(values) == 1:
        return values[0]
    if values:
        raise UnreadableInputError(f"{named(tag)} is not one number of 16 bits")
    if default is None:
        raise UnreadableInputError(f"{named(tag)} is missing")
    return default


def from_cells(cells: NDArray[np.unsignedinteger], layout: Layout) -> tuple[NDArray[np.generic], Unused]:
    """The pixels in (height, width) cells, and the bits of the cells that are not theirs."""
    full = (1 << layout.allocated) - 1
    if layout.mask == full:
        pixels = cells.view(np.dtype(f"<i{layout.allocated // 8}")) if layout.signed else cells
        return np.ascontiguousarray(pixels.astype(layout.dtype, copy=False)), Unused(ZEROS)
    values = (cells & layout.mask) >> layout.shift
    if layout.signed:
        sign = 1 << (layout.stored - 1)
        pixels = (values.astype(np.int32) ^ sign) - sign
    else:
        pixels = values
    pixels = np.ascontiguousarray(pixels.astype(layout.dtype, copy=False))
    rest = cells & (full ^ layout.mask)
    if not rest.any():
        return pixels, Unused(ZEROS)
    if layout.signed and np.array_equal(to_cells(pixels, layout, Unused(SIGN)), cells):
        return pixels, Unused(SIGN)
    return pixels, Unused(STORED, zlib.compress(rest.astype(layout.cell).tobytes()))


def to_cells(pixels: NDArray[np.generic], layout: Layout, unused: Unused) -> NDArray[np.unsignedinteger]:
    """The cells of pixel data, the inverse of `from_cells`.

    Raises:
        IntegrityError: the unused bits are not those of this layout.
    """
    values = pixels.astype(np.int32) << layout.shift
    full = (1 << layout.allocated) - 1
    if unused.fill == SIGN and layout.shift == 0:
        return (values & full).astype(layout.cell)
    cells = (values & layout.mask).astype(layout.cell)
    if unused.fill == STORED:
        cells |= _stored(unused.bits, layout)
    return cells


def _stored(bits: bytes, layout: Layout) -> NDArray[np.unsignedinteger]:
    raw = record.inflated(bits, layout.length, "the record of unused bits does not fit the image")
    cells = np.frombuffer(raw, layout.cell).reshape(layout.height, layout.width)
    if (cells & layout.mask).any():
        raise IntegrityError("the record of unused bits does not fit the image")
    return cells


def native(value: bytes, layout: Layout) -> NDArray[np.unsignedinteger]:
    """The cells of uncompressed pixel data; what stands behind them is `excess`.

    Raises:
        UnreadableInputError: fewer bytes than the header states.
    """
    if len(value) < layout.length:
        raise UnreadableInputError("the pixel data is shorter than the header states")
    return np.frombuffer(value, layout.cell, layout.height * layout.width).reshape(layout.height, layout.width)


def excess(value: bytes, layout: Layout) -> bytes:
    """What stands behind the pixels in uncompressed pixel data, beyond the one zero that makes its length even.

    It has that zero, too, where the file lacks it: a written file has it, and what is read from that is the same.
    """
    behind = value[layout.length :] + b"\0" * (len(value) % 2)
    return b"" if behind == b"\0" * (layout.length % 2) else behind
