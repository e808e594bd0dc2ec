"""Core dumps: the memory of a process that crashed, which systems write to the disk or hand to a crash reporter."""

from __future__ import annotations

import contextlib
import sys

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4  # linux/prctl.h


def no_core_dumps() -> None:
    """Let the system keep no memory of this process, keys and pictures among it, when it crashes.

    The limit on core dumps is set to nothing, which processes that this one starts inherit, and on Linux the process is
    marked as one that is not dumped, since a reporter that dumps are piped to does not ask for the limit. Other
    processes of the same user can no longer read its memory either, debuggers among them. Windows has no such limits;
    there it does nothing. The program does this; who imports medveil decides for their own process.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)


def are_dumped() -> bool:
    """Whether a crash of this process would be dumped, as far as the system says."""
    try:
        import resource
    except ImportError:
        return True
    limited = resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    return not limited or (sys.platform == "linux" and _prctl(_PR_GET_DUMPABLE, 0) == 1)


def _prctl(option: int, value: int) -> int:
    try:
        import ctypes

        return int(ctypes.CDLL(None).prctl(option, value, 0, 0, 0))
    except (ImportError, OSError, AttributeError):
        return -1
