"""Images a second of the simple methods of open release, each at its default, with two processes.

One image of each patient of two data sets, the longer side reduced to 256 pixels: in the library, from images in memory
to pictures in memory; and by `medveil anonymize -j 2`, from files to a signed release, which reads every image twice,
checks every picture that it wrote and begins with starting Python. Processor seconds are those of all processes
together, and the same whatever else the machine does.
"""

from __future__ import annotations

import csv
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from benchmarks.benchmark import Measured
from benchmarks.program import Program
from benchmarks.shared_images import grey, radiographs
from medveil import images
from medveil.anonymizers.anonymizer import Anonymizer, Candidate
from medveil.anonymizers.registry import get_anonymizer
from medveil.images.image import Image
from medveil.protection.keystream import Keystream, derive, fresh_key
from medveil.releases.workers import done_by_workers

METHODS = ("pixelate", "dp-pix", "warp", "mixup", "k-same")
SOURCES = ("kermany", "nih")
JOBS = 2


@dataclass(frozen=True)
class Files:
    """The images as files, with a manifest beside their folder.

    Attributes:
        folder: of them alone.
        manifest: whose each is, and from which data set.
        candidates: the same for a method that makes groups, in the order of the files' names.
    """

    folder: Path
    manifest: Path
    candidates: tuple[Candidate, ...] = field(repr=False)

    @classmethod
    def reduced(cls, place: Path, side: int, every: int) -> Files:
        """The first image of every n-th patient of the test fold, the longer side reduced."""
        first = {one.patient: one for one in reversed(radiographs("test"))}
        rows = []
        (place / "images").mkdir(parents=True)
        for one in [first[patient] for patient in sorted(first)][::every]:
            source = one.path.name.partition("_")[0]
            if source in SOURCES:
                picture = Picture.fromarray(grey(one.path))
                scale = side / max(picture.size)
                size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
                picture.resize(size, Picture.Resampling.BOX).save(place / "images" / one.path.name)
                rows.append((one.path.name, one.patient, source))
        manifest = place / "manifest.csv"
        with manifest.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("image", "patient_id", "source"), *rows])
        rows.sort()
        return cls(place / "images", manifest, tuple(Candidate(patient, (source,)) for _, patient, source in rows))


@dataclass(frozen=True)
class _Work:
    method: Anonymizer
    images: tuple[Image, ...] = field(repr=False)
    key: bytes = field(repr=False)


def _feature(work: _Work, number: int) -> Any:
    return work.method.feature(work.images[number])


def _applied(work: _Work, group: tuple[int, ...]) -> float:
    key = derive(work.key, repr(group).encode())
    return float(work.method.apply([work.images[number] for number in group], key).pixels.mean())


def in_library(method: Anonymizer, files: Files) -> dict[str, float]:
    """Seconds of fitting, choosing groups and making pictures, of images that were read before."""
    read = tuple(images.read(path) for path in sorted(files.folder.iterdir()))
    key, candidates = fresh_key(), files.candidates
    start, used = time.perf_counter(), _processor_seconds()
    if method.fitted_on:
        method = method.fit(read[: method.fitted_on])
        features = done_by_workers(_feature, _Work(method, read, key), range(len(read)), JOBS)
        told = zip(candidates, features, strict=True)
        candidates = tuple(Candidate(one.patient, one.classes, feature) for one, feature in told)
    groups = method.groups(candidates, Keystream(key, "groups"))
    work = _Work(method, read, key)
    means = list(done_by_workers(_applied, work, groups, JOBS))
    found = _row(time.perf_counter() - start, _processor_seconds() - used, sum(map(len, groups)))
    return {**found, "pictures": len(groups), "mean_grey": sum(means) / len(means)}


def by_program(program: Program, method: str, files: Files, out: Path) -> dict[str, float]:
    """Seconds of `medveil anonymize` on the files."""
    start, used = time.perf_counter(), _processor_seconds()
    done = program.run(
        "anonymize", str(files.folder), "--method", method, "--manifest", str(files.manifest), "--again",
        "-i", str(program.key("owner")), "-o", str(out), "--link", str(out.with_suffix(".csv")), "-j", str(JOBS),
    )  # fmt: skip
    found = _row(time.perf_counter() - start, _processor_seconds() - used, done["images"])
    return {**found, "pictures": done["done"]}


def _processor_seconds() -> float:
    """Of this process and of all that have ended that it began."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _row(seconds: float, used: float, count: int) -> dict[str, float]:
    return {"images": count, "images_a_second": count / seconds, "cpu_seconds_an_image": used / count}


def run(work: Path, methods: tuple[str, ...] = METHODS, side: int = 256, every: int = 1) -> Measured:
    """Images a second of the simple methods of open release, with two processes.

    Args:
        methods: names; each at its default.
        side: the longer one, in pixels.
        every: every n-th patient only.
    """
    program, files = Program.prepare(work), Files.reduced(work / "files", side, every)
    rows = []
    for name in methods:
        method = get_anonymizer(name)
        settings = " ".join(f"{key}={value}" for key, value in method.stated.items())
        rows.append({
            "method": name, "settings": settings, "library": in_library(method, files),
            "program": by_program(program, name, files, work / name),
        })  # fmt: skip
    return Measured({"side": side, "jobs": JOBS, "rows": rows}, len(files.candidates))
