"""Decoding compressed pixel data: pydicom's plug-ins, and gdcm for the older JPEG processes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import MissingDependencyError, UnreadableInputError, UnsupportedInputError
from medveil.images import codestreams
from medveil.images.bounds import DAMAGED, silent, walled
from medveil.images.dicom.elements import fragments
from medveil.images.dicom.pixels import Layout

_GDCM_SECONDS = 30
_GDCM_BYTES, _GDCM_BYTES_A_PIXEL = 1 << 30, 24

RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))

# In order of preference: the decoder that stood up best to damaged input first.
_PLUGINS = {
    RLE: ("pylibjpeg", "pydicom"),
    JPEG_BASELINE: ("pillow",),
    JPEG_EXTENDED: ("pillow",),
    **dict.fromkeys(JPEG_LS, ("pyjpegls",)),
    **dict.fromkeys(JPEG_2000, ("pylibjpeg",)),
}
_NAMES = {
    RLE: "RLE",
    JPEG_BASELINE: "JPEG",
    JPEG_EXTENDED: "JPEG",
    **dict.fromkeys(JPEG_LOSSLESS, "JPEG lossless"),
    **dict.fromkeys(JPEG_LS, "JPEG-LS"),
    **dict.fromkeys(JPEG_2000, "JPEG 2000"),
}


def decode(value: bytes, syntax: str, layout: Layout) -> NDArray[np.unsignedinteger]:
    """The cells (height, width) of one compressed frame.

    Args:
        value: the fragments with their headers, offset table first.
        syntax: transfer syntax UID.
        layout: what the data set states about the pixels.

    Raises:
        UnreadableInputError: the codestream is damaged or is not of the size and depth that the header states.
        UnsupportedInputError: an unknown transfer syntax, or a colour codestream.
        MissingDependencyError: no decoder for it is installed.
    """
    if syntax not in _NAMES:
        raise UnsupportedInputError(
            "a transfer syntax that medveil does not read", hint="Convert it, for example with dcmconv or gdcmconv."
        )
    if layout.shift:
        raise UnsupportedInputError("compressed pixels whose high bit is not the highest stored one")
    frame = b"".join(fragments(value)[1:])
    precision = layout.stored
    if syntax != RLE:
        if syntax in JPEG_2000:
            stated, frame = codestreams.jpeg_2000(frame)
        elif codestreams.is_complete_jpeg(frame):
            stated = codestreams.jpeg(frame)
        else:
            raise UnreadableInputError(DAMAGED)
        _check(stated, layout)
        precision = stated.precision
    with walled(), silent():
        if syntax in JPEG_LOSSLESS or (syntax == JPEG_EXTENDED and precision > 8):
            cells = _by_gdcm(frame, syntax, layout, precision)
        else:
            cells = _by_pydicom(frame, syntax, layout)
    if cells.size != layout.height * layout.width:
        raise UnreadableInputError(DAMAGED)
    return cells.reshape(layout.height, layout.width)


def _check(stated: codestreams.Stated, layout: Layout) -> None:
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
        "rows": layout.height,
        "columns": layout.width,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "pixel_keyword": "PixelData",
    }
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
