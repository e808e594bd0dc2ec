"""`medveil train`: fit the learned codec to your own images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import Session, session
from medveil.errors import MissingDependencyError
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
    codec: Annotated[str, typer.Option("--codec", metavar="NAME", help="What to train.")] = "primis",
    sparsity: Annotated[int, typer.Option("--sparsity", metavar="S", help="Nonzeros a code vector.")] = 16,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", metavar="CSV", help="Names the patient of each image; the split is by patient then."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in FOLDER.")] = False,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Updates at most.")] = 1100,
    seed: Annotated[int, typer.Option("--seed", help="Of the run.")] = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit the learned codec to your own images.

    `medveil share --codec FOLDER` uses it.
    """
    with session("train", as_json=json, quiet=quiet) as run:
        from medveil.files.walk import find_files
        from medveil.releases.writing.staging import refuse_inside_release

        refuse_inside_release(out / "weights")

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
            if start.unmatched:
                run.warn(f"rows of the manifest that name none of the files: {start.unmatched} of {start.rows}")
            if start.by_name:
                run.warn(f"rows that match by file name alone, while their folders differ: {start.by_name}")
            if start.unlisted:
                run.warn(f"files that the manifest does not list, and that are not used: {start.unlisted}")

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
