"""Progress of a plan: what is being done, and about how long the rest still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

Report = Callable[[int, int, str], None]
_FIRST = 3  # units after which the rest is estimated, where nothing is known before
_TRUST = 30.0  # seconds for which an estimate that was made before stands against what is seen


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
        self._in_seconds = False
        self._text = ""

    def expect(self, costs: Sequence[float], *, seconds: bool = False) -> None:
        """State what is to come.

        Args:
            costs: for each unit about how much it is, in any unit of measure.
            seconds: whether they are seconds on this machine, so that the rest is estimated from the beginning.
        """
        self._ended, self._total, self._left = 0, len(costs), sum(costs)
        self._spent, self._since, self._in_seconds = (0, 0.0), self._clock(), seconds

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
        trust = _TRUST if self._in_seconds else 0.0
        if self._left <= 0 or cost + trust <= 0 or (units < _FIRST and not self._in_seconds):
            return ""
        seconds = (self._clock() - self._since + trust) / (cost + trust) * self._left
        minutes = round(seconds / 60)
        return f" (about {f'{minutes} min' if minutes else f'{max(round(seconds), 1)} s'} left)"
