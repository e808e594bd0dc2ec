"""The releases of the locks: invented patients, packed once and stored, so that nothing in them is drawn anew.

What `share` writes may change without a lock turning red: a release of today opens for ever (docs/format.md).
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from tests.pictures import picture

LEVELS = ("sealed", "encrypted", "obfuscated")
STORED = Path(__file__).resolve().parent / "releases.zip"
KEY, ORIGINALS, MANIFEST = "owner.key", "images", "manifest.csv"
_PATIENTS, _WITH_TWO, _SIDE, _QUALITY_DB = 10, 2, 64, 30.0
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def unpacked(folder: Path) -> Path:
    """The stored key, originals, masks, manifest and one release a level, unpacked into a folder."""
    with zipfile.ZipFile(STORED) as file:
        file.extractall(folder)
    (folder / KEY).chmod(0o600)
    return folder


def make(folder: Path) -> None:
    """Make all of them anew, in an empty folder, and store them."""
    from medveil.keys.identity import generate
    from medveil.keys.tiers import Tier
    from medveil.releases.settings import ShareSettings
    from medveil.releases.sharing import share

    _write_images(folder)
    owner = generate(folder / KEY)
    for level in LEVELS:
        tiers = () if level == "obfuscated" else (Tier.PREVIEW,)
        settings = ShareSettings(protection=level, quality=_QUALITY_DB, tiers=tiers, jobs=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(folder.parent / "state"))
            share([folder / ORIGINALS], folder / level, settings, owner=owner)
    with zipfile.ZipFile(STORED, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _FIRST_DAY)
            file.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _write_images(folder: Path) -> None:
    """One or two images a patient with a label and a mask; bright in the middle are those with pneumonia."""
    rows = []
    for patient in range(_PATIENTS):
        for number in range(1 + (patient < _WITH_TWO)):
            name = f"p{patient}-{number}.png"
            ill = patient % 2 == 0
            pixels = picture(10 * patient + number, _SIDE, _SIDE) // 2
            pixels[20:40, 20:40] += np.uint8(60 * ill)
            mask = np.zeros((_SIDE, _SIDE), np.uint8)
            mask[10 : 50 - patient % 7, 12 : 44 + patient % 5] = 255
            for where, plane in ((ORIGINALS, pixels), ("masks", mask)):
                (folder / where).mkdir(exist_ok=True)
                Picture.fromarray(plane).save(folder / where / name)
            label, view = "pneumonia" if ill else "normal", "AP" if patient % 3 == 0 else "PA"
            rows.append((f"{ORIGINALS}/{name}", f"patient {patient}", "north", view, label, f"masks/{name}"))
    text = io.StringIO()
    csv.writer(text).writerows([("image", "patient_id", "source", "view", "label", "mask"), *rows])
    (folder / MANIFEST).write_text(text.getvalue())
