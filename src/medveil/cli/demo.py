"""`medveil demo`: invented patients go through keygen, share, verify, a stranger's view, a refused key, and open."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import Session, session
from medveil.cli.text import bytes_text, plural
from medveil.errors import MedveilError, NoFittingKeyError, TargetExistsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from medveil.keys.identity import Identity
    from medveil.releases.sharing import ShareResult

_MARK = ".made-by-medveil-demo"
_PARTS = ("patients", "keys", "png-sealed", "png-encrypted", "dicom-sealed", "opened", "picture.png", ".state")
_SEED = 3


@dataclass(frozen=True)
class _Row:
    """One line of the table: one release, measured on files that Alice opened."""

    name: str
    images: int
    original_bytes: int
    release_bytes: int
    pixels: int
    psnr: float
    rmse: float

    @property
    def bits_per_pixel(self) -> float:
        return 8 * self.release_bytes / self.pixels


@dataclass(frozen=True)
class _Cast:
    """Who takes part: the owner, Alice whom she shares with, and Mallory whom she does not."""

    owner: Identity
    alice: Identity
    mallory: Identity


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the demo works.")] = Path(
        "medveil-demo"
    ),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try it all on invented patients."""
    with session("demo", as_json=json, quiet=quiet) as run:
        demonstrate(out, run)


def demonstrate(out: Path, run: Session, *, patients: int = 6) -> None:
    """Play the demo in the folder `out`, and print the table and what to type for one's own images.

    Raises:
        TargetExistsError: `out` is there and was not made by the demo.
    """
    _clear(out)
    with _own_state(out / ".state"):
        cast = _prepare(out, run, patients)
        rows = [
            _release(out, "png-sealed", "png", "sealed", cast, run),
            _release(out, "dicom-sealed", "dcm", "sealed", cast, run),
            _release(out, "png-encrypted", "png", "encrypted", cast, run),
        ]
        _check(out, cast, run, patients)
        _draw(out, cast)
    run.say(f"6. Look at {out / 'picture.png'}: original | stranger | Alice | difference x 8.")
    run.result(
        [*_table(rows), "", *_what_next(out)],
        done=sum(row.images for row in rows),
        size=sum(row.release_bytes for row in rows),
        picture=str(out / "picture.png"),
        releases=[_record(row) for row in rows],
    )


def _clear(out: Path) -> None:
    """Make room, and touch nothing that the demo did not make."""
    from medveil.releases.writing.staging import refuse_inside_release

    refuse_inside_release(out / _MARK)
    if out.exists() and not (out / _MARK).is_file():
        raise TargetExistsError(
            "the demo's folder is there already, and the demo did not make it", hint="name another one with -o"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).touch()
    for part in _PARTS:
        path = out / part
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _own_state(folder: Path) -> Iterator[None]:
    """What the demo pins stays in its own folder, where the platform lets it."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder.resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before


def _prepare(out: Path, run: Session, patients: int) -> _Cast:
    from medveil.datasets.phantoms import make_phantoms
    from medveil.keys.identity import generate

    make_phantoms(out / "patients", patients, _SEED)
    run.say(f"1. {plural(patients, 'invented patient')} with several visits each: 8-bit PNG and 12-bit DICOM.")
    (out / "keys").mkdir(mode=0o700)
    cast = _Cast(*(generate(out / "keys" / f"{name}.key") for name in ("owner", "alice", "mallory")))
    run.say("2. Three keys: the owner, Alice, and Mallory, to whom nothing is granted.")
    return cast


def _originals(out: Path, suffix: str) -> list[Path]:
    return sorted((out / "patients" / "images").rglob(f"*.{suffix}"))


def _release(out: Path, name: str, suffix: str, protection: str, cast: _Cast, run: Session) -> _Row:
    """Share the images of one kind with Alice, verify, open as Alice, and measure what she got."""
    from medveil.releases.opening import open_release
    from medveil.releases.settings import ShareSettings
    from medveil.releases.sharing import share
    from medveil.releases.verifying import verify

    originals = _originals(out, suffix)
    settings = ShareSettings(to=(cast.alice.recipient,), protection=protection)
    shared = share(originals, out / name, settings, owner=cast.owner, progress=run.progress)
    if shared.failed:
        raise MedveilError(f"the demo itself failed: {shared.failed[0].message}")
    verdict = verify(out / name, owner=cast.owner.recipient)
    run.say(f"3. {name}: shared with Alice; {verdict.words} without a key.")
    opened = open_release(out / name, out / "opened" / name, identity=cast.alice, owner=cast.owner.recipient)
    if opened.failed or opened.done != len(originals):
        raise MedveilError(f"the demo itself failed: {opened.done} of {len(originals)} images came back")
    return _measured(out, name, originals, shared, cast)


def _measured(out: Path, name: str, originals: list[Path], shared: ShareResult, cast: _Cast) -> _Row:
    from medveil import images
    from medveil.metrics.image_quality import psnr, rmse

    dbs, errors = [], []
    for original, opened in _pairs(out, name, originals, cast).items():
        before, after = images.read(original), images.read(opened)
        dbs.append(psnr(before.pixels, after.pixels, data_range=float((1 << before.bits_stored) - 1)))
        errors.append(rmse(before.pixels, after.pixels))
    count, size = len(dbs), sum(path.stat().st_size for path in originals)
    return _Row(name, count, size, shared.bytes, shared.pixels, sum(dbs) / count, sum(errors) / count)


def _pairs(out: Path, name: str, originals: list[Path], cast: _Cast) -> dict[Path, Path]:
    """Original -> what Alice opened. Her files are named for packages; which is which, only the owner can list."""
    from medveil.releases.listing import list_originals

    opened = {path.stem: path for path in (out / "opened" / name).rglob("*") if path.is_file()}
    packages = {entry.sha256: entry.package for entry in list_originals(out / name, cast.owner)}
    return {original: opened[packages[_digest(original)]] for original in originals}


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(out: Path, cast: _Cast, run: Session, patients: int) -> None:
    """A key without a grant is refused, and no patient's name is in a release or in what Alice opened."""
    from medveil.datasets.phantoms import patient_name
    from medveil.releases.opening import open_release

    try:
        open_release(out / "png-sealed", out / "opened" / "mallory", identity=cast.mallory)
    except NoFittingKeyError as refusal:
        run.say(f"4. Mallory tries to open it: refused ({refusal.message}).")
    else:
        raise MedveilError("the demo itself failed: a key without a grant opened a release")
    names = [patient_name(number).encode() for number in range(patients)]
    folders = ("png-sealed", "png-encrypted", "dicom-sealed", "opened")
    files = [path for folder in folders for path in (out / folder).rglob("*") if path.is_file()]
    if any(name in path.read_bytes() for path in files for name in names):
        raise MedveilError("the demo itself failed: a patient's name got out")
    run.say(f"5. The patients' names are in the DICOM originals, and in none of {plural(len(files), 'other file')}.")


