"""Running one function over many inputs, in this process or in several; a failed input never stops the others."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medveil.errors import InputError, MedveilError, QualityError, UnreadableInputError, UnsupportedInputError
from medveil.files.atomic import make_folder, write_bytes
from medveil.releases.packages.origin import Origin
from medveil.releases.packages.package import Package
from medveil.releases.packages.packing import Fidelity, PackingPlan, entry_of, pack_attachment, pack_image
from medveil.releases.packages.unpacking import MAX_FILE
from medveil.releases.records.manifest import PackageEntry
from medveil.releases.settings import ShareSettings, codec_for
from medveil.releases.writing.staging import stamp, stamp_of

PARALLEL_FROM = 4  # inputs; below that, starting processes costs more than it saves
REPEATS = (
    "another input has the same SOP Instance UID and other content; both are kept, this one opens under a UID of its "
    "own, and references to that UID mean the other one"
)
LOW_MARGIN_DB = 3.0  # contract: images that far below the target are listed


@dataclass(frozen=True)
class Task:
    """One input that is to become a package.

    Attributes:
        number: its number in messages (#1, #2 …).
        path: where it is.
        relative: its path as it will be restored.
        sha256: digest of the file.
        attached: whether it travels as a file instead of as an image.
        repeats: whether its SOP Instance UID is also that of an earlier input of other content.
    """

    number: int
    path: Path
    relative: str
    sha256: bytes
    attached: bool = False
    repeats: bool = False

    @property
    def identity(self) -> tuple[str, bytes, bool]:
        """Which input it is. A file may be shared as an image and travel as an attachment too."""
        return self.relative, self.sha256, self.attached


@dataclass(frozen=True)
class Failure:
    """An input that could not be used; `path` is for the private failure list only, never for messages."""

    number: int
    path: str
    error_class: str
    message: str


@dataclass(frozen=True)
class Limits:
    """What a worker needs beside the plan: which codec, and below which quality an image fails."""

    codec: str
    weights: bytes | None
    min_quality: float | None
    max_rmse: float | None


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    task: Task
    entry: PackageEntry | None = None
    fidelity: Fidelity | None = None
    low: bool = False
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None


def run_tasks(
    tasks: list[Task], plan: PackingPlan, settings: ShareSettings, staging: Path, weights: bytes | None,
    progress: Callable[[int, int, str], None] | None,
) -> Iterator[Outcome]:  # fmt: skip
    """Pack every task into the staging folder; outcomes come in the order in which they are ready.

    Args:
        tasks: what is to be packed.
        plan: settings and keys of the release.
        settings: the request, for its limits and number of workers.
        staging: where the packages go.
        weights: weights that the release brings along, if any.
        progress: called as (done, total, text).

    Raises:
        MedveilError: the folder cannot be written (a full disk); what is finished stays there.
    """
    workers = min(settings.workers, len(tasks))
    limits = Limits(settings.codec, weights, settings.min_quality, settings.max_rmse)
    if workers <= 1 or len(tasks) < PARALLEL_FROM:
        outcomes = (pack_task(task, plan, limits, staging) for task in tasks)
        yield from _reported(outcomes, len(tasks), progress)
        return
    pool = worker_pool(workers, end_with_parent, os.getpid())
    try:
        futures = [pool.submit(pack_task, task, plan, limits, staging) for task in tasks]
        yield from _reported((future.result() for future in as_completed(futures)), len(tasks), progress)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _reported(
    outcomes: Iterator[Outcome], total: int, progress: Callable[[int, int, str], None] | None
) -> Iterator[Outcome]:
    for count, outcome in enumerate(outcomes, start=1):
        if progress is not None:
            progress(count, total, f"#{outcome.task.number}")
        yield outcome


def pack_task(task: Task, plan: PackingPlan, limits: Limits, staging: Path) -> Outcome:
    """Pack one input and write its package; every error of the input becomes a Failure."""
    origin = Origin(task.relative, task.sha256)
    measured: Fidelity | None = None
    warnings: tuple[str, ...] = ()
    try:
        if task.attached:
            package = pack_attachment(_very_file(task), origin, plan)
        else:
            package, measured, warnings = _pack_image(task, origin, plan, limits)
            _check_quality(measured, limits)
    except MedveilError as error:
        return Outcome(task, failure=Failure(task.number, str(task.path), type(error).__name__, error.message))
    except (MemoryError, ArithmeticError, ValueError, TypeError, LookupError, OSError, RecursionError) as error:
        text = f"it could not be processed ({type(error).__name__})"
        return Outcome(task, failure=Failure(task.number, str(task.path), InputError.__name__, text))
    entry = entry_of(package, plan.ring)
    try:
        make_folder((staging / entry.path).parent)
        data = package.to_bytes()
        write_bytes(staging / entry.path, data)
        write_bytes(stamp_of(staging / entry.path), stamp(data, plan.stamp_key))  # from here on it counts as finished
    except (OSError, MedveilError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MedveilError(
            f"the release cannot be written: {reason}",
            hint="free some space and run the same command again; it continues where it stopped",
        ) from None
    target = plan.profile.quality_centidb / 100
    low = measured is not None and measured.psnr < target - LOW_MARGIN_DB
    return Outcome(task, entry, measured, low, warnings)


def _pack_image(
    task: Task, origin: Origin, plan: PackingPlan, limits: Limits
) -> tuple[Package, Fidelity, tuple[str, ...]]:
    from medveil import images

    image = images.read(task.path)
    kept = _very_file(task) if plan.keep_file else b""
    with task.path.open("rb") as file:
        _check_unchanged(hashlib.file_digest(file, "sha256").digest(), task)
    codec = codec_for(limits.codec, plan.profile, limits.weights)
    tagged = images.tagged(image, plan.tag_key, repeats=task.repeats)
    package, measured = pack_image(tagged, origin, plan, codec, kept)
    warnings = [*([REPEATS] if task.repeats else []), *images.warnings(image)]
    if image.bits_stored > 8 and not plan.profile.deep:
        warnings.append("more than 8 bits in a release made for 8: coarser than in a release of its own")
    return package, measured, tuple(warnings)


def _very_file(task: Task) -> bytes:
    with task.path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise UnsupportedInputError(f"a file that travels as it is has {MAX_FILE >> 20} MiB at most")
    _check_unchanged(hashlib.sha256(data).digest(), task)
    return data


def _check_unchanged(digest: bytes, task: Task) -> None:
    if digest != task.sha256:
        raise UnreadableInputError("it changed while it was being shared", hint="run the same command again")


def _check_quality(measured: Fidelity, limits: Limits) -> None:
    if limits.min_quality is not None and measured.psnr < limits.min_quality:
        raise QualityError(
            f"it comes back at {measured.psnr:.1f} dB; --min-quality asks for {limits.min_quality:g}",
            hint="raise --quality, or share this image by itself",
        )
    if limits.max_rmse is not None and measured.rmse > limits.max_rmse:
        raise QualityError(
            f"it comes back with an RMSE of {measured.rmse:.2f} stored values; --max-rmse allows {limits.max_rmse:g}",
            hint="raise --quality, or share this image by itself",
        )


def worker_pool(workers: int, initializer: Callable[..., None], *initargs: object) -> ProcessPoolExecutor:
    """Worker processes; freshly started ones of one thread each where torch is loaded here.

    A process that is forked off one in which torch has computed waits for ever at its first computation: the threads of
    the parent's OpenMP pool don't come along. And workers with a thread for each core keep each other from working.
    """
    if "torch" not in sys.modules:
        return ProcessPoolExecutor(workers, initializer=partial(initializer, *initargs))
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, initializer=partial(_begin_alone, initializer, *initargs))


def _begin_alone(initializer: Callable[..., None], *initargs: object) -> None:
    """Begin a worker whose torch, not loaded yet, will compute in one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    initializer(*initargs)


def end_with_parent(parent: int) -> None:
    """In a worker process: end when the parent has, so that a killed share leaves nobody at work."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
