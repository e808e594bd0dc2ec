"""What the reader raises for bytes that the format does not allow."""

from __future__ import annotations


class RefusedError(ValueError):
    """The bytes break a rule of the format."""


def require(holds: bool, rule: str) -> None:
    """Raise RefusedError, naming the rule, unless it holds."""
    if not holds:
        raise RefusedError(rule)


class OtherKeyError(RefusedError):
    """Nothing here is for the key."""


class OtherFormatError(RefusedError):
    """The bytes say that they are of another format than 1."""


class NotSupportedError(Exception):
    """The bytes are well formed, and of a kind that this reader leaves out."""
