"""Padding that hides how long a sealed record is: to a grid, to steps of 3 per cent, or to a length that is stated."""

from __future__ import annotations

from medveil.errors import IntegrityError

_MARK = b"\x80"


def to_grid(data: bytes, grid: int, overhead: int = 0) -> bytes:
    """`data`, a mark and zeros, so that its length and `overhead` together are a multiple of `grid` bytes."""
    length = -(-(len(data) + 1 + overhead) // grid) * grid - overhead
    return (data + _MARK).ljust(length, b"\x00")


def to_steps(data: bytes) -> bytes:
    """`data`, a mark and zeros, up to the next length of the series n -> n + max(16, n // 32): steps of 3 per cent."""
    return (data + _MARK).ljust(step_of(len(data) + 1), b"\x00")


def to_length(data: bytes, length: int) -> bytes:
    """`data`, a mark and zeros: `length` bytes. Raises ValueError where they have no room in it."""
    if len(data) + 1 > length:
        raise ValueError(f"{len(data)} bytes and a mark have no room in {length}")
    return (data + _MARK).ljust(length, b"\x00")


def step_of(length: int) -> int:
    """The first length of the series of `to_steps` that is at least this one."""
    step = 64
    while step < length:
        step += max(16, step // 32)
    return step


def remove(padded: bytes) -> bytes:
    """What `to_grid`, `to_steps` or `to_length` was given. Raises IntegrityError where there is no mark."""
    end = len(padded.rstrip(b"\x00"))
    if padded[end - 1 : end] != _MARK:
        raise IntegrityError("the padding of a sealed record is damaged")
    return padded[: end - 1]
