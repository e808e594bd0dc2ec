"""JPEG-LS (ISO 14495-1), lossless, one component: the yardstick that `exact` falls back to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, MissingDependencyError, UnreadableInputError
from medveil.images import compressed_headers

_LARGEST_SIDE = 65535
"""The frame header has 16 bits for each side."""
_PROCESS_BYTES, _PROCESS_BYTES_A_PIXEL = 3 << 27, 16
_PROCESS_SECONDS = 60
_END = b"\xff\xd9"
_DAMAGED = "the JPEG-LS codestream of an exact section cannot be decoded"


def encode(samples: NDArray[np.uint16], precision: int) -> bytes | None:
    """Codestream of (height, width) samples of [0, 2**precision), precision 8 to 16.

    None where there is none: a side beyond 65535, or noise that takes more room than CharLS sets aside for it.
    """
    import jpeg_ls

    height, width = samples.shape
    if max(height, width) > _LARGEST_SIDE:
        return None
    raw = samples.astype("<u2" if precision > 8 else "u1").tobytes()
    try:
        return bytes(jpeg_ls.encode_buffer(raw, height, width, 1, precision))
    except RuntimeError:
        return None


def decode(data: bytes, shape: tuple[int, int], precision: int) -> NDArray[np.uint16]:
    """Samples of a codestream that `encode` made for this shape and precision; decoded in a process of its own.

    Raises:
        IntegrityError: `encode` would not write these bytes.
        MissingDependencyError: pyjpegls is not installed.
    """
    if not data.endswith(_END):  # CharLS looks for the end for seconds
        raise IntegrityError(_DAMAGED)
    try:
        stated = compressed_headers.jpeg(data)
    except UnreadableInputError:
        raise IntegrityError(_DAMAGED) from None
    if (stated.height, stated.width, stated.precision, stated.components) != (*shape, precision, 1):
        raise IntegrityError("the JPEG-LS codestream of an exact section is not of the image's size and depth")
    cell = np.dtype("<u2" if precision > 8 else "u1")
    raw = _in_a_process(data, shape[0] * shape[1])
    if len(raw) != shape[0] * shape[1] * cell.itemsize:
        raise IntegrityError(_DAMAGED)
    samples = np.frombuffer(raw, cell).reshape(shape).astype(np.uint16)
    if int(samples.max()) >> precision or encode(samples, precision) != data:
        raise IntegrityError("the JPEG-LS codestream of an exact section is not the canonical one")
    return samples


def _in_a_process(data: bytes, pixels: int) -> bytes:
    from medveil.codecs.residual import jpegls_process

    memory = _PROCESS_BYTES + _PROCESS_BYTES_A_PIXEL * pixels
    command = [sys.executable, "-P", str(Path(jpegls_process.__file__)), str(memory)]
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(  # noqa: S603 - our own script; the number is an integer
            command,
            input=data,
            capture_output=True,
            timeout=_PROCESS_SECONDS + pixels / 1e5,
            check=False,
            env=os.environ | single,
        )
    except subprocess.TimeoutExpired:
        raise IntegrityError(_DAMAGED) from None
    if done.returncode == jpegls_process.MISSING:
        raise MissingDependencyError("this image needs a JPEG-LS decoder", hint="pip install pyjpegls")
    if done.returncode:
        raise IntegrityError(_DAMAGED)
    return done.stdout