def _draw(out: Path, cast: _Cast) -> None:
    from medveil import images
    from medveil.cli.demo_picture import Panel, draw
    from medveil.releases.inspecting import stranger_picture
    from medveil.releases.listing import list_originals

    panels = []
    for original in _most_telling(out / "patients"):
        name = "png-sealed" if original.suffix == ".png" else "dicom-sealed"
        (opened,) = _pairs(out, name, [original], cast).values()
        packages = {entry.sha256: entry.package for entry in list_originals(out / name, cast.owner)}
        before, after = images.read(original), images.read(opened)
        stranger = stranger_picture(out / name, packages[_digest(original)])
        top = (1 << before.bits_stored) - 1
        panels.append(Panel(_unit(before.pixels, top), stranger, _unit(after.pixels, top)))
    draw(panels, out / "picture.png")


def _most_telling(patients: Path) -> list[Path]:
    """Of each kind of file the first radiograph with something to see in the lungs."""
    import csv

    with (patients / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["label"] != "pneumonia")
    return [next(patients / row["image"] for row in rows if row["image"].endswith(kind)) for kind in (".png", ".dcm")]


def _unit(pixels: NDArray[np.generic], top: int) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(pixels, dtype=np.float64) / top


def _table(rows: list[_Row]) -> list[str]:
    head = f"{'release':15}{'images':>7}{'originals':>12}{'release':>11}{'bits/pixel':>12}{'PSNR dB':>9}{'RMSE':>7}"
    lines = [head, "-" * len(head)]
    for row in rows:
        sizes = f"{bytes_text(row.original_bytes):>12}{bytes_text(row.release_bytes):>11}"
        psnr = "exact" if math.isinf(row.psnr) else f"{row.psnr:.1f}"
        lines.append(f"{row.name:15}{row.images:>7}{sizes}{row.bits_per_pixel:>12.3f}{psnr:>9}{row.rmse:>7.2f}")
    lines.append("PSNR and RMSE (stored units) of the files that Alice opened; bytes of the whole release on disk.")
    lines.append("Invented pictures: real images behave differently, see docs/benchmarks.md.")
    return lines


def _record(row: _Row) -> dict[str, object]:
    return {
        "name": row.name, "images": row.images, "original_bytes": row.original_bytes,
        "release_bytes": row.release_bytes, "bits_per_pixel": round(row.bits_per_pixel, 4),
        "psnr": None if math.isinf(row.psnr) else round(row.psnr, 3), "rmse": round(row.rmse, 4),
    }  # fmt: skip


def _what_next(out: Path) -> list[str]:
    return [
        f"Everything is in {out}/. With your own images:",
        "  medveil keygen -o alice.key                         # whoever is to receive: makes alice.key and alice.pub",
        "  medveil share my-images/ --to alice.pub -o release/ # you: share with the .pub file",
        "  medveil verify release/                             # anybody",
        "  medveil open release/ -i alice.key -o opened/       # the receiver",
    ]
