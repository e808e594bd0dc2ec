"""Running one function over many inputs, in this process or in several; a failed input never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medveil.errors import InputError, MedveilError, QualityError
from medveil.files.atomic import write_bytes
from medveil.releases.manifest import PackageEntry
from medveil.releases.package import Package
from medveil.releases.packing import Fidelity, Origin, PackingPlan, entry_of, pack_attachment, pack_image

if TYPE_CHECKING:
    from medveil.codecs.code import Codec
    from medveil.releases.settings import ShareSettings

PARALLEL_FROM = 4  # inputs; below that, starting processes costs more than it saves
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
    """

    number: int
    path: Path
    relative: str
    sha256: bytes
    attached: bool = False

    @property
    def identity(self) -> tuple[str, bytes]:
        return self.relative, self.sha256


@dataclass(frozen=True)
class Failure:
    """An input that could not be used; `path` is for the private failure list only, never for messages."""

    number: int
    path: str
    error_class: str
    message: str


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
    tasks: list[Task], plan: PackingPlan, settings: ShareSettings, staging: Path,
    progress: Callable[[int, int, str], None] | None,
) -> Iterator[Outcome]:  # fmt: skip
    """Pack every task into the staging folder; outcomes come in the order in which they are ready.

    Raises:
        MedveilError: the folder cannot be written (a full disk); what is finished stays there.
    """
    workers = min(settings.workers, len(tasks))
    limits = (settings.codec, settings.min_quality, settings.max_rmse)
    if workers <= 1 or len(tasks) < PARALLEL_FROM:
        outcomes = (pack_task(task, plan, limits, staging) for task in tasks)
        yield from _reported(outcomes, len(tasks), progress)
        return
    pool = ProcessPoolExecutor(workers)
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


def pack_task(task: Task, plan: PackingPlan, limits: tuple[str, float | None, float | None], staging: Path) -> Outcome:
    """Pack one input and write its package; every error of the input becomes a Failure."""
    codec_name, min_quality, max_rmse = limits
    origin = Origin(task.relative, task.sha256)
    measured: Fidelity | None = None
    warnings: tuple[str, ...] = ()
    try:
        if task.attached:
            package = pack_attachment(task.path.read_bytes(), origin, plan)
        else:
            package, measured, warnings = _pack_image(task, origin, plan, codec_name)
            _check_quality(measured, min_quality, max_rmse)
    except MedveilError as error:
        return Outcome(task, failure=Failure(task.number, str(task.path), type(error).__name__, error.message))
    except (MemoryError, ArithmeticError, ValueError, TypeError, LookupError, OSError, RecursionError) as error:
        text = f"it could not be processed ({type(error).__name__})"
        return Outcome(task, failure=Failure(task.number, str(task.path), InputError.__name__, text))
    entry = entry_of(package, plan.keys)
    try:
        (staging / entry.path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(staging / entry.path, package.to_bytes())
    except OSError as error:
        raise MedveilError(
            f"the release cannot be written: {error.strerror or type(error).__name__}",
            hint="free some space and run the same command again; it continues where it stopped",
        ) from None
    target = plan.profile.quality_centidb / 100
    low = measured is not None and measured.psnr < target - LOW_MARGIN_DB
    return Outcome(task, entry, measured, low, warnings)


def _pack_image(
    task: Task, origin: Origin, plan: PackingPlan, codec_name: str
) -> tuple[Package, Fidelity, tuple[str, ...]]:
    from medveil import images

    image = images.read(task.path)
    package, measured = pack_image(image, origin, plan, _codec(codec_name))
    return package, measured, tuple(images.warnings(image))


def _codec(name: str) -> Codec:
    from medveil.codecs.registry import get_codec

    return get_codec(name)


def _check_quality(measured: Fidelity, min_quality: float | None, max_rmse: float | None) -> None:
    if min_quality is not None and measured.psnr < min_quality:
        raise QualityError(
            f"it comes back at {measured.psnr:.1f} dB; --min-quality asks for {min_quality:g}",
            hint="raise --quality, or share this image by itself",
        )
    if max_rmse is not None and measured.rmse > max_rmse:
        raise QualityError(
            f"it comes back with an RMSE of {measured.rmse:.2f} stored values; --max-rmse allows {max_rmse:g}",
            hint="raise --quality, or share this image by itself",
        )
