"""`medveil train`: fit the learned codec, or a method of open release that learns, to images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import Session, session
from medveil.errors import MissingDependencyError, UsageError
from medveil.experiments.progress import Progress

if TYPE_CHECKING:
    from medveil.codecs.primis.training_run import TrainingStart
    from medveil.training.primis_training import LogEntry


_FIRST, _PARTS = 3, 20


class _Steps:
    """Progress of a run from its first step on, with one estimate; in a log, a line a twentieth of the run."""

    def __init__(self, run: Session, steps: int) -> None:
        self._told, self._steps, self._done = Progress(run.stage), steps, 0

    def begin(self) -> None:
        """The first update comes now."""
        self._told.expect([1.0] * self._steps)
        self._told.begin("training")

    def __call__(self, step: int) -> None:
        """So many updates are done; of a run that is gone on with, some were done before."""
        for _ in range(step - 1 if not self._done else 0):
            self._told.end(1.0, found=True)
        self._told.end(1.0)
        self._done += 1
        if self._done == _FIRST or step % max(self._steps // _PARTS, 1) == 0:
            self._told.begin("training")


def train(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Image files, and folders of them.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the weights and their card go.")],
    codec: Annotated[str, typer.Option("--codec", metavar="NAME", help="The codec to train. Default: primis.")] = "",
    anonymizer: Annotated[
        str, typer.Option("--anonymizer", metavar="NAME", help="A method of open release to train instead.")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of that method. Repeatable.")
    ] = None,
    sparsity: Annotated[
        int | None, typer.Option("--sparsity", metavar="S", help="Nonzeros a code vector of the codec. Default: 16.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", metavar="CSV", help="Names the patient of each image; the split is by patient then."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in FOLDER.")] = False,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Updates at most. Default: 1100 for a codec, else the method's."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the run.")] = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit the learned codec to your own images, or let a method of open release learn from images.

    `medveil share --codec FOLDER` uses the codec, `medveil anonymize --model FOLDER` the method.
    A model of a method is private: it was learned from patients.
    """
    with session("train", as_json=json, quiet=quiet) as run:
        from medveil.releases.writing.staging import refuse_inside_release

        refuse_inside_release(out / "weights")
        if anonymizer:
            for option, given in (("--codec", codec), ("--sparsity", sparsity)):
                if given:
                    raise UsageError(f"{option} is for codecs, and --anonymizer names a method", hint="leave one out")
            _train_method(run, images, out, anonymizer, settings or [], manifest, resume, steps, seed, device)
        else:
            if settings:
                raise UsageError("--set is for methods", hint="name one with --anonymizer")
            sparsity = _SPARSITY if sparsity is None else sparsity
            _train_codec(
                run, images, out, codec or "primis", sparsity, manifest, resume, steps or _STEPS, seed, device
            )  # fmt: skip


_SPARSITY, _STEPS = 16, 1100


def _train_method(
    run: Session, images: list[Path], out: Path, name: str, settings: list[str], manifest: Path | None, resume: bool,
    steps: int | None, seed: int, device: str,
) -> None:  # fmt: skip
    from medveil.anonymizers.learning import Learning, learn_model
    from medveil.anonymizers.registry import get_anonymizer, settings_of
    from medveil.cli.text import plural
    from medveil.files.walk import find_files

    method = get_anonymizer(name, settings_of(settings))
    bars: list[_Steps] = []

    def begin(count: int) -> None:
        bars.append(_Steps(run, count))
        bars[-1].begin()

    how = Learning(
        (), seed=seed, steps=steps, device=device, begin=begin, tick=lambda step: bars[-1](step), say=run.say
    )
    found = [each.path for each in find_files(images).files]
    learnt = learn_model(method, found, out, manifest=manifest, folders=images, resume=resume, how=how)
    _warn_of_rows(run, learnt.unmatched, learnt.rows, learnt.by_name, learnt.unlisted)
    if learnt.unreadable:
        run.warn(f"files that could not be read, and that were not used: {learnt.unreadable}")
    run.warn("the model was learned from patients: it is private, and must never lie in what you release")
    whose = plural(learnt.patients, "patient") if learnt.patients else "nobody says whose"
    run.result(
        [
            f"{name} learned from {plural(learnt.training, 'image')} ({whose})",
            f"model: sha256 {learnt.model.digest.hex()}",
        ],
        done=learnt.training, anonymizer=name, settings=dict(method.stated), model=learnt.model.digest.hex(),
        facts=dict(learnt.model.facts), validation_images=learnt.validation, patients=learnt.patients,
        unreadable=learnt.unreadable,
    )  # fmt: skip


def _warn_of_rows(run: Session, unmatched: int, rows: int, by_name: int, unlisted: int) -> None:
    if unmatched:
        run.warn(f"rows of the manifest that name none of the files: {unmatched} of {rows}")
    if by_name:
        run.warn(f"rows that match by file name alone, while their folders differ: {by_name}")
    if unlisted:
        run.warn(f"files that the manifest does not list, and that are not used: {unlisted}")


def _train_codec(
    run: Session, images: list[Path], out: Path, codec: str, sparsity: int, manifest: Path | None, resume: bool,
    steps: int, seed: int, device: str,
) -> None:  # fmt: skip
    from medveil.files.walk import find_files

    try:
        from medveil.codecs.primis.training_run import train_codec
    except ImportError as error:
        raise MissingDependencyError(
            f"training needs {error.name or 'a package'}, which is not installed",
            hint='pip install "medveil[primis]"',
        ) from None

    progress = _Steps(run, steps)

    def report(entry: LogEntry) -> None:
        run.say(
            f"step {entry.step}: loss {entry.loss:.4g}, training {entry.train_psnr:.2f} dB, "
            f"validation {entry.validation_psnr:.2f} dB, {entry.seconds:.0f} s"
        )

    def begin(start: TrainingStart) -> None:
        _warn_of_rows(run, start.unmatched, start.rows, start.by_name, start.unlisted)
        progress.begin()

    result = train_codec(
        [found.path for found in find_files(images).files],
        out, codec=codec, sparsity=sparsity, manifest=manifest, resume=resume, steps=steps, seed=seed,
        device=device, progress=report, folders=images, begun=begin, tick=progress,
    )  # fmt: skip
    split = "by patient" if result.patients_known else "by image: no manifest says whose they are"
    counts = f"{result.training_images} images to train on, {result.validation_images} to validate"
    run.result(
        [
            f"trained for {result.steps} steps in {result.seconds:.0f} s ({result.reason})",
            f"validation: {result.psnr:.2f} dB; {result.psnr_untrained:.2f} dB before training",
            f"{counts}, split {split}",
            f"weights: sha256 {result.digest}",
        ],
        done=result.training_images, size=result.model.stat().st_size, weights=result.digest, psnr=result.psnr,
        psnr_untrained=result.psnr_untrained, steps=result.steps, reason=result.reason,
        validation_images=result.validation_images, split_by_patient=result.patients_known,
    )  # fmt: skip
