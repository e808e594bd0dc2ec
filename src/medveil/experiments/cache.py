"""ByteCache: values that take long to make, kept in memory while they fit into a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteCache(Generic[Key, Value]):
    """Values by key; the one unused longest goes first. The one that was made last stays, however large it is.

    Threads may share a cache: a value is made once, and one after the other.

    Args:
        limit: bytes that the values may take up together.
        size: how many bytes a value takes up.
    """

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        self._limit, self._size = limit, size
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._held = 0
        self._lock = RLock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, from memory or made now. What `make` raises is raised, and nothing is kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            value = make()
            self._values[key] = value
            self._held += self._size(value)
            while self._held > self._limit and len(self._values) > 1:
                self._held -= self._size(self._values.popitem(last=False)[1])
            return value
