"""grant and rotate: time, length and touched files of a grant in a large release; rotating beside sharing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from benchmarks.benchmark import Measured
from benchmarks.program import Program

SEED = 0
PACKAGES = 1000
ROTATED = 24
ROUNDS = 5
KINDS = ("mlkem768x25519", "X25519", "ssh-ed25519", "ssh-rsa, 4096 bits", "certificate, RSA 3072 bits")


def measure(work: Path) -> dict[str, Any]:
    """All figures; files are made below `work`."""
    program = Program.prepare(work)
    return {"grant": granting(program, work), "rotate": rotating(program, work)}


def granting(
    program: Program, work: Path, *, packages: int = PACKAGES, rounds: int = ROUNDS, kinds: Sequence[str] = KINDS
) -> dict[str, Any]:
    """One more recipient of each kind in a release of so many tiny images, as often as `rounds` says."""
    originals, release = work / "tiny", work / "large"
    _pictures(originals, packages, 64)
    program.share([originals], release, "--protection", "encrypted")  # quicker to make, and as long to grant
    rows = []
    recipients = _recipients(program, work)
    for kind in kinds:
        public = recipients[kind]
        before, seconds, change = _files(release), [], set()
        for turn in range(rounds):
            recipient = str(public(turn))
            start = time.perf_counter()
            program.run(
                "grant", str(release), "-i", str(program.key("owner")), "--to", recipient,
                "--allow-classical", "--allow-certificates",
            )  # fmt: skip
            seconds.append(time.perf_counter() - start)
            after = _files(release)
            change = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
            before = after
        written = {name: after[name][0] for name in change}
        grant = next(size for name, size in written.items() if name.startswith("grants/"))
        rows.append(
            {
                "kind": kind, "grant_bytes": grant,
                "ledger_bytes": next(size for name, size in written.items() if name.startswith("ledger/")),
                "touched": sorted(name.split("/")[0] for name in change),
                "median_seconds_of_the_program": float(np.median(seconds)),
                "seconds_in_the_library": _in_library(program, release, public(rounds)),
            }
        )  # fmt: skip
    return {"packages": packages, "rows": rows}


def _in_library(program: Program, release: Path, public: Path) -> float:
    """Seconds of one grant in a process that has everything imported, of the second of two grants."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from medveil.keys.identity import Identity; from medveil.keys.recipients import Recipient\n"
        "from medveil.releases.granting import Request, grant, revoke\n"
        "owner, one = Identity.load(Path(sys.argv[2])), Recipient.load(Path(sys.argv[3]))\n"
        "request = Request((one,), {}, allow_classical=True, allow_certificates=True)\n"
        "dry = Request((owner.recipient,), {})\n"
        "grant(Path(sys.argv[1]), dry, owner); start = time.perf_counter()\n"
        "grant(Path(sys.argv[1]), request, owner); print(time.perf_counter() - start)"
    )
    command = [program.command()[0], "-c", code, str(release), str(program.key("owner")), str(public)]
    done = subprocess.run(command, capture_output=True, text=True, env=program.environment, check=True)
    return float(done.stdout)


def rotating(program: Program, work: Path) -> dict[str, Any]:
    """Share and rotate the same images of 512 x 512, on one core, by turns."""
    originals = work / "large-pictures"
    _pictures(originals, ROTATED, 512)
    rows = []
    for protection in ("sealed", "encrypted"):
        shared, rotated = [], []
        for turn in range(3):
            release = work / f"{protection}-{turn}"
            shared.append(program.share([originals], release, "--protection", protection, "-j", "1")["seconds"])
            rotated.append(program.run("rotate", str(release), "-i", str(program.key("owner")), "-j", "1")["seconds"])
        share, rotate = float(np.median(shared)) / ROTATED, float(np.median(rotated)) / ROTATED
        rows.append(
            {
                "protection": protection, "share_seconds_a_package": share, "rotate_seconds_a_package": rotate,
                "share_over_rotate": share / rotate,
            }
        )  # fmt: skip
    return {"packages": ROTATED, "rows": rows}


def _recipients(program: Program, work: Path) -> dict[str, Any]:
    """For each kind of key, a function that makes a fresh public key file."""

    def keygen(*options: str) -> Any:
        def make(turn: int) -> Path:
            key = work / f"{'-'.join(options) or 'hybrid'}{turn}.key"
            program.run("keygen", "-o", str(key), *options)
            return key.with_suffix(".pub")

        return make

    def ssh(kind: str, *options: str) -> Any:
        def make(turn: int) -> Path:
            key = work / f"ssh-{kind}{turn}"
            subprocess.run(["ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-f", str(key)], check=True)
            return key.with_suffix(".pub")

        return make

    def certificate(turn: int) -> Path:
        path = work / f"certificate{turn}.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "30", "-subj", "/CN=benchmark",
             "-keyout", str(path.with_suffix(".key.pem")), "-out", str(path)],
            check=True, capture_output=True,
        )  # fmt: skip
        return path

    return {
        "mlkem768x25519": keygen(),
        "X25519": keygen("--classical"),
        "ssh-ed25519": ssh("ed25519"),
        "ssh-rsa, 4096 bits": ssh("rsa", "-b", "4096"),
        "certificate, RSA 3072 bits": certificate,
    }


def _pictures(folder: Path, count: int, side: int) -> None:
    """Phantom-like pictures: a smooth field, a disc and noise."""
    folder.mkdir()
    generator = np.random.default_rng(SEED)
    rows, columns = np.mgrid[:side, :side] / side
    for number in range(count):
        x, y, size = generator.uniform(0.3, 0.7, 3)
        disc = 60 * (np.hypot(rows - x, columns - y) < size / 3)
        picture = 90 + 50 * np.sin(3 * rows + 5 * x) * np.cos(4 * columns + y) + disc
        noisy = picture + generator.normal(0, 2, picture.shape)
        Picture.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{number:04d}.png")


def _files(release: Path) -> dict[str, tuple[int, bytes]]:
    """Length and content of every file of a release."""
    found = {}
    for path in release.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found[path.relative_to(release).as_posix()] = (len(data), data)
    return found


def run(work: Path) -> Measured:
    """Time, length and touched files of a grant in a large release; rotating beside sharing."""
    settings = {"packages": PACKAGES, "rotated": ROTATED, "rounds": ROUNDS}
    return Measured(measure(work), PACKAGES + ROTATED, SEED, settings)
