"""`medveil anonymize`: pictures made of images, for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import BurnedIn, DryRun, Jobs, Json, Key, Quiet, ShowPaths
from medveil.cli.session import SOME_FAILED, Session, session

if TYPE_CHECKING:
    from medveil.anonymizers.anonymizer import Anonymizer
    from medveil.releases.anonymizing import AnonymizeResult, Row
    from medveil.releases.writing.inputs import Input


def anonymize(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Image files, and folders of them.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="PUBLIC", help="Folder of the release, for everybody.")],
    link: Annotated[
        Path,
        typer.Option("--link", metavar="CSV", help="Private file to write: which image became which picture."),
    ],
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="How; see medveil anonymizers.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the method. Repeatable.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FOLDER", help="Of a method that learns: what medveil train wrote."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", metavar="CSV", help="Whose the images are: image, patient_id, …")
    ] = None,
    label_columns: Annotated[
        str, typer.Option("--label-columns", metavar="NAMES", help="Columns of the manifest to publish, such as label.")
    ] = "",
    key: Key = None,
    burned_in: BurnedIn = "warn",
    again: Annotated[
        bool, typer.Option("--again", help="Release images again, or twice, by a method with secret randomness.")
    ] = False,
    jobs: Jobs = 0,
    dry_run: DryRun = False,
    show_paths: ShowPaths = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make pictures of images that everybody may have, and sign them.

    No method makes pictures anonymous. The link file is for measuring what a release risks; keep it to yourself.
    Running it again with the same images and settings goes on where it stopped.
    """
    with session("anonymize", as_json=json, quiet=quiet) as run:
        from medveil.anonymizers.registry import get_anonymizer, model_for, settings_of
        from medveil.cli.owner import identity_for_trial, identity_of
        from medveil.releases.anonymizing import anonymize as make_open

        columns = tuple(dict.fromkeys(name.strip() for name in label_columns.split(",") if name.strip()))
        chosen = get_anonymizer(method, settings_of(settings or []), model_for(method, model))
        owner = identity_for_trial(run, key) if dry_run else identity_of(run, key, create=True)
        result = make_open(
            images, out, link, chosen, owner=owner, rows=lambda tasks: _rows(run, tasks, manifest, images, columns),
            columns=columns, again=again, burned_in=burned_in, jobs=jobs, dry_run=dry_run, progress=run.progress,
        )  # fmt: skip
        _print(run, result, chosen, dry_run=dry_run, show_paths=show_paths)


def _rows(
    run: Session, tasks: Sequence[Input], manifest: Path | None, images: Sequence[Path], columns: tuple[str, ...]
) -> Mapping[int, Row]:
    """What the manifest says of each input; says how many rows and images have no partner, and what is published."""
    from medveil.cli.text import plural
    from medveil.datasets.manifest import match_rows, read_manifest
    from medveil.errors import UsageError
    from medveil.images.record import PATIENT_COLUMN
    from medveil.releases.anonymizing import Row
    from medveil.releases.label_file import NO_LABELS, labels_to_share, told

    if PATIENT_COLUMN in columns:
        raise UsageError(f"the column {PATIENT_COLUMN} is not published", hint="leave it out of --label-columns")
    if manifest is None:
        if columns:
            raise UsageError(
                "labels come from a manifest", hint="name it with --manifest, or leave --label-columns out"
            )
        return {}
    files, folders = [task.path for task in tasks], [path for path in images if path.is_dir()]
    matched = match_rows(read_manifest(manifest), files, folders)
    labels = labels_to_share(manifest, columns, files, folders) if columns else NO_LABELS
    for text, grave in told(labels, "everybody"):
        (run.warn if grave else run.say)(text)
    if matched.by_name and not columns:
        run.warn(f"{plural(matched.by_name, 'row')} found by file name alone, while the folders differ")
    if matched.unmatched or matched.unlisted:
        rows, lone = plural(matched.unmatched, "row"), plural(matched.unlisted, "image")
        run.warn(f"without a partner: {rows} of the manifest, {lone}")
    pairs = zip(tasks, matched.rows, strict=True)
    known = {task.path: dict(labels.of.get(task.path, ())) for task in tasks}
    return {
        task.number: Row(row.patient, row.stratum, tuple(known[task.path].get(name, "") for name in columns), row.label)
        for task, row in pairs
        if row is not None
    }


def _print(
    run: Session, result: AnonymizeResult, method: Anonymizer, *, dry_run: bool, show_paths: bool
) -> None:  # fmt: skip
    from medveil.cli.input_list import report_inputs
    from medveil.cli.text import bytes_text, plural

    failed, listed = report_inputs(
        run, result.failed, result.warnings, result.inputs, show_paths=show_paths, dry_run=dry_run
    )
    if result.repeated:
        run.warn(f"{plural(result.repeated, 'image')} had been released before by a method with secret randomness")
    if result.doubled:
        run.warn(f"{plural(result.doubled, 'image')} went into the release more than once, as files of the same pixels")
    made = f"{plural(result.pictures, 'picture')} of {plural(result.images, 'image')}"
    size = bytes_text(result.bytes)
    lines = [f"would release {made}; nothing was written" if dry_run else f"released {made}, {size}"]
    if result.left_out:
        lines.append(f"{plural(result.left_out, 'image')} left out: the method takes one a patient, or whole groups")
    if result.epsilon:
        lines.append(
            f"ε of a whole picture: {float(result.epsilon):g}; of the stated number of pixels in all releases of an "
            f"image that this machine knows: {float(result.spent):g}"
        )
    if not dry_run:
        run.say("What this release risks was not measured. Keep the link file: without it nobody can.")
    run.result(
        lines, done=result.pictures, failed=failed, size=result.bytes, method=method.name, settings=method.stated,
        model=method.model_digest.hex(), images=result.images, left_out=result.left_out,
        unchanged=result.unchanged, repeated=result.repeated,
        epsilon=float(result.epsilon), epsilon_spent=float(result.spent), list=listed, dry_run=dry_run,
    )  # fmt: skip
    if result.failed:
        raise typer.Exit(SOME_FAILED)
