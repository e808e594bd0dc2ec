"""The one driver of worker processes: a function over many items, in this process or in several.

Share, open and rotate go through it. What each item needs besides itself, keys too, is handed to a worker once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

from medveil.errors import InputError, MedveilError
from medveil.files.core_dumps import are_dumped, no_core_dumps

PARALLEL_FROM = 4  # items; below that, starting processes costs more than it saves
_AHEAD = 16  # items a worker that are begun or done and not yet taken, so that what is done never piles up
_Setting = TypeVar("_Setting")
_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


INPUT_ERRORS = (
    MedveilError, MemoryError, ArithmeticError, ValueError, TypeError, LookupError, OSError, RecursionError,
)  # fmt: skip
"""What an input may end in that is damaged in a way that nobody thought of; the other inputs go on."""


@dataclass(frozen=True)
class Failure:
    """An input or a package that could not be used.

    Attributes:
        number: its number in messages.
        path: where it is; for the user's own list, never for messages.
        error_class, message: what went wrong.
        mistyped: the user named a path at which there is nothing; the message says which of those that she named.
    """

    number: int
    path: str
    error_class: str
    message: str
    mistyped: bool = False

    @classmethod
    def of(cls, number: int, path: Path, error: Exception) -> Failure:
        """What became of an input: medveil's own error in its words, any other by its class alone."""
        if isinstance(error, MedveilError):
            return cls(number, str(path), type(error).__name__, error.message)
        return cls(number, str(path), InputError.__name__, f"it could not be processed ({type(error).__name__})")


def done_by_workers(
    work: Callable[[_Setting, _Item], _Done], setting: _Setting, items: Sequence[_Item], jobs: int
) -> Iterator[_Done]:
    """What `work(setting, item)` gives for each item, in their order.

    Args:
        work: a function of a module; what it raises ends the whole, and items that are not begun are left.
        setting: what it needs for every item.
        items: one after the other.
        jobs: worker processes; 0 for one a core.

    Raises:
        MedveilError: a worker was killed, as systems do that run out of memory.
    """
    workers = min(jobs or os.cpu_count() or 1, len(items))
    if workers <= 1 or len(items) < PARALLEL_FROM:
        yield from (work(setting, item) for item in items)
        return
    pool = _pool(workers, work, setting)
    waiting: deque[Future[_Done]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(_work, item))
            if len(waiting) == _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise MedveilError(
            "a worker process ended before its work did, perhaps for lack of memory; what was done so far is kept",
            hint="run the same command again with fewer --jobs; open needs --force over the files that it wrote",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pool(workers: int, work: Callable[..., Any], setting: object) -> ProcessPoolExecutor:
    """Worker processes; freshly started ones of one thread each where torch is loaded here.

    A process that is forked off one in which torch has computed waits for ever at its first computation: the threads of
    the parent's OpenMP pool don't come along. And workers with a thread for each core keep each other from working.
    Without torch the way to start processes is Python's own of this system, or the one that the caller has set.
    """
    alone = "torch" in sys.modules
    context = multiprocessing.get_context("spawn") if alone else None
    begin = (alone, not are_dumped(), work, setting)
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=begin)


_given: list[tuple[Callable[..., Any], object]] = []  # of this worker: what it does, and with what


def _begin(alone: bool, undumped: bool, work: Callable[..., Any], setting: object) -> None:
    if undumped:  # as the process that asks; one that is started anew has to say so again
        no_core_dumps()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the program's own handling is for the process that asks
    if alone:  # torch, not loaded yet, will compute in one thread
        os.environ["OMP_NUM_THREADS"] = "1"
    end_with_parent()
    _given[:] = [(work, setting)]


def _work(item: object) -> Any:
    work, setting = _given[0]
    return work(setting, item)


def end_with_parent() -> None:
    """In a worker process: end when the process that asked for it has, so that a killed command leaves nobody at work.

    With a fork server that one is not the parent that the system knows.
    """
    asking = multiprocessing.parent_process()
    if asking is None:
        return

    def watch() -> None:
        wait([asking.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
