"""Padding that hides how long a sealed record is: to a grid, or to steps of 3 per cent."""

from __future__ import annotations

from medveil.errors import IntegrityError

_MARK = b"\x80"


def to_grid(data: bytes, grid: int, overhead: int = 0) -> bytes:
    """`data`, a mark and zeros, so that its length and `overhead` together are a multiple of `grid` bytes."""
    length = -(-(len(data) + 1 + overhead) // grid) * grid - overhead
    return (data + _MARK).ljust(length, b"\x00")


def to_steps(data: bytes) -> bytes:
    """`data`, a mark and zeros, up to the next length of the series n -> n + max(16, n // 32): steps of 3 per cent."""
    length = 64
    while length < len(data) + 1:
        length += max(16, length // 32)
    return (data + _MARK).ljust(length, b"\x00")


def remove(padded: bytes) -> bytes:
    """What `to_grid` or `to_steps` was given. Raises IntegrityError where there is no mark."""
    end = len(padded.rstrip(b"\x00"))
    if padded[end - 1 : end] != _MARK:
        raise IntegrityError("the padding of a sealed record is damaged")
    return padded[: end - 1]
