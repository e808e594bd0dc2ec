"""Opened pixels kept in memory for the next epoch: bounded, never evicted, and on Linux shared by all worker processes.

What was kept first stays. In shuffled epochs a share c of images that fit then gives a hit rate of c; throwing out the
least recently used one gives c + (1 - c) ln(1 - c), which is 0.15 where half of them fit: most are thrown out just
before they come again.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.int16))
_SLOT = np.dtype(
    [("start", "<u8"), ("height", "<u4"), ("width", "<u4"), ("dtype", "<u4"), ("pad", "<u4"), ("gain", "<f8"),
     ("offset", "<f8")]
)  # fmt: skip
_COUNTERS = 2  # bytes used, images kept
_ALIGNMENT = 64


@dataclass(frozen=True)
class Kept:
    """One opened image.

    Attributes:
        pixels: (height, width) uint8, uint16 or int16, as stored.
        gain, offset: pixels * gain + offset is what training sees.
    """

    pixels: NDArray[np.generic]
    gain: float
    offset: float


class Cache(Protocol):
    """Images by number; `put` may decline."""

    def get(self, number: int) -> Kept | None: ...

    def put(self, number: int, kept: Kept) -> None: ...

    @property
    def filling(self) -> tuple[int, int]:
        """Images that are kept, and bytes of their pixels."""
        ...


def make_cache(images: int, limit: int) -> Cache:
    """A cache of `limit` bytes of pixels: shared memory without a name where the system has it, else private memory."""
    if limit <= 0 or images == 0:
        return PrivateCache(0)
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        try:
            return SharedCache(images, limit)
        except (OSError, OverflowError, ValueError):
            pass
    return PrivateCache(limit)


class PrivateCache:
    """Of one process. A worker process has its own, of the same bound, and begins with what it was forked with."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._kept: dict[int, Kept] = {}

    def get(self, number: int) -> Kept | None:
        return self._kept.get(number)

    def put(self, number: int, kept: Kept) -> None:
        if number not in self._kept and self._used + kept.pixels.nbytes <= self._limit:
            self._used += kept.pixels.nbytes
            self._kept[number] = Kept(kept.pixels.copy(), kept.gain, kept.offset)

    @property
    def filling(self) -> tuple[int, int]:
        return len(self._kept), self._used

    def __getstate__(self) -> dict[str, Any]:
        return {"_limit": self._limit, "_used": 0, "_kept": {}}


class SharedCache:
    """Memory that the processes of a DataLoader have in common (Linux).

    It is a memfd: memory without a name in any file system, of which pages exist from when they are first written, and
    which is gone with the last process that has it. Like all memory it may be swapped out. Forked workers inherit it,
    spawned ones and those of a fork server get its descriptor when they are started. A record lock on it, which the
    system takes back from a process that dies, orders the accesses of processes.

    Raises:
        OSError: there is no such memory.
    """

    def __init__(self, images: int, limit: int) -> None:
        self._attach(os.memfd_create("medveil", os.MFD_CLOEXEC), images, limit, fresh=True)

    def _attach(self, descriptor: int, images: int, limit: int, *, fresh: bool) -> None:
        self._descriptor, self._images, self._limit = descriptor, images, limit
        self._close = weakref.finalize(self, os.close, descriptor)
        table = _COUNTERS * 8 + images * _SLOT.itemsize
        self._begin = -(-table // mmap.PAGESIZE) * mmap.PAGESIZE
        if fresh:
            os.ftruncate(descriptor, self._begin + limit)
        self._memory = mmap.mmap(descriptor, self._begin + limit)
        self._memory.madvise(mmap.MADV_DONTDUMP)  # a core dump would write it to disk
        self._counters = np.frombuffer(self._memory, "<u8", _COUNTERS)
        self._slots = np.frombuffer(self._memory, _SLOT, images, _COUNTERS * 8)
        self._thread_lock, self._process = threading.Lock(), os.getpid()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        import fcntl

        if self._process != os.getpid():  # forked while another thread of the parent may have held the lock
            self._thread_lock, self._process = threading.Lock(), os.getpid()
        with self._thread_lock:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def get(self, number: int) -> Kept | None:
        with self._alone():
            slot = self._slots[number].copy()
        if not slot["start"]:
            return None
        height, width, dtype = int(slot["height"]), int(slot["width"]), _DTYPES[int(slot["dtype"])]
        pixels = np.frombuffer(self._memory, dtype, height * width, int(slot["start"])).reshape(height, width)
        pixels.flags.writeable = False
        return Kept(pixels, float(slot["gain"]), float(slot["offset"]))

    def put(self, number: int, kept: Kept) -> None:
        pixels = np.ascontiguousarray(kept.pixels)
        room = -(-pixels.nbytes // _ALIGNMENT) * _ALIGNMENT
        with self._alone():
            used = int(self._counters[0])
            if self._slots["start"][number] or used + room > self._limit:
                return
            start = self._begin + used
            self._counters[:] = used + room, int(self._counters[1]) + 1
            np.frombuffer(self._memory, pixels.dtype, pixels.size, start)[:] = pixels.ravel()
            shape = pixels.shape
            self._slots[number] = (start, shape[0], shape[1], _DTYPES.index(pixels.dtype), 0, kept.gain, kept.offset)

    @property
    def filling(self) -> tuple[int, int]:
        with self._alone():
            return int(self._counters[1]), int(self._counters[0])

    def __getstate__(self) -> dict[str, Any]:
        from multiprocessing.reduction import DupFd

        return {"descriptor": DupFd(self._descriptor), "images": self._images, "limit": self._limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._attach(state["descriptor"].detach(), state["images"], state["limit"], fresh=False)
