"""Tables 1 to 4 of Shiri et al. 2024 (PRIMIS) as printed: what others published, to stand beside our figures."""

from __future__ import annotations

FIDELITY = {
    "4": ["9.35 ± 8.19", "9.35 ± 8.19", "37.63 ± 9.22", "16.86 ± 2.03", "0.48 ± 0.05", "–", "0.7306"],
    "8": ["1.07 ± 0.27", "1.07 ± 0.27", "5.06 ± 1.29", "34.29 ± 2.06", "0.95 ± 0.01", "–", "0.9991"],
    "16": ["0.71 ± 0.20", "0.71 ± 0.20", "3.08 ± 0.58", "38.48 ± 1.56", "0.98 ± 0.01", "–", "0.9999"],
}
"""Table 1: S_x to ME, MAE, RMSE, PSNR, SSIM, MS-SSIM (not printed) and R²."""
ATTACKS = {
    "U-Net": ["22.93 ± 4.67", "−0.63 ± 11.47", "29.50 ± 5.45", "18.90 ± 1.49", "0.51 ± 0.06"],
    "V-Net": ["23.60 ± 4.51", "−4.57 ± 11.47", "30.27 ± 5.26", "18.67 ± 1.45", "0.50 ± 0.06"],
    "GAN": ["21.67 ± 5.70", "4.68 ± 11.33", "27.95 ± 6.68", "19.44 ± 1.83", "0.54 ± 0.07"],
    "CycleGAN": ["31.13 ± 6.38", "5.36 ± 13.82", "40.33 ± 7.12", "16.16 ± 1.32", "0.36 ± 0.04"],
}
"""Table 4: attack to MAE, ME, RMSE, PSNR and SSIM."""
SETS = ("4", "8", "16", "orig.")
"""Training and test sets in the order of the rows; S_x as in the paper, that is 2 × S_x nonzeros a code vector."""
OURS = {"4": "primis:4", "8": "primis:8", "16": "primis:16", "orig.": "original"}
"""Which of our sets stands beside which; our S is the number of all nonzeros of a code vector."""
TASKS = {
    "T1": "kermany/all",
    "T2": "kermany/bacterial_pneumonia-vs-viral_pneumonia",
    "T5": "kermany/normal-vs-rest",
    "T6": "kermany/normal-vs-viral_pneumonia",
    "T7": "kermany/normal-vs-bacterial_pneumonia",
    "T3": "across data sets, covid19/viral_pneumonia-vs-covid19",
    "T4": "across data sets, covid19/others-vs-covid19",
    "T8": "across data sets, covid19/normal-vs-covid19",
}
_COLUMNS = ("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8")
_AUC = """
0.93 0.85 0.98 0.94 0.99 0.99 0.96 0.93
0.86 0.78 0.98 0.92 0.98 0.99 0.92 0.86
0.83 0.75 0.97 0.88 0.98 0.99 0.90 0.83
0.83 0.73 0.97 0.89 0.98 0.99 0.88 0.82
0.86 0.85 0.99 0.95 0.96 0.99 0.91 0.97
0.91 0.85 0.99 0.95 0.99 0.99 0.96 0.98
0.89 0.87 0.99 0.94 0.98 0.99 0.96 0.98
0.88 0.86 0.99 0.95 0.98 0.99 0.95 0.97
0.85 0.80 0.98 0.90 0.94 0.99 0.89 0.97
0.91 0.79 0.98 0.92 0.98 0.99 0.97 0.97
0.93 0.82 0.98 0.92 0.99 0.99 0.98 0.98
0.93 0.82 0.98 0.93 0.99 0.99 0.97 0.97
0.84 0.89 0.96 0.94 0.92 0.97 0.81 0.84
0.90 0.84 0.97 0.95 0.98 0.99 0.94 0.92
0.92 0.85 0.97 0.95 0.99 0.99 0.95 0.93
0.92 0.85 0.97 0.96 0.99 0.99 0.95 0.93
"""
_DICE = """
0.94 0.88 0.10 0.02 0.14 1.21
0.94 0.88 0.10 0.02 0.14 1.21
0.93 0.88 0.10 0.02 0.14 1.23
0.93 0.88 0.10 0.02 0.15 1.30
0.93 0.88 0.10 0.03 0.13 1.20
0.94 0.89 0.10 0.01 0.12 1.02
0.94 0.89 0.10 0.01 0.12 1.02
0.94 0.89 0.10 0.01 0.12 1.02
0.92 0.85 0.08 0.08 0.19 1.82
0.94 0.89 0.09 0.02 0.12 1.10
0.94 0.89 0.09 0.02 0.12 1.07
0.94 0.90 0.08 0.02 0.11 1.06
0.93 0.87 0.08 0.06 0.17 1.59
0.94 0.90 0.09 0.02 0.11 0.99
0.94 0.90 0.09 0.02 0.11 1.04
0.94 0.90 0.09 0.02 0.11 1.03
"""
DICE_COLUMNS = ("dice", "jaccard", "false_negative_rate", "false_positive_rate", "padded_mean", "padded_sd")
"""Our measures that stand beside the printed ones. Units and definitions are not printed: the distances are probably
averages over lists padded with zeros, so ours of that kind are named."""


def _cells(text: str, columns: tuple[str, ...]) -> dict[tuple[str, str], dict[str, str]]:
    rows = [line.split() for line in text.split("\n") if line]
    places = [(train, test) for train in SETS for test in SETS]
    return {place: dict(zip(columns, row, strict=True)) for place, row in zip(places, rows, strict=True)}


AUC = _cells(_AUC, _COLUMNS)
"""(train, test) to task to AUC, as printed; test sets of at least about 244 images, one run, no intervals."""
SEGMENTATION = _cells(_DICE, DICE_COLUMNS)
"""(train, test) to measure to mean, as printed; about 140 test images."""
