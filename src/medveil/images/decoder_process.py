"""Files of others are decoded in a process that holds nothing: no keys, no names, no other picture.

Decoders in C and Rust (Pillow's, OpenJPEG, CharLS, gdcm) meet bytes that anybody may have made. Here they do so in a
process of their own, one for each process that asks, kept for its next file: it gets the bytes of a file and gives an
image, or an error. What comes back is looked at as bytes of a stranger are. One that crashes, or is killed for want of
memory, is one input that failed; the next file gets a new one.

On the wire, both ways: 8 bytes of length, then so many bytes. A question is the file. An answer is a length of 8 bytes,
JSON of that length, the two records, and the pixels.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np

from medveil.errors import InputError, MedveilError, MissingDependencyError, UnreadableInputError, UnsupportedInputError
from medveil.images.bounds import DAMAGED, MAX_FILE_BYTES, MAX_METADATA_BYTES, MAX_PIXELS
from medveil.images.formats import content, read_bytes
from medveil.images.image import FileKind, Image, Source, pixel_type

_BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from medveil.images.decoder_process import serve; serve()"
_LENGTH = 8
_MAX_ANSWER = 8 * MAX_PIXELS + 4 * MAX_METADATA_BYTES
_MAX_WORDS = 2000  # characters of a message or a note
_ERRORS = {kind.__name__: kind for kind in (UnreadableInputError, UnsupportedInputError, MissingDependencyError)}


def read_apart(path: str | os.PathLike[str]) -> Image:
    """As `read`, but the file's bytes are decoded in a process without keys.

    Raises:
        UnreadableInputError, UnsupportedInputError, MissingDependencyError: as `read`; unreadable, too, where the
            process ended over the file.
    """
    data = content(Path(path))
    with _lock:
        answer = _ours().ask(data)
    try:
        return _image(answer)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        raise UnreadableInputError(DAMAGED) from None


class _Decoder:
    """A process that decodes, and the pipes to it; `owner` is the process that may ask it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _BEGIN, *filter(None, sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | single,
        )  # fmt: skip

    def ask(self, data: bytes) -> bytearray:
        """What it answers to a file. Raises UnreadableInputError where it ends before it has."""
        process = self._process
        try:
            if process.stdin is None or process.stdout is None:
                raise EOFError
            _send(process.stdin, data)
            return _received(process.stdout, _MAX_ANSWER)
        except (OSError, EOFError, ValueError):
            self.end()
            raise UnreadableInputError(
                "the process that decodes pictures ended over it: it is damaged, hostile, or too large for the memory"
            ) from None
        except BaseException:  # in the middle of an answer: the next question must not meet the rest of it
            self.end()
            raise

    @property
    def ended(self) -> bool:
        return self.owner != os.getpid() or self._process.poll() is not None

    def end(self) -> None:
        """End the process, if it is this one's."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


_lock = threading.Lock()
_decoders: list[_Decoder] = []  # the one of this process, once there is one


def _ours() -> _Decoder:
    if not _decoders or _decoders[0].ended:
        others = [
            each for each in _decoders if each.owner != os.getpid()
        ]  # of the process that this one was forked off
        _decoders[:] = [_Decoder(), *others]
    return _decoders[0]


@atexit.register
def _end() -> None:
    for decoder in _decoders:
        decoder.end()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def serve() -> None:
    """What the process does: answer until nobody asks any more."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asked decides what an interruption means
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints must not get into an answer
    asked = sys.stdin.buffer
    with contextlib.suppress(EOFError, OSError):
        while True:
            for part in _answer(bytes(_received(asked, MAX_FILE_BYTES))):
                answers.write(part)
            answers.flush()


def _answer(data: bytes) -> list[bytes]:
    parts: list[bytes] = []
    try:
        image = read_bytes(data)
        parts = [image.source.pixel_record, image.source.identity_record, image.frames.astype(_wire(image)).tobytes()]
        told: dict[str, Any] = {
            "shape": image.frames.shape, "bits": image.bits_stored, "signed": image.signed,
            "kind": image.source.kind.value, "records": [len(part) for part in parts[:2]], "spacing": image.spacing_mm,
            "rescale": image.rescale, "padding": image.padding, "notes": image.notes,
        }  # fmt: skip
    except MedveilError as error:
        told = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except (MemoryError, ArithmeticError, ValueError, TypeError, LookupError, RecursionError) as error:
        text = f"it could not be processed ({type(error).__name__})"
        parts, told = [], {"error": InputError.__name__, "message": text, "hint": ""}
    head = json.dumps(told).encode()
    length = _LENGTH + len(head) + sum(map(len, parts))
    return [length.to_bytes(_LENGTH, "little"), len(head).to_bytes(_LENGTH, "little"), head, *parts]


def _wire(image: Image) -> np.dtype[np.generic]:
    return image.frames.dtype.newbyteorder("<")


def _image(answer: bytearray) -> Image:
    """The image of an answer, or the error. Raises ValueError, TypeError or LookupError where it makes no sense."""
    start = _LENGTH + int.from_bytes(answer[:_LENGTH], "little")
    if start > len(answer):
        raise ValueError("head")
    told = json.loads(answer[_LENGTH:start])
    if "error" in told:
        kind = _ERRORS.get(told["error"], InputError)
        raise kind(_words(told["message"]), hint=_words(told["hint"]))
    shape, signed, bits = tuple(map(int, told["shape"])), bool(told["signed"]), int(told["bits"])
    first, second = map(int, told["records"])
    stored = pixel_type(bits, signed=signed)
    pixels = start + first + second
    if min(*shape, first, second) < 0 or len(answer) - pixels != stored.itemsize * int(np.prod(shape, dtype=np.uint64)):
        raise ValueError("length")
    frames = np.frombuffer(answer, stored.newbyteorder("<"), offset=pixels).reshape(shape)
    records = bytes(answer[start : start + first]), bytes(answer[start + first : pixels])
    low_high = [int(value) for value in told["padding"] or ()]
    across = [float(value) for value in told["spacing"] or ()]
    slope, intercept = map(float, told["rescale"])
    notes = tuple(_words(note) for note in told["notes"])
    return Image(
        frames.astype(stored, copy=False), bits, Source(FileKind(told["kind"]), *records), notes=notes,
        spacing_mm=(across[0], across[1]) if across else None, rescale=(slope, intercept),
        padding=(low_high[0], low_high[1]) if low_high else None,
    )  # fmt: skip


def _words(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text[:_MAX_WORDS])


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(len(data).to_bytes(_LENGTH, "little"))
    pipe.write(data)
    pipe.flush()


def _received(pipe: IO[bytes], limit: int) -> bytearray:
    """The bytes that come next. Raises EOFError where there are fewer, ValueError where there would be too many."""
    length = int.from_bytes(_exactly(pipe, _LENGTH), "little")
    if length > limit:
        raise ValueError("length")
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        count = pipe.readinto(rest)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        rest = rest[count:]
    return data
