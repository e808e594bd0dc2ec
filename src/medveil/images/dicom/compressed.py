"""Decoding compressed pixel data: pydicom's plug-ins, and gdcm for the older JPEG processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import InputError, MissingDependencyError, UnreadableInputError, UnsupportedInputError
from medveil.images import compressed_headers
from medveil.images.bounds import DAMAGED, MAX_METADATA_BYTES, silent, walled
from medveil.images.dicom import transfer_syntax
from medveil.images.dicom.elements import PIXEL_DATA, Element, fragments, holds_encapsulated, named
from medveil.images.dicom.pixels import Layout, excess, layout_of, native
from medveil.images.dicom.transfer_syntax import (
    ENCAPSULATED_NATIVE,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
)

_MAX_PICTURES, _MAX_FAILURES = 16, 2  # inside sequences
_GDCM_SECONDS = 30
_GDCM_BYTES, _GDCM_BYTES_A_PIXEL = 1 << 30, 24

# In order of preference: the decoder that stood up best to damaged input first.
_PLUGINS = {
    RLE: ("pylibjpeg", "pydicom"), JPEG_BASELINE: ("pillow",), JPEG_EXTENDED: ("pillow",),
    **dict.fromkeys(JPEG_LS, ("pyjpegls",)), **dict.fromkeys(JPEG_2000, ("pylibjpeg",))
}  # fmt: skip
_NAMES = {
    RLE: "RLE", JPEG_BASELINE: "JPEG", JPEG_EXTENDED: "JPEG", **dict.fromkeys(JPEG_LOSSLESS, "JPEG lossless"),
    **dict.fromkeys(JPEG_LS, "JPEG-LS"), **dict.fromkeys(JPEG_2000, "JPEG 2000")
}  # fmt: skip


def decode(value: bytes, syntax: str, layout: Layout, notes: list[str]) -> NDArray[np.unsignedinteger]:
    """The cells (height, width) of one compressed frame.

    Args:
        value: the fragments with their headers, offset table first.
        syntax: transfer syntax UID.
        layout: what the data set states about the pixels.
        notes: gets what the owner should know.

    Raises:
        UnreadableInputError: the codestream is damaged or is not of the size and depth that the header states.
        UnsupportedInputError: an unknown transfer syntax, or a colour codestream.
        MissingDependencyError: no decoder for it is installed.
    """
    frame = b"".join(fragments(value)[1:])
    if syntax == ENCAPSULATED_NATIVE:
        _say_what_is_behind(excess(frame, layout), notes)
        return native(frame, layout)
    if syntax not in _NAMES:
        raise UnreadableInputError(
            f"compressed pixel data in the transfer syntax {transfer_syntax.named(syntax)}, which has none"
            if syntax
            else "compressed pixel data in a file that states no transfer syntax"
        )
    if layout.shift:
        raise UnsupportedInputError("compressed pixels whose high bit is not the highest stored one")
    precision = layout.stored
    if syntax == RLE and b" " in frame[-2:]:  # an odd length made even with a blank, which decoders take for data
        end = compressed_headers.rle_end(frame, layout.height * layout.width)
        frame = frame[:end] if end > 0 else frame
    elif syntax != RLE:
        whole = frame
        if syntax in JPEG_2000:
            stated, frame = compressed_headers.jpeg_2000(whole)
        else:
            frame = _jpeg_alone(whole)
            stated = compressed_headers.jpeg(frame)
        if whole.startswith(frame):  # and not in the boxes of a file
            _say_what_is_behind(whole[len(frame) :], notes)
        _check(stated, layout)
        precision = stated.precision
    with walled("the compressed picture is damaged, or not one that its decoder reads"), silent():
        if syntax in JPEG_LOSSLESS or (syntax == JPEG_EXTENDED and precision > 8):
            cells = _by_gdcm(frame, syntax, layout, precision)
        else:
            cells = _by_pydicom(frame, syntax, layout)
    if cells.size != layout.height * layout.width:
        raise UnreadableInputError(DAMAGED)
    return cells.reshape(layout.height, layout.width)


def _say_what_is_behind(behind: bytes, notes: list[str]) -> None:
    """Writers fill up with zeros, blanks or ones."""
    if behind.strip(compressed_headers.PADDING + b"\xff"):
        notes.append("bytes behind the end of the compressed picture; they come back only with the kept file")


def _jpeg_alone(frame: bytes) -> bytes:
    """A JPEG or JPEG-LS picture without what stands behind its end; writers make lengths even with blanks or zeros."""
    end = compressed_headers.jpeg_end(frame)
    if end < 0:
        raise UnreadableInputError("the compressed picture has no end marker: it is truncated or damaged")
    if frame.find(compressed_headers.JPEG_START, end) >= 0:
        raise UnsupportedInputError("more than one compressed picture; medveil takes single images")
    return frame[:end]


def _check(stated: compressed_headers.Stated, layout: Layout) -> None:
    if stated.components != 1:
        raise UnsupportedInputError("a colour codestream; medveil takes grey images")
    if (stated.height, stated.width) != (layout.height, layout.width):
        raise UnreadableInputError("the compressed picture does not have the size that the header states")
    if stated.precision > layout.allocated:
        raise UnreadableInputError("the compressed picture is deeper than the header states")


def _missing(syntax: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"reading {_NAMES[syntax]} compressed DICOM needs a decoder that is not installed",
        hint="pip install 'medveil[dicom]'",
    )


def _by_pydicom(frame: bytes, syntax: str, layout: Layout) -> NDArray[np.unsignedinteger]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    decoder = get_decoder(syntax)
    plugin = next((name for name in _PLUGINS[syntax] if name in decoder.available_plugins), None)
    if plugin is None:
        raise _missing(syntax)
    options: dict[str, Any] = {
        "rows": layout.height, "columns": layout.width, "number_of_frames": 1, "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2", "bits_allocated": layout.allocated, "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed), "pixel_keyword": "PixelData"
    }  # fmt: skip
    pixels, _ = decoder.as_array(encapsulate([frame]), index=0, raw=True, decoding_plugin=plugin, **options)
    return np.ascontiguousarray(pixels).view(layout.cell)


def _by_gdcm(frame: bytes, syntax: str, layout: Layout, precision: int) -> NDArray[np.unsignedinteger]:
    """Decode in a process of its own: gdcm takes the process down with it on some damaged codestreams."""
    import subprocess
    import sys
    from pathlib import Path

    from medveil.images.dicom import gdcm_process

    pixels = layout.height * layout.width
    numbers = (layout.height, layout.width, precision, int(layout.signed), _GDCM_BYTES + _GDCM_BYTES_A_PIXEL * pixels)
    command = [sys.executable, "-P", str(Path(gdcm_process.__file__)), syntax, *map(str, numbers)]
    done = subprocess.run(  # noqa: S603 - our own script; the numbers are integers and the syntax one of a few
        command, input=frame, capture_output=True, timeout=_GDCM_SECONDS + pixels / 1e5, check=False
    )
    if done.returncode == gdcm_process.MISSING:
        raise _missing(syntax)
    cell = np.dtype("<u1" if precision <= 8 else "<u2")
    if done.returncode or len(done.stdout) != pixels * cell.itemsize:
        raise UnreadableInputError(DAMAGED)
    return np.frombuffer(done.stdout, cell).astype(layout.cell)


class Nested:
    """Compressed pictures inside sequences (icons), made native: an uncompressed file may hold no compressed ones.

    Attributes:
        elements: the elements, each compressed picture inside native. Where one cannot be decoded, the item that it
            stands in is left out, and with its last item the sequence.
        undecoded: the elements of which something is left out, as they were.
    """

    def __init__(self, elements: Iterable[Element], syntax: str) -> None:
        self.elements: list[Element] = []
        self.undecoded: list[Element] = []
        self._syntax = syntax
        self._pictures, self._failures, self._bytes = 0, 0, 0
        self._native: set[int] = set()
        self._lost: set[int] = set()
        self._left_out = 0
        for element in elements:
            before = self._left_out
            kept = self._decoded(element)
            if kept is not None:
                self.elements.append(kept)
            if self._left_out > before:
                self.undecoded.append(element)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the owner should know of it."""
        native = "a compressed picture comes back native with equal pixels, as an uncompressed file requires"
        lost = "a compressed picture that cannot be decoded is sealed under identity and left out of written files"
        return (
            *(f"{named(tag)}: {native}; byte for byte only with the kept file" for tag in sorted(self._native)),
            *(
                f"{named(tag)}: {lost}, which may hold none; it comes back with the kept file"
                for tag in sorted(self._lost)
            ),
        )

    def _leave_out(self, tag: int) -> None:
        self._lost.add(tag)
        self._left_out += 1

    def _decoded(self, element: Element) -> Element | None:
        if element.encapsulated:  # and in no item that says how
            self._leave_out(element.tag)
            return None
        if not any(holds_encapsulated(item) for item in element.items):
            return element
        items = [kept for item in element.items if (kept := self._item(item, element.tag)) is not None]
        return Element(element.tag, "SQ", tuple(items)) if items else None

    def _item(self, item: tuple[Element, ...], sequence: int) -> tuple[Element, ...] | None:
        kept = []
        for element in item:
            decoded = self._picture(item, element) if element.encapsulated else self._decoded(element)
            if decoded is not None:
                kept.append(decoded)
                if element.encapsulated:
                    self._native.add(sequence)
            elif element.encapsulated:
                self._leave_out(sequence)
                return None
        return tuple(kept)

    def _picture(self, item: tuple[Element, ...], element: Element) -> Element | None:
        """The pixel data of an item, native; None where it cannot be had with bounded effort."""
        if element.tag != PIXEL_DATA or self._pictures >= _MAX_PICTURES or self._failures >= _MAX_FAILURES:
            return None
        self._pictures += 1
        try:
            layout = layout_of({one.tag: one for one in item}, grey=False)
            self._bytes += layout.length
            if self._bytes > MAX_METADATA_BYTES:
                return None
            cells = decode(element.data, self._syntax, layout, [])
        except (InputError, MissingDependencyError):
            self._failures += 1
            return None
        return Element(PIXEL_DATA, "OB" if layout.allocated == 8 else "OW", cells.tobytes())
