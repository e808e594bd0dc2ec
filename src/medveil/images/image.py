"""Image: integer pixels at their own depth, with what is needed to write the same kind of file again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class FileKind(StrEnum):
    """The kind of file that an image came from. JPEG goes back out as PNG."""

    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    DICOM = "dicom"
    NIFTI = "nifti"


@dataclass(frozen=True)
class Source:
    """Where an image came from, in the bytes of the images room's own records; opaque to all other rooms.

    Attributes:
        kind: kind of the file.
        pixel_record: what may travel with the pixels (geometry, LUTs, modality, view …; see contract.md).
        identity_record: everything else (names, dates, UIDs, private tags …); empty for who has no identity grant.
    """

    kind: FileKind
    pixel_record: bytes = field(repr=False)
    identity_record: bytes = field(repr=False, default=b"")


def pixel_type(bits_stored: int, *, signed: bool) -> np.dtype[np.generic]:
    """The type of an image's pixels, which is that of every decoder: of 8 bits without sign bytes, else words."""
    return np.dtype(np.int16 if signed else np.uint8 if bits_stored == 8 else np.uint16)


@dataclass(frozen=True)
class Image:
    """One grey image.

    Attributes:
        pixels: (height, width), dtype `pixel_type(bits_stored, signed)`, C-contiguous, as stored (MONOCHROME1 is not
            inverted, rescale is not applied).
        bits_stored: 8 to 16; pixels lie in [0, 2**bits_stored) or, signed, [-2**(bits_stored-1), 2**(bits_stored-1)).
        spacing_mm: (row, column) spacing in mm, or None.
        rescale: (slope, intercept) from stored values to modality units, (1, 0) where the file gives none.
        padding: (low, high), the inclusive range of stored values that mean "no data here", or None.
        source: what is needed to write the same kind of file again.
        notes: what the reader mended in the file, or could not keep, in words without any value of the file.

    >>> import numpy as np
    >>> from medveil.images.image import FileKind, Source
    >>> Image(np.zeros((2, 3), np.uint8), 8, Source(FileKind.PNG, b"")).pixels.dtype
    dtype('uint8')
    """

    pixels: NDArray[np.generic]
    bits_stored: int
    source: Source
    spacing_mm: tuple[float, float] | None = None
    rescale: tuple[float, float] = (1.0, 0.0)
    padding: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        return self.pixels.dtype.kind == "i"

    @property
    def value_range(self) -> tuple[int, int]:
        """Lowest and highest stored value that bits_stored allows."""
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1
