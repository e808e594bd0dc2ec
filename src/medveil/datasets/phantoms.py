"""Invented patients with several visits each: chest radiographs, lung masks and labels, the same for the same seed.

Nothing is taken from a real patient: names and numbers are made up, and the pictures are drawn (see anatomy.py). Two of
three patients are 8-bit PNG files, the third is 12-bit DICOM with an invented identity.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medveil.datasets.anatomy import Anatomy, Build, build_anatomy
from medveil.datasets.painting import Canvas, Plane, blur, clouds, ellipsoid, resample
from medveil.files.atomic import write_bytes

COLUMNS = (
    "image", "mask", "patient_id", "study_order", "images_of_patient", "label", "view", "sex", "age", "source",
    "width", "height",
)  # fmt: skip
_SIZES = ((448, 384), (416, 448), (448, 400))
_FIRST = ("Ada", "Bruno", "Clara", "David", "Emma", "Farid", "Greta", "Hugo", "Ines", "Jonas")
_LAST = ("Phantom", "Mirage", "Silhouette", "Figment", "Chimera", "Specter", "Apparition")
_SPACING_MM = 0.86
_CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"


@dataclass(frozen=True)
class Visit:
    """One radiograph of one invented patient.

    Attributes:
        brightness: (height, width) float32, 0 (black) to 1 (white).
        lungs: (height, width) bool.
        label: "normal" or "pneumonia".
    """

    brightness: Plane
    lungs: NDArray[np.bool_]
    label: str


@dataclass(frozen=True)
class Patient:
    """One invented patient.

    Attributes:
        name: as DICOM writes it, family^given.
        sex: "F" or "M".
        age: in years.
        visits: in time order.
    """

    number: int
    name: str
    sex: str
    age: int
    visits: tuple[Visit, ...]


def make_phantoms(folder: Path, patients: int = 6, seed: int = 0) -> Path:
    """Write `patients` invented patients into `folder`: images/, masks/ and manifest.csv, whose path is returned.

    Raises:
        TargetExistsError: one of the files is there already.
    """
    rows: list[dict[str, object]] = []
    for number in range(patients):
        patient = draw_patient(number, seed)
        for order, visit in enumerate(patient.visits):
            rows.append(_write_visit(folder, patient, order, visit, seed))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    manifest = folder / "manifest.csv"
    write_bytes(manifest, text.getvalue().encode())
    return manifest


def draw_patient(number: int, seed: int, *, size: tuple[int, int] | None = None, visits: int = 0) -> Patient:
    """One invented patient and all visits; a function of the arguments alone.

    Args:
        number, seed: which patient.
        size: (height, width) of the pictures; one of three by default. A small one is quick to draw.
        visits: how many; 0 for two or three.
    """
    rng = np.random.default_rng([seed, number])
    female = bool(rng.integers(2))
    height, width = size or _SIZES[number % len(_SIZES)]
    margin = 0.06
    canvas = Canvas.of(round(height * (1 + margin)), round(width * (1 + margin)), margin)
    anatomy = build_anatomy(Build.draw(rng, female=female), canvas, rng)
    count = visits or int(rng.integers(2, 4))
    ill = int(rng.integers(count + 1))
    seen = tuple(_visit(anatomy, (height, width), "pneumonia" if i == ill else "normal", rng) for i in range(count))
    return Patient(number, patient_name(number), "F" if female else "M", int(rng.integers(24, 88)), seen)


def patient_name(number: int) -> str:
    """The invented name of a patient, as DICOM writes it: family^given."""
    return f"{_LAST[number % len(_LAST)]}^{_FIRST[number % len(_FIRST)]}"


def _visit(anatomy: Anatomy, shape: tuple[int, int], label: str, rng: np.random.Generator) -> Visit:
    """The same person on another day: turned and breathing a little otherwise, exposed otherwise, new noise."""
    attenuation = anatomy.attenuation
    if label == "pneumonia":
        attenuation = attenuation + _opacities(anatomy, rng)
    rows, columns = _pose(anatomy.canvas, shape, rng)
    seen = resample(attenuation, rows, columns)
    lungs = resample(np.maximum(anatomy.right, anatomy.left), rows, columns) > 0.5
    return Visit(_expose(seen, rng), lungs, label)


def _pose(canvas: Canvas, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Where in the patient's planes each pixel of the picture looks: (rows, columns)."""
    height, width = shape
    full_height, full_width = canvas.shape
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    v, u = v - (height - 1) / 2, u - (width - 1) / 2
    angle = rng.normal(0, 0.012)
    breath, scale = 1 + rng.normal(0, 0.012), 1 + rng.normal(0, 0.010)
    shift = rng.normal(0, 0.006, 2) * height
    turned_u = (u * np.cos(angle) - v * np.sin(angle)) * scale
    turned_v = (u * np.sin(angle) + v * np.cos(angle)) * scale * breath
    rows = turned_v + (full_height - 1) / 2 + shift[0]
    columns = turned_u + (full_width - 1) / 2 + shift[1]
    return np.asarray(rows, dtype=np.float32), np.asarray(columns, dtype=np.float32)


