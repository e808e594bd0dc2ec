"""Progress of a plan: what is being done, and about how long the rest still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

Report = Callable[[int, int, str], None]
_FIRST = 3  # units after which the rest is estimated


class Progress:
    """Tells a caller where a run is.

    Args:
        report: called as (done, total, text); None for nobody.
        clock: seconds that only go up.
    """

    def __init__(self, report: Report | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._clock = report, clock
        self._ended = self._total = 0
        self._spent = (0, 0.0)  # units that were done now, and what they cost together
        self._left = 0.0
        self._since = 0.0
        self._text = ""

    def expect(self, costs: Sequence[float]) -> None:
        """State what is to come: for each unit about how much it is, in any unit of measure."""
        self._ended, self._total, self._left = 0, len(costs), sum(costs)
        self._spent, self._since = (0, 0.0), self._clock()

    def begin(self, text: str) -> None:
        """A unit, or something beside the units, begins."""
        self._text = text + self._remaining()
        self.tick()

    def end(self, cost: float, *, found: bool = False) -> None:
        """A unit of that cost has ended; one that was found done took no time."""
        self._ended += 1
        self._left -= cost
        if not found:
            self._spent = (self._spent[0] + 1, self._spent[1] + cost)
        self.tick()

    def tick(self) -> None:
        """Something small is done."""
        if self._report is not None:
            self._report(self._ended, self._total, self._text)

    def _remaining(self) -> str:
        units, cost = self._spent
        if units < _FIRST or cost <= 0 or self._left <= 0:
            return ""
        seconds = (self._clock() - self._since) / cost * self._left
        minutes = round(seconds / 60)
        return f" (about {f'{minutes} min' if minutes else f'{max(round(seconds), 1)} s'} left)"
