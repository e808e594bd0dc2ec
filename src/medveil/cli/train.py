"""`medveil train`: fit the learned codec to your own images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session
from medveil.errors import MissingDependencyError

if TYPE_CHECKING:
    from medveil.codecs.primis.training_run import TrainingStart
    from medveil.training.primis_training import LogEntry


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

        try:
            from medveil.codecs.primis.training_run import train_codec
        except ImportError as error:
            raise MissingDependencyError(
                f"training needs {error.name or 'a package'}, which is not installed",
                hint='pip install "medveil[primis]"',
            ) from None

        def report(entry: LogEntry) -> None:
            run.say(
                f"step {entry.step}: loss {entry.loss:.4g}, training {entry.train_psnr:.2f} dB, "
                f"validation {entry.validation_psnr:.2f} dB, {entry.seconds:.0f} s"
            )

        def begin(start: TrainingStart) -> None:
            if start.unmatched:
                run.warn(f"rows of the manifest that name none of the files: {start.unmatched} of {start.rows}")
            if start.unlisted:
                run.warn(f"files that the manifest does not list, and that are not used: {start.unlisted}")

        result = train_codec(
            [found.path for found in find_files(images).files],
            out, codec=codec, sparsity=sparsity, manifest=manifest, resume=resume, steps=steps, seed=seed,
            device=device, progress=report, folders=images, begun=begin,
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
