"""Small masked pictures by formula, and what PyRadiomics 3.0.1 says of them (tests/vectors/radiomics.json).

To make the file anew, in an environment that has PyRadiomics beside medveil:
`python -m tests.tasks.radiomics_golden tests/vectors/radiomics.json`
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np

from medveil.metrics.radiomics.discretise import Bins, Width
from medveil.metrics.radiomics.table import NAMES

VECTORS = Path(__file__).parents[1] / "vectors" / "radiomics.json"
SETTINGS = {"bins-64": Bins(64), "bins-16": Bins(16), "width-25": Width(25.0), "width-3.3": Width(3.3)}


def cases():
    """Name to picture (H, W) float64 and mask (H, W) bool; whole numbers only, so that every machine has the same."""
    rows, columns = np.mgrid[:36, :41]
    round_mask = (rows - 17) ** 2 * 5 + (columns - 20) ** 2 * 4 < 1100
    rough = (rows * 7919 + columns * 104729 + rows * columns * 31) % 251
    smooth = 3 * rows + 2 * columns + (rows * 13 + columns * 7 + rows * columns) % 9
    holes = (rows * 5 + columns * 3 + rows * columns) % 11 > 6
    return {
        "rough": (rough.astype(np.float64), round_mask),
        "smooth": (smooth.astype(np.float64), round_mask),
        "smooth-below-zero": (smooth / 4 - 20.5, round_mask),
        "rough-scattered": (rough.astype(np.float64), holes & (rows > 2)),
        "flat": (np.full(rows.shape, 57.0), round_mask),
        "two-levels": (np.where(rough > 100, 200.0, 10.0), round_mask),
        "rough-diagonal": (rough.astype(np.float64), (rows == columns) & (rows < 9)),
        "smooth-few": (smooth.astype(np.float64), (rows < 4) & (columns < 3) & (rows != columns)),
    }


def by_pyradiomics(picture, mask, setting):
    """(93,) what PyRadiomics says, in the order of NAMES; with its own settings but for the discretisation."""
    import SimpleITK
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    how = {"binCount": setting.count} if isinstance(setting, Bins) else {"binWidth": setting.width}
    extractor = featureextractor.RadiomicsFeatureExtractor(additionalInfo=False, **how)
    extractor.disableAllFeatures()
    for kind in ("firstorder", "glcm", "glszm", "glrlm", "ngtdm", "gldm"):
        extractor.enableFeatureClassByName(kind)
    # It refuses a mask without any 0.
    picture, mask = np.pad(picture, 1), np.pad(mask.astype(np.uint8), 1)
    found = extractor.execute(SimpleITK.GetImageFromArray(picture), SimpleITK.GetImageFromArray(mask))
    return np.array([float(np.real(found[f"original_{name}"])) for name in NAMES])


def main(path):
    """Writes the golden values."""
    values = {
        f"{case} {name}": by_pyradiomics(*pair, setting).tolist()
        for case, pair in cases().items()
        for name, setting in SETTINGS.items()
    }
    made = {"by": "PyRadiomics 3.0.1", "names": list(NAMES), "values": values}
    Path(path).write_text(json.dumps(made, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
