"""Budgets and thresholds of `lapped`, made by tools/calibrate_lapped.py from the train fold. Do not edit by hand."""

from __future__ import annotations

CELLS_PPM = (4000, 6000, 10000, 15000, 20000, 30000, 40000, 60000, 80000, 100000, 135000, 200000, 300000)
THRESHOLDS = (200, 185, 170, 160, 150, 140, 130, 115, 100, 85, 70, 50)
# quality in centi-dB: nonzeros of each map in ppm of its cells, level bits in thousandths of a bit a nonzero
BUDGETS = {
    4000: ((960000, 900000, 800000, 650000, 500000, 400000, 280000, 180000, 100000, 50000, 20000, 8000, 1000), 105, 896),
}
DEEP = {
    4000: ((990000, 980000, 960000, 950000, 900000, 850000, 800000, 700000, 600000, 500000, 300000, 150000, 50000), 1500, 896),
}
