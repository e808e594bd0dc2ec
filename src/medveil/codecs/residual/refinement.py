"""What a base code tells the coder of the code that refines it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.lapped.scan_order import ZoneCells, in_order
from medveil.codecs.lapped.significance import CAP
from medveil.codecs.lapped.transform import STRIDE


@dataclass(frozen=True)
class Refinement:
    """Magnitudes of the cells of a code that holds what a base left over; integers only.

    What is around a cell predicts its significance by base and remainder together: the remainders of what the base
    holds look alike whatever the picture. Without this an encrypted code is 1 % longer.

    Attributes:
        zones: coefficients of the base, zone by zone, in units of 1/64 grey value.
        step: of the code that refines it, in the same units.
    """

    zones: list[NDArray[np.int32]]
    step: int

    @classmethod
    def of(cls, coefficients: NDArray[np.int32], step: int) -> Refinement:
        """That of a base with these coefficients (256, rows, columns)."""
        return cls(in_order(coefficients.reshape(STRIDE, STRIDE, *coefficients.shape[1:])), step)

    def magnitudes(self, cells: ZoneCells, levels: NDArray[np.int32] | None) -> NDArray[np.int32]:
        """Magnitudes of base and remainder together, in steps, halves up, capped as the prediction takes them.

        Args:
            cells: of a zone.
            levels: their signed levels, in the zone's own order; None where all are 0.
        """
        totals = self.zones[cells.index].astype(np.int64)
        if levels is not None:
            totals += levels.astype(np.int64) * self.step
        totals = np.abs(totals)
        magnitudes: NDArray[np.int32] = np.minimum((totals + self.step // 2) // self.step, CAP).astype(np.int32)
        return magnitudes
