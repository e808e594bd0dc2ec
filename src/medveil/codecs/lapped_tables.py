"""Budgets and thresholds of `lapped`, made by tools/calibrate_lapped.py from the train fold; not edited by hand."""

from __future__ import annotations

CELLS_PPM = (4000, 6000, 10000, 15000, 20000, 30000, 40000, 60000, 80000, 100000, 135000, 200000, 300000)
THRESHOLDS = (194, 178, 164, 153, 145, 133, 120, 99, 65, 38, 7, 1)
FREE_THRESHOLDS = tuple(range(216, 0, -9))
BUDGETS = {
    4000: ((875000, 826000, 741000, 609000, 464000, 319000, 193000, 101000, 41800, 15600, 5800, 1800, 500), 122, 1000),
}
DEEP = {
    4000: ((990000, 980000, 960000, 950000, 900000, 850000, 800000, 700000, 600000, 500000, 300000, 150000, 50000), 1500, 896),
}
