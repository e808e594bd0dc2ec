"""Speed, start-up, memory and grant size, beside JPEG 2000 and JPEG XL with AES-GCM in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image as Picture

from benchmarks.benchmark import Measured
from benchmarks.program import Program
from benchmarks.shared_images import Radiograph, full_size, grey, radiographs

SEED = 0
ROUNDS = 7
_DEEP_SIDE = 3000
_GRANT_COUNTS = (1, 10, 100)

_LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
sys.stderr.buffer.write(done.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""
"""Runs a command from a small process, since a child's peak begins at its parent's."""

_LISTER = """
import atexit, runpy, sys
atexit.register(lambda: print("torch" in sys.modules, file=sys.stderr))
sys.argv = ["medveil", *sys.argv[1:]]
runpy.run_module("medveil", run_name="__main__")
"""
"""Runs medveil and says on stderr, as its last line, whether torch was imported."""


def measure(work: Path) -> dict[str, Any]:
    """All figures; files are made below `work`."""
    program = Program.prepare(work)
    return {
        "large": _said("1024 x 1024", lambda: large_image(work)),
        "start_up": _said("start-up", lambda: start_up(program, work)),
        "memory": _said("memory", lambda: memory(program, work)), "grants": _said("grants", lambda: grants(work)),
        "demo": _said("demo", lambda: demo(program, work)),
    }  # fmt: skip


def large_image(work: Path) -> dict[str, Any]:
    """Share + open of one 1024 x 1024 radiograph in this process, after a first round that is not counted.

    Every way reads the PNG from disk, writes its protected file, reads it back and writes a PNG. The ways take turns,
    so that whatever else the machine does falls on all of them.
    """
    source = full_size(1024).full
    assert source is not None
    ways = {"medveil sealed": _medveil(work, "sealed"), "medveil encrypted": _medveil(work, "encrypted")}
    ways |= {"JPEG 2000 + AES-GCM": _sealed_by(work, "JPEG 2000"), "JPEG XL + AES-GCM": _sealed_by(work, "JPEG XL")}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, way in ways.items():
            place = work / f"{turn}-{name.replace(' ', '-')}"
            place.mkdir()
            start, used = time.perf_counter(), _processor_seconds()
            way(source, place)
            if turn:
                wall[name].append(time.perf_counter() - start)
                processor[name].append(_processor_seconds() - used)
    rows = [
        {
            "name": name, "median_seconds": float(np.median(wall[name])), "best_seconds": min(wall[name]),
            "cpu_seconds": float(np.median(processor[name])),
            "times_jpeg_2000": float(np.median(np.array(wall[name]) / np.array(wall["JPEG 2000 + AES-GCM"]))),
        }
        for name in ways
    ]  # fmt: skip
    return {"pixels": 1024 * 1024, "rounds": ROUNDS, "rows": rows}


def start_up(program: Program, work: Path) -> dict[str, Any]:
    """Seconds of `medveil --help`, and of share and open of one 448-pixel radiograph, each a new process."""
    image = next(one for one in radiographs("test") if max(grey(one.path).shape) == 448)
    helping, sharing, opening = [], [], []
    for turn in range(ROUNDS):
        release, opened = work / f"small-{turn}", work / f"small-{turn}-opened"
        start = time.perf_counter()
        subprocess.run(program.command("--help"), capture_output=True, check=True, env=program.environment)
        helping.append(time.perf_counter() - start)
        start = time.perf_counter()
        program.share([image.path], release)
        sharing.append(time.perf_counter() - start)
        start = time.perf_counter()
        program.open(release, opened)
        opening.append(time.perf_counter() - start)
    both = [a + b for a, b in zip(sharing, opening, strict=True)]
    return {
        "rounds": ROUNDS, "help_median_seconds": float(np.median(helping)), "help_best_seconds": min(helping),
        "share_open_median_seconds": float(np.median(both)), "share_open_best_seconds": min(both),
        "torch_imported": _imports_torch(program, image, work),
    }  # fmt: skip


def memory(program: Program, work: Path) -> dict[str, Any]:
    """Peak resident memory of share and of open of a 3000 x 3000 16-bit image, each in a process of its own."""
    path, release, opened = work / "deep.png", work / "deep", work / "deep-opened"
    Picture.fromarray(deep_image()).save(path)
    to = str(program.key("alice").with_suffix(".pub"))
    share = ["share", str(path), "-i", str(program.key("owner")), "--to", to, "-o", str(release), "-q"]
    opening = ["open", str(release), "-i", str(program.key("alice")), "-o", str(opened), "-q"]
    return {
        "side": _DEEP_SIDE, "share_mib": _peak_mib(program, share), "open_mib": _peak_mib(program, opening),
        "floor_mib": _peak_mib(program, ["--help"]),
    }  # fmt: skip


def deep_image() -> Any:
    """A radiograph enlarged to 3000 x 3000 and 16 bits, with noise of its own (SEED)."""
    source = full_size(1024).full
    assert source is not None
    large = Picture.fromarray(grey(source)).convert("F").resize((_DEEP_SIDE, _DEEP_SIDE), Picture.Resampling.BICUBIC)
    noise = np.random.default_rng(SEED).normal(0, 40, (_DEEP_SIDE, _DEEP_SIDE))
    return np.clip(np.asarray(large) * 257 + noise, 0, 65535).round().astype(np.uint16)


def grants(work: Path, counts: Sequence[int] = _GRANT_COUNTS) -> list[dict[str, Any]]:
    """Largest grant to classical keys (X25519) of releases of so many images."""
    classical = Program.prepare(work / "classical", "--classical")
    tiles = np.random.default_rng(SEED).integers(0, 256, (max(counts), 16, 16), dtype=np.uint8)
    paths = [work / f"tile-{number}.png" for number in range(len(tiles))]
    for tile, path in zip(tiles, paths, strict=True):
        Picture.fromarray(tile).save(path)
    rows = []
    for count in counts:
        release = work / f"grants-{count}"
        classical.share(paths[:count], release)
        sizes = [path.stat().st_size for path in (release / "grants").iterdir()]
        rows.append({"images": count, "largest_grant_bytes": max(sizes)})
    return rows


def demo(program: Program, work: Path) -> dict[str, Any]:
    """Seconds of `medveil demo`, which is what `make demo` runs after installing."""
    start = time.perf_counter()
    program.run("demo", "-o", str(work / "demo"))
    return {"seconds": time.perf_counter() - start}


def _medveil(work: Path, protection: str) -> Callable[[Path, Path], None]:
    from medveil.keys.identity import Identity
    from medveil.keys.recipients import Recipient
    from medveil.releases.opening import open_release
    from medveil.releases.settings import ShareSettings
    from medveil.releases.sharing import share

    owner, alice = Identity.load(work / "owner.key"), Identity.load(work / "alice.key")
    settings = ShareSettings(to=(Recipient.load(work / "alice.pub"),), protection=protection, jobs=1)

    def round_trip(source: Path, place: Path) -> None:
        share([source], place / "release", settings, owner=owner)
        open_release(place / "release", place / "opened", identity=alice)

    return round_trip


def _sealed_by(work: Path, name: str) -> Callable[[Path, Path], None]:
    """What a user would write by hand: a codec at about 40 dB, AES-256-GCM with a fresh key."""
    import imagecodecs as ic
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    def encode(pixels: Any) -> bytes:
        if name == "JPEG 2000":
            return ic.jpeg2k_encode(pixels, level=40.4, codecformat="j2k", reversible=False, numthreads=2)
        return ic.jpegxl_encode(pixels, distance=2.5, effort=7, numthreads=2)

    decode = ic.jpeg2k_decode if name == "JPEG 2000" else ic.jpegxl_decode

    def round_trip(source: Path, place: Path) -> None:
        key, nonce = AESGCM.generate_key(256), os.urandom(12)
        (place / "file").write_bytes(nonce + AESGCM(key).encrypt(nonce, encode(grey(source)), None))
        data = (place / "file").read_bytes()
        Picture.fromarray(decode(AESGCM(key).decrypt(data[:12], data[12:], None))).save(place / "opened.png")

    return round_trip


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _imports_torch(program: Program, image: Radiograph, work: Path) -> bool:
    to = str(program.key("alice").with_suffix(".pub"))
    release = str(work / "listed")
    share = ["share", str(image.path), "-i", str(program.key("owner")), "--to", to, "-o", release, "-q"]
    opening = ["open", release, "-i", str(program.key("alice")), "-o", str(work / "listed-opened"), "-q"]
    answers = []
    for arguments in (share, opening):
        done = subprocess.run(
            [sys.executable, "-c", _LISTER, *arguments], capture_output=True, text=True, check=True,
            env=program.environment,
        )  # fmt: skip
        answers.append(done.stderr.strip().splitlines()[-1] == "True")
    return any(answers)


def _peak_mib(program: Program, arguments: list[str]) -> float:
    command = [sys.executable, "-S", "-c", _LAUNCHER, *program.command(*arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=program.environment, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"medveil {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    peak = int(done.stdout)
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _said(name: str, make: Callable[[], Any]) -> Any:
    start = time.monotonic()
    found = make()
    print(f"  {name}: {time.monotonic() - start:.0f} s", flush=True)
    return found


def run(work: Path) -> Measured:
    """Speed, start-up, memory and grant size, beside JPEG 2000 and JPEG XL with AES-GCM in the same run."""
    with mock.patch.dict(os.environ, {"XDG_STATE_HOME": str(work)}):  # what is pinned in this process stays there
        return Measured(measure(work), 1, SEED, {"rounds": ROUNDS, "deep_side": _DEEP_SIDE})
