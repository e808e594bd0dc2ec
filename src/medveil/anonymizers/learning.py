"""Learning a method of open release from images: what `medveil train --anonymizer` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medveil import images
from medveil.anonymizers.anonymizer import Anonymizer
from medveil.anonymizers.model import MODEL_FILE, AnonymizerModel, make_private, write_model
from medveil.datasets.manifest import Record, match_rows, read_manifest
from medveil.datasets.splits import split_files
from medveil.errors import InputError, TargetExistsError, UsageError
from medveil.files.atomic import remove_all

CHECKPOINT = Path("checkpoint.safetensors")


@dataclass(frozen=True)
class Learning:
    """What a method learns from, and how.

    Attributes:
        training, validation: images with what the manifest says of them; without a manifest each is its own patient's.
            No patient is on both sides. All of them can be read.
        seed: of everything that is drawn.
        steps: updates at most; None for the method's own number.
        device: "auto", "cpu", "cuda" or "mps".
        checkpoint: where a long run leaves its state and goes on from; a run of several parts adds the part's name to
            that of the file ("checkpoint-part.safetensors"). Private, and removed once the model is there.
        begin: to be told the number of updates, before the first.
        tick: to be told after each update how many there were.
        say: to be told a line of how it goes.
    """

    training: tuple[Record, ...]
    validation: tuple[Record, ...] = ()
    seed: int = 0
    steps: int | None = None
    device: str = "auto"
    checkpoint: Path | None = None
    begin: Callable[[int], None] = lambda _: None
    tick: Callable[[int], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Learnt:
    """What was learned.

    Attributes:
        model: as it was written.
        training, validation: how many images.
        patients: of the training images; 0 where no manifest says whose they are.
        unlisted: images that the manifest does not list: they were not used.
        rows, unmatched: images that the manifest lists, and those of them that were not given.
        by_name: rows that were matched by the file's name alone.
        unreadable: images that could not be read.
    """

    model: AnonymizerModel
    training: int
    validation: int
    patients: int
    unlisted: int = 0
    rows: int = 0
    unmatched: int = 0
    by_name: int = 0
    unreadable: int = 0


def learn_model(
    method: Anonymizer, files: Sequence[Path], out: Path, *, manifest: Path | None = None,
    folders: Sequence[Path] = (), resume: bool = False, how: Learning | None = None,
) -> Learnt:  # fmt: skip
    """Let a method learn, and write its model into a folder.

    Args:
        method: one that learns, with its settings.
        files: images. With a manifest only those that it lists are used, of fold `train` or none; those of fold `val`
            validate. Without folds a keyed hash of the patient decides.
        out: the folder; it may hold an unfinished run only with `resume`.
        manifest: CSV with image and patient_id, and maybe fold, source, view, label and mask.
        folders: that the files were found in.
        how: seed, steps, device, and what is told; its images are not looked at.

    Raises:
        UsageError: the method does not learn, or there is nothing to learn from.
        TargetExistsError: the folder holds a model, or a run and `resume` is not set.
    """
    how = how or Learning(())
    if not method.learns:
        raise UsageError(f"the method {method.name} has nothing to learn", hint="see medveil anonymizers")
    if (out / MODEL_FILE).exists():
        raise TargetExistsError("the output folder holds a model already", hint="give another folder")
    checkpoint = out / CHECKPOINT
    if checkpoints_of(out) and not resume:
        raise TargetExistsError(
            "the output folder holds an unfinished run", hint="go on with --resume, or give another folder"
        )
    matched = match_rows(read_manifest(manifest), files, folders) if manifest else None
    sides = split_files(files, matched.rows if matched else None, how.seed)
    rows = {path.resolve(): row for path, row in zip(files, matched.rows if matched else (), strict=False) if row}
    training, validation = (_readable(side, rows) for side in sides)
    if not training:
        raise UsageError(
            "there is no image to learn from",
            hint="are the images listed in the manifest, with fold train or none?" if manifest else "",
        )
    make_private(out)
    run = replace(how, training=training, validation=validation, checkpoint=checkpoint)
    model = write_model(out, method.learn(run))
    remove_all(checkpoints_of(out))
    counts = (matched.unlisted, matched.listed, matched.unmatched, matched.by_name) if matched else (0, 0, 0, 0)
    patients = len({record.patient for record in training}) if matched else 0
    unreadable = sum(map(len, sides)) - len(training) - len(validation)
    return Learnt(model, len(training), len(validation), patients, *counts, unreadable)


def checkpoints_of(out: Path) -> list[Path]:
    """What an unfinished run left in a folder."""
    return sorted(out.glob(f"{CHECKPOINT.stem}*{CHECKPOINT.suffix}"))


def _readable(paths: Sequence[Path], rows: dict[Path, Record]) -> tuple[Record, ...]:
    found = []
    for path in paths:
        try:
            images.read(path)
        except InputError:
            continue
        found.append(replace(rows.get(path, Record(path, str(path), "")), path=path))
    return tuple(found)
