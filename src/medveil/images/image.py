"""Image: frames of integer pixels at their own depth, and their source: what is needed to write them again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UnsupportedInputError

_SHOWN_SIDE = 1024


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
    """Frames of one kind, with what is needed to write the same kind of file again.

    What medveil reads and shares today is one grey frame: `Image.of_pixels` makes such an image, `pixels` is its plane.

    Attributes:
        frames: (frames, height, width, channels), dtype `pixel_type(bits_stored, signed)`, C-contiguous, as stored
            (MONOCHROME1 is not inverted, rescale is not applied); 1 channel is grey, 3 are colour.
        bits_stored: 8 to 16; pixels lie in [0, 2**bits_stored) or, signed, [-2**(bits_stored-1), 2**(bits_stored-1)).
        source: what is needed to write the same kind of file again.
        spacing_mm: (row, column) spacing in mm, or None.
        rescale: (slope, intercept) from stored values to modality units, (1, 0) where the file gives none.
        padding: (low, high), the inclusive range of stored values that mean "no data here", or None.
        notes: what the reader mended in the file, or could not keep, in words without any value of the file.

    Raises:
        ValueError: the frames are of another form or type.

    >>> import numpy as np
    >>> from medveil.images.image import FileKind, Source
    >>> image = Image.of_pixels(np.zeros((2, 3), np.uint8), 8, Source(FileKind.PNG, b""))
    >>> image.frames.shape, image.pixels.shape
    ((1, 2, 3, 1), (2, 3))
    """

    frames: NDArray[np.generic]
    bits_stored: int
    source: Source
    spacing_mm: tuple[float, float] | None = None
    rescale: tuple[float, float] = (1.0, 0.0)
    padding: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if len(shape) != 4 or 0 in shape or shape[3] not in (1, 3):
            raise ValueError(
                f"frames are (frames, height, width, 1 or 3), not {shape}; Image.of_pixels takes one grey plane"
            )
        if not 8 <= self.bits_stored <= 16 or self.frames.dtype != pixel_type(self.bits_stored, signed=self.signed):
            raise ValueError(f"frames of {self.bits_stored} bits stored are not {self.frames.dtype}")

    @classmethod
    def of_pixels(cls, pixels: NDArray[np.generic], bits_stored: int, source: Source, **attributes: Any) -> Image:
        """An image of one grey frame; it holds the pixels themselves, and no copy.

        Args:
            pixels: (height, width).
            bits_stored, source, attributes: as of an image.
        """
        return cls(pixels[None, :, :, None], bits_stored, source, **attributes)

    def with_pixels(self, pixels: NDArray[np.generic], **attributes: Any) -> Image:
        """The same image with another plane (height, width), and with other attributes where they are given."""
        return replace(self, frames=pixels[None, :, :, None], **attributes)

    @property
    def pixels(self) -> NDArray[np.generic]:
        """(height, width): the plane of an image of one grey frame, a view of `frames`.

        Raises:
            UnsupportedInputError: there are several frames, or colours.
        """
        if self.frames.shape[0] != 1 or self.frames.shape[3] != 1:
            raise UnsupportedInputError(
                f"an image of {self.frames.shape[0]} frames and {self.frames.shape[3]} channels has no one grey plane",
                hint="its attribute `frames` holds all of them, as (frames, height, width, channels)",
            )
        return self.frames[0, :, :, 0]

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the middle frame as stored, at most 1024 pixels a side.

        Of more than 8 bits, the range of values that it holds, without its padding, becomes black to white.
        """
        import io

        from PIL import Image as Picture

        from medveil.images.intensity import grey

        plane, values = self.frames[len(self.frames) // 2], self.value_range
        if self.bits_stored > 8:
            low, high = self.padding or (1, 0)
            held = plane[(plane < low) | (plane > high)]
            values = (int(held.min()), int(held.max())) if held.size else values
        levels = np.clip(np.rint(grey(plane, values)), 0, 255).astype(np.uint8)
        picture = Picture.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
        picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        return buffer.getvalue()

    @property
    def signed(self) -> bool:
        return self.frames.dtype.kind == "i"

    @property
    def value_range(self) -> tuple[int, int]:
        """Lowest and highest stored value that bits_stored allows."""
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1
