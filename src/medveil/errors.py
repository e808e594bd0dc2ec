"""The one error hierarchy, and the exit codes of the command line: every error carries the one that it ends with.

Beside them: 0, all is done; 3, some inputs failed and the others are done; 130, interrupted (`cli.session`).

A message says what was wrong, with which value, and what is allowed; the hint says what to do next. Never in either: a
patient's value, a path or a name of an input, a secret. A wrong key, a damaged file and a foreign file are three
errors, except where a secret key worked on unsigned bytes: there it is one.
"""

from __future__ import annotations

from typing import ClassVar


class MedveilError(Exception):
    """Base of every error that medveil raises on purpose.

    Args:
        message: what was wrong, with which value, and what is allowed. Never a patient's value or a user's path.
        hint: what to do next; printed on a line of its own.

    >>> error = MedveilError("a quality is 30 to 50 dB", hint="leave it out for 40")
    >>> error.message, error.hint, error.exit_code
    ('a quality is 30 to 50 dB', 'leave it out for 40', 1)
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[MedveilError], message: str, hint: str) -> MedveilError:
    return kind(message, hint=hint)


class TargetExistsError(MedveilError):
    """Something of the user's is already at the place that was to be written."""


class NoRoomError(MedveilError):
    """More would be written than is free, or than was allowed. Nothing of it was written."""


class NotKeptError(MedveilError):
    """A finished part of a long run could not be written: to go on would lose more."""


class UsageError(MedveilError):
    """The request itself does not make sense: an unknown name, a value out of range, nothing found."""

    exit_code = 2


class InputError(MedveilError):
    """One input cannot be used. The other inputs go on."""

    exit_code = 3


class UnreadableInputError(InputError):
    """The file is empty, truncated, damaged, a link out of the folder, or may not be read."""


class UnsupportedInputError(InputError):
    """The file is sound, and of a kind that medveil does not take (colour, multi-frame, volume …)."""


class QualityError(InputError):
    """The image came out below the quality that --min-quality or --max-rmse asked for."""


class NoFittingKeyError(MedveilError):
    """The identity opens nothing here: the release was not granted to it."""

    exit_code = 10


class KeyFileError(NoFittingKeyError):
    """A key file is damaged, readable by others, or not a key file."""


class IntegrityError(MedveilError):
    """Bytes are not those that the owner signed: changed, missing, foreign or rolled back."""

    exit_code = 11


class FormatVersionError(MedveilError):
    """The file is of a newer or unknown format version."""

    exit_code = 12


class ThresholdPassedError(MedveilError):
    """An audit found more than its gate lets through. The report is written."""

    exit_code = 13


class RefusedError(MedveilError):
    """Refused for safety: nothing was read or written. The hint names the option that says it is meant."""

    exit_code = 14


class MissingDependencyError(MedveilError):
    """An optional dependency or a weights file that this request needs is not installed."""

    exit_code = 20
