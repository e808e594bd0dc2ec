"""Limits that hold before anything is allocated, and the wall around other people's decoders."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from medveil.errors import MedveilError, UnreadableInputError, UnsupportedInputError

MAX_PIXELS = 1 << 28
MAX_SIDE = 1 << 20
MAX_METADATA_BYTES = 64 << 20
MAX_FILE_BYTES = 2 * (2 * MAX_PIXELS + MAX_METADATA_BYTES)

DAMAGED = "the file is truncated or damaged"
_LOGGERS = ("PIL", "pydicom", "pylibjpeg", "openjpeg", "jpeg_ls", "rle")


def check_size(height: int, width: int) -> None:
    """Refuse sizes that no grey image of this package has.

    Raises:
        UnreadableInputError: a side is zero or negative.
        UnsupportedInputError: a side or the area is beyond the limit.
    """
    if height < 1 or width < 1:
        raise UnreadableInputError("the header states an image without pixels")
    if height > MAX_SIDE or width > MAX_SIDE or height * width > MAX_PIXELS:
        raise UnsupportedInputError(f"the header states more than {MAX_PIXELS} pixels, or a side over {MAX_SIDE}")


def check_metadata(length: int) -> None:
    """Refuse attributes that are larger than any honest file has.

    Raises:
        UnsupportedInputError: over 64 MiB.
    """
    if length > MAX_METADATA_BYTES:
        raise UnsupportedInputError(f"more than {MAX_METADATA_BYTES >> 20} MiB of attributes beside the pixels")


@contextlib.contextmanager
def walled(message: str = DAMAGED) -> Iterator[None]:
    """Run a foreign decoder: its warnings and log lines (they may quote values) go nowhere, and whatever it raises
    becomes one UnreadableInputError with `message`, without the original text and without a chained exception.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.handlers, logger.propagate = [logging.NullHandler()], False
            yield
    except MedveilError:
        raise
    except MemoryError:
        raise UnsupportedInputError("there is not enough memory for this image") from None
    except Exception:  # noqa: BLE001 - decoders raise anything
        raise UnreadableInputError(message) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what a decoder written in Rust raises
            raise
        raise UnreadableInputError(message) from None
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Send the process's standard error nowhere: libtiff, gdcm and Rust print there, past Python."""
    if sys.stderr is not None:
        sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a process without standard error prints nothing anyway
            kept = os.dup(2)
            stack.callback(os.close, kept)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
            os.dup2(nowhere, 2)
            stack.callback(os.dup2, kept, 2)
        yield
