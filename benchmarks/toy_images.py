"""An invented stand-in for the folder of real images: chest-like pictures and CT slices, the same for the same seed.

Small and many enough that every benchmark runs on it, so that a canary needs no real image. What a benchmark finds here
means nothing; that it finds the same as before means much.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

SEED = 7
_COLUMNS = ("image", "mask", "full", "patient_id", "label", "view", "source", "split", "fold")
_PEOPLE = (("kermany", "train", 32, 1), ("kermany", "val", 4, 1), ("kermany", "test", 24, 1), ("nih", "train", 8, 2),
           ("nih", "test", 8, 2))  # fmt: skip
"""(source, fold, patients, pictures of each)."""
_SIZES = {"kermany": (64, 64), "nih": (48, 60)}
_LABELS = ("normal", "bacterial_pneumonia")


@dataclass(frozen=True)
class Body:
    """What stays the same of an invented patient: waves of the tissue, and where the lungs are."""

    waves: NDArray[np.float64]
    lungs: NDArray[np.float64]

    @classmethod
    def of(cls, patient: int) -> Body:
        own = np.random.default_rng([SEED, 1, patient])
        return cls(own.uniform(0, 1, (8, 4)), own.uniform(-0.03, 0.03, (2, 4)))


def make_shared(folder: Path) -> Path:
    """Write the stand-in into `folder`, which is returned: cxr/ with its manifest, volumes/dicom/."""
    rows = []
    patient = 0
    for source, fold, people, pictures in _PEOPLE:
        for _ in range(people):
            for visit in range(pictures):
                rows.append(_write(folder / "cxr", source, fold, patient, visit))
            patient += 1
    with (folder / "cxr" / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    _write_slices(folder / "volumes" / "dicom")
    return folder


def picture(patient: int, visit: int, shape: tuple[int, int], *, ill: bool) -> tuple[Any, Any]:
    """A chest-like picture, (height, width) uint8, and where its lungs are, bool."""
    body, now = Body.of(patient), np.random.default_rng([SEED, 2, patient, visit])
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    rows, columns = rows / height + now.normal(0, 0.01), columns / width + now.normal(0, 0.01)
    lungs = np.zeros(shape, bool)
    for side, (up, across, tall, wide) in zip((0.3, 0.7), body.lungs, strict=True):
        lungs |= ((rows - 0.5 - up) / (0.33 + tall)) ** 2 + ((columns - side - across) / (0.15 + wide)) ** 2 < 1
    grey = 175 - 60 * np.hypot(rows - 0.5, columns - 0.5)
    for up, across, phase, weight in body.waves:
        grey += 14 * weight * np.sin(2 * np.pi * (6 * up * rows + 6 * across * columns + phase))
    if ill:
        y, x = now.uniform(0.4, 0.6), now.choice([0.3, 0.7])
        grey += 70 * lungs * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 0.01)
    noise = now.normal(0, 3, shape)
    return np.clip(np.rint(grey - 95 * lungs + noise), 0, 255).astype(np.uint8), lungs


def _write(folder: Path, source: str, fold: str, patient: int, visit: int) -> dict[str, str]:
    label = _LABELS[patient % 2]
    pixels, lungs = picture(patient, visit, _SIZES[source], ill=label != "normal")
    name = f"{source}_{patient:03d}_{visit}.png"
    for place, content in (("images", pixels), ("masks", lungs.astype(np.uint8) * np.uint8(255))):
        (folder / place).mkdir(parents=True, exist_ok=True)
        Picture.fromarray(content).save(folder / place / name)
    return {
        "image": f"images/{name}", "mask": f"masks/{name}" if source == "kermany" else "", "full": "",
        "patient_id": f"{source}-{patient:03d}", "label": label, "view": ("PA", "AP")[patient % 3 == 0],
        "source": source, "split": "shared", "fold": fold,
    }  # fmt: skip


def _write_slices(folder: Path) -> None:
    """Two heads whose outside is padding, and one slice without padding; 16 bits, signed."""
    (folder / "ct_head").mkdir(parents=True)
    _write_slice(folder / "CT_small.dcm", 0, padded=False)
    for number in (1, 2):
        _write_slice(folder / "ct_head" / f"{number}.dcm", number, padded=True)


def _write_slice(path: Path, number: int, *, padded: bool) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    side, now = 64, np.random.default_rng([SEED, 3, number])
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    stored = 40 + 30 * np.sin(9 * rows + number) * np.cos(7 * columns) + now.normal(0, 12, (side, side))
    stored = np.where(np.hypot(rows, columns) < 0.42, stored, -1000 + now.normal(0, 5, (side, side)))
    pixels = np.rint(stored + 1024).astype(np.int16)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.SOPInstanceUID = generate_uid(prefix=None, entropy_srcs=[f"toy slice {number}"])
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.StudyInstanceUID = generate_uid(prefix=None, entropy_srcs=["toy study"])
    data.SeriesInstanceUID = generate_uid(prefix=None, entropy_srcs=["toy series"])
    data.Modality, data.PatientID, data.PatientName, data.InstanceNumber = "CT", "T1", "Toy^Head", number
    data.Rows = data.Columns = side
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.RescaleSlope, data.RescaleIntercept, data.PixelSpacing = 1, -1024, [1, 1]
    if padded:
        data.add_new(0x00280120, "SS", -2000)
        pixels[np.hypot(rows, columns) > 0.48] = -2000
    data.PixelData = pixels.astype("<i2").tobytes()
    data.save_as(path, enforce_file_format=True)