def _opacities(anatomy: Anatomy, rng: np.random.Generator) -> Plane:
    """One to three cloudy patches of consolidation inside the lungs."""
    canvas = anatomy.canvas
    total = canvas.zeros()
    for _ in range(int(rng.integers(1, 4))):
        side = int(rng.choice([-1, 1]))
        field = anatomy.left if side > 0 else anatomy.right
        centre = (side * rng.uniform(0.35, 0.62), rng.uniform(-0.1, 0.42))
        patch = ellipsoid(canvas, centre, (rng.uniform(0.14, 0.26), rng.uniform(0.14, 0.30)), rng.uniform(-0.6, 0.6))
        texture = np.clip(0.75 + 0.40 * clouds(canvas.shape, rng, 0.045 * canvas.unit), 0, 1.6)
        total += np.float32(rng.uniform(0.16, 0.30)) * blur(patch, 0.03 * canvas.unit) * texture * blur(field, 1.5)
    return total


def _expose(attenuation: Plane, rng: np.random.Generator) -> Plane:
    """Film: more attenuation is whiter, the dense parts saturate, and fewer photons are noisier."""
    gain, gamma = 1.35 * rng.uniform(0.90, 1.12), rng.uniform(1.12, 1.35)
    tone = (np.clip(1 - np.exp(-gain * np.clip(attenuation, 0, None)), 0, 0.86) / 0.86) ** gamma
    mottle = blur(rng.standard_normal(tone.shape).astype(np.float32), 0.6)
    noise = 0.010 * mottle / mottle.std() + 0.003 * rng.standard_normal(tone.shape)
    return np.asarray(np.clip(0.02 + 0.95 * tone + noise * (1.25 - 0.8 * tone), 0, 1), dtype=np.float32)


def _write_visit(folder: Path, patient: Patient, order: int, visit: Visit, seed: int) -> dict[str, object]:
    name = f"p{patient.number:03d}/visit{order + 1}"
    as_dicom = patient.number % 3 == 2
    image = f"images/{name}.{'dcm' if as_dicom else 'png'}"
    mask = f"masks/{name}.png"
    data = _dicom_bytes(patient, order, visit, seed) if as_dicom else _png_bytes(_levels(visit.brightness, 8))
    for relative, content in ((image, data), (mask, _png_bytes(visit.lungs.astype(np.uint8) * np.uint8(255)))):
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, content)
    height, width = visit.lungs.shape
    return {
        "image": image, "mask": mask, "patient_id": f"phantom_{patient.number:03d}", "study_order": order,
        "images_of_patient": len(patient.visits), "label": visit.label, "view": "PA", "sex": patient.sex,
        "age": patient.age, "source": "phantom", "width": width, "height": height,
    }  # fmt: skip


def _levels(brightness: Plane, bits: int) -> NDArray[np.generic]:
    top = (1 << bits) - 1
    return np.rint(brightness * top).astype(np.uint8 if bits == 8 else np.uint16)


def _png_bytes(pixels: NDArray[np.generic]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _dicom_bytes(patient: Patient, order: int, visit: Visit, seed: int) -> bytes:
    """A 12-bit Computed Radiography image, Explicit VR Little Endian."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    def uid(*parts: object) -> UID:
        return generate_uid(prefix=None, entropy_srcs=[f"phantom/{seed}/{patient.number}", *map(str, parts)])

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_CR_STORAGE)
    meta.MediaStorageSOPInstanceUID = uid("instance", order)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = Dataset()
    data.file_meta = meta
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID = _CR_STORAGE, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study", order), uid("series", order)
    data.PatientName, data.PatientID, data.PatientSex = patient.name, f"PH{patient.number:06d}", patient.sex
    data.PatientBirthDate, data.PatientAge = f"{2024 - patient.age}0101", f"{patient.age:03d}Y"
    data.StudyDate, data.StudyTime = f"2024{order + 1:02d}15", "101500"
    data.AccessionNumber, data.StudyID, data.SeriesNumber, data.InstanceNumber = f"A{order}", str(order), 1, 1
    data.InstitutionName, data.ReferringPhysicianName = "Invented Hospital", "Nobody^Doctor"
    data.Modality, data.BodyPartExamined, data.ViewPosition, data.PatientOrientation = "CR", "CHEST", "PA", ["L", "F"]
    data.BurnedInAnnotation = "NO"
    data.PixelSpacing = [_SPACING_MM, _SPACING_MM]
    pixels = _levels(visit.brightness, 12)
    data.Rows, data.Columns = visit.lungs.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.WindowCenter, data.WindowWidth = 2048, 4096
    data.PixelData = pixels.astype("<u2").tobytes()
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()
