"""Progress of an audit: what is running, and about how long all of it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

Report = Callable[[int, int, str], None]
_FIRST = 3  # parts of work after which the rest is estimated


class Progress:
    """Tells a caller where an audit is.

    Args:
        report: called as (done, total, text); None for nobody.
        clock: seconds that only go up.
    """

    def __init__(self, report: Report | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._weights: Sequence[float] = ()
        self._done = 0
        self._spent = 0.0
        self._measured = (0, 0.0)  # parts that were measured, and their weight
        self._text = ""

    def plan(self, weights: Sequence[float]) -> None:
        """State what is to come: for each part of the work about how much it is, in any unit."""
        self._weights = weights

    def begin(self, text: str) -> float:
        """A part of the work begins; returns the moment."""
        self._text = text + self._remaining()
        self.tick()
        return self._clock()

    def end(self, since: float | None) -> None:
        """That part is done; since None where it was found done and took no time."""
        if since is not None and self._done < len(self._weights):
            self._spent += self._clock() - since
            self._measured = (self._measured[0] + 1, self._measured[1] + self._weights[self._done])
        self._done += 1
        self.tick()

    def tick(self) -> None:
        """Something small is done."""
        if self._report is not None:
            self._report(min(self._done, len(self._weights)), len(self._weights), self._text)

    def _remaining(self) -> str:
        parts, weight = self._measured
        left = sum(self._weights[self._done :])
        if parts < _FIRST or not weight or not left:
            return ""
        seconds = self._spent / weight * left
        minutes = round(seconds / 60)
        return f" (about {f'{minutes} min' if minutes else f'{max(round(seconds), 1)} s'} left)"
