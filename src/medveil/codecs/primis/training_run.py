"""Learning a codec from a user's own images: what `medveil train` runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from medveil.codecs.primis.weights_file import load_model, save_model
from medveil.datasets.manifest import match_rows, read_manifest
from medveil.datasets.splits import split_files
from medveil.errors import TargetExistsError, UsageError
from medveil.files.atomic import write_bytes
from medveil.networks.primis import PrimisConfig, PrimisNetwork
from medveil.training.image_files import Pictures, readable
from medveil.training.loop import choose_device
from medveil.training.model_card import Card, digest_of_images
from medveil.training.primis_training import CHECKPOINT, LOG, LogEntry, Settings, Trainer

MODEL_FILE = "model.safetensors"
CARD_FILE = "README.md"
# At most this many validation images are coded at each validation, evenly chosen.
VALIDATION_IMAGES = 12
MAX_SPARSITY = 64
# Quantisation step in 8-bit grey values: costs less than 0.1 dB on chest radiographs.
STEPS = {4: 3.0, 8: 2.0, 16: 0.6}


@dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Attributes:
        model: the weights file.
        digest: its SHA-256, hexadecimal.
        psnr, psnr_untrained: mean over the validation images, peak 255, of the file's weights and of the start.
        steps, seconds: updates and wall time over all sessions.
        reason: why the run ended.
        training_images, validation_images: how many.
        patients_known: whether the split is by patient.
    """

    model: Path
    digest: str
    psnr: float
    psnr_untrained: float
    steps: int
    seconds: float
    reason: str
    training_images: int
    validation_images: int
    patients_known: bool


@dataclass(frozen=True)
class TrainingStart:
    """What a run begins with.

    Attributes:
        training_images, validation_images: how many.
        unlisted: images that the manifest does not list: they are not used.
        rows, unmatched: images that the manifest lists, and those of them that were not given; 0 without one.
        by_name: rows that were matched by the file's name alone, see `datasets.manifest.Matched`.
    """

    training_images: int
    validation_images: int
    unlisted: int = 0
    rows: int = 0
    unmatched: int = 0
    by_name: int = 0


def train_codec(
    images: Sequence[Path], out: Path, *, codec: str = "primis", sparsity: int = 16, manifest: Path | None = None,
    resume: bool = False, steps: int = 450, seed: int = 0, device: str = "auto", config: PrimisConfig | None = None,
    settings: Settings | None = None, progress: Callable[[LogEntry], None] | None = None,
    level_step: float | None = None, data: str = "images of the user's own", commit: str = "",
    folders: Sequence[Path] = (), begun: Callable[[TrainingStart], None] = lambda _: None,
    tick: Callable[[int], None] = lambda _: None,
) -> TrainingResult:  # fmt: skip
    """Train a codec and write `model.safetensors`, `training.jsonl` and `README.md` (the model card) to a folder.

    Args:
        images: image files; unreadable ones are left out. With a manifest, only images that it lists are used.
        out: the folder; it may hold an unfinished run only with `resume`.
        codec: "primis", the only codec that is trained.
        sparsity: S, nonzeros a code vector.
        manifest: CSV with image and patient_id, and maybe fold: the split is by patient then.
        steps, seed, device: of the run ("auto", "cpu", "cuda", "mps").
        config, settings: in place of the defaults.
        progress: called at each validation.
        level_step: quantisation step that the file states; the settings' one by default.
        data, commit: stated in the model card.
        folders: that the images were found in; rows of the manifest may be paths below them.
        begun: told once, before the first update, what the run has.
        tick: called after each update, with how many there are.

    Raises:
        UsageError: nothing to train on, a manifest that lists none of the images, or an impossible setting.
        TargetExistsError: the folder holds a model, or a run and `resume` is not set.
    """
    if codec != "primis":
        raise UsageError(f"codec {codec} has nothing to train; primis has")
    if not 1 <= sparsity <= MAX_SPARSITY:
        raise UsageError(f"--sparsity is {sparsity}; 1 to {MAX_SPARSITY} are possible")
    config = replace(config or PrimisConfig(sparsity), sparsity=sparsity)
    settings = settings or Settings(steps=steps, step=_step_for(sparsity), seed=seed)
    _check_target(out, resume)
    chosen = choose_device(device)
    train, validate, start = _split(images, manifest, seed, folders)
    begun(start)
    patients_known = manifest is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PrimisNetwork(config)
    trainer = Trainer(network, settings, chosen)
    validation = Pictures(_thinned(validate, VALIDATION_IMAGES))
    untrained = trainer.validate(validation) if len(validation) else 0.0
    course = trainer.run(Pictures(train), validation, out, progress, tick)
    reason = "schedule done" if course.step == settings.steps else "validation no longer improves"
    level_step = settings.step if level_step is None else level_step
    digest = save_model(out / MODEL_FILE, network, level_step)
    trainer.network = load_model(out / MODEL_FILE, digest).network.to(chosen)
    trainer.settings = replace(settings, step=level_step)
    psnr = trainer.validate(validation) if len(validation) else -min(course.validation)
    card = Card(
        out.name, sparsity, network.maps, level_step, digest.hex(), len(train), len(validation),
        digest_of_images(train), patients_known, seed, course.step, course.seconds,
        psnr, untrained, data, commit,
    )  # fmt: skip
    write_bytes(out / CARD_FILE, card.to_markdown().encode(), overwrite=True)
    (out / CHECKPOINT).unlink(missing_ok=True)
    return TrainingResult(
        out / MODEL_FILE, digest.hex(), psnr, untrained, course.step, course.seconds, reason,
        len(train), len(validation), patients_known,
    )  # fmt: skip


def read_log(folder: Path) -> tuple[LogEntry, ...]:
    """The training log of a folder."""
    return tuple(LogEntry(**json.loads(line)) for line in (folder / LOG).read_text().splitlines())


def _step_for(sparsity: int) -> float:
    return STEPS[min(STEPS, key=lambda known: abs(known - sparsity))]


def _check_target(out: Path, resume: bool) -> None:
    if (out / MODEL_FILE).exists():
        raise TargetExistsError("the output folder holds a trained model already", hint="give another folder")
    if (out / CHECKPOINT).exists() and not resume:
        raise TargetExistsError(
            "the output folder holds an unfinished run", hint="go on with --resume, or give another folder"
        )
    out.mkdir(parents=True, exist_ok=True)


def _split(
    images: Sequence[Path], manifest: Path | None, seed: int, folders: Sequence[Path]
) -> tuple[tuple[Path, ...], tuple[Path, ...], TrainingStart]:
    """Those that can be read of the images to train on and to validate with, and how many there are of what."""
    matched = match_rows(read_manifest(manifest), images, folders) if manifest else None
    train, validation = map(readable, split_files(images, matched.rows if matched else None, seed))
    if not train:
        raise UsageError(
            "there is no image to train on",
            hint="are the images listed in the manifest, with fold train or none?" if manifest else "",
        )
    counts = (matched.unlisted, matched.listed, matched.unmatched, matched.by_name) if matched else ()
    return train, validation, TrainingStart(len(train), len(validation), *counts)


def _thinned(paths: Sequence[Path], most: int) -> tuple[Path, ...]:
    if len(paths) <= most:
        return tuple(paths)
    return tuple(paths[i * len(paths) // most] for i in range(most))
