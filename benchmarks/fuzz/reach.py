"""Which branches of the readers the corpora of the fuzzer reach, alone and together with the tests (coverage.py)."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.provenance import PACKAGE, REPOSITORY

MODULES = (
    "files/canonical.py",
    *(f"releases/{name}.py" for name in ("ledger", "manifest", "package", "identity", "book", "unpacking")),
    *(
        f"keys/{name}.py"
        for name in ("agefile", "grants", "hybrid", "keyfiles", "openers", "passphrases", "recipients")
    ),
    *(f"keys/{name}.py" for name in ("bech32", "certificates", "sshkeys")),
    *(f"codecs/{name}.py" for name in ("entropy", "symbols", "varints", "side", "padding_mask", "dc_plane", "lapped")),
    *(f"codecs/{name}.py" for name in ("ranking", "zones", "exact", "residual", "residual_stream", "jpegls")),
    *(
        f"protection/{name}.py"
        for name in ("ambiguation", "encrypting", "enumerative", "padding", "sealing", "support")
    ),
    *(f"images/{name}.py" for name in ("record", "png", "tiff", "tiff_directory", "nifti")),
    *(f"images/dicom/{name}.py" for name in ("attributes", "elements", "pixels", "records", "writer")),
)
_CODECS = ("entropy", "exact", "lapped", "lapped_order", "lapped_side", "nulls", "preview", "residual")
_RELEASES = ("access", "book", "fuzz", "granting", "hostile", "ledger", "share_open", "tiers_open", "verify")
_TESTS = (
    *(f"tests/{name}" for name in ("files", "keys", "protection", "images")),
    *(f"tests/codecs/test_{name}.py" for name in _CODECS),
    *(f"tests/releases/test_{name}.py" for name in _RELEASES),
)


def measure(work: Path, *, tests: bool = True) -> dict[str, Any]:
    """Branches of each module: all, those that the corpora below `work` reach, those that these and the tests reach."""
    for path in work.glob(".coverage*"):
        path.unlink()
    _run(work, "corpora", ["-m", "benchmarks.fuzz.reach", "--replay", str(work / "corpus")])
    names = ["corpora"]
    alone = _report(work, names)
    if tests:
        _run(work, "tests", ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not gpu", *_TESTS])
        names.append("tests")
    both = _report(work, names)
    rows = {
        module: {"branches": both[module][0], "by_fuzzing": alone[module][1], "with_tests": both[module][1]}
        for module in MODULES
    }
    total = [sum(row[name] for row in rows.values()) for name in ("branches", "by_fuzzing", "with_tests")]
    return {
        "branches": total[0],
        "share_by_fuzzing": round(total[1] / total[0], 4),
        "share_with_tests": round(total[2] / total[0], 4),
        "modules": rows,
    }


def _run(work: Path, name: str, arguments: list[str]) -> None:
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "coverage",
        "run",
        "--branch",
        f"--source={PACKAGE}",
        f"--data-file={work / '.coverage'}.{name}",
    ]
    with (work / f"coverage-{name}.log").open("w") as output:
        subprocess.run(
            [*command, *arguments], cwd=REPOSITORY, env=environment, stdout=output, stderr=output, check=False
        )


def _report(work: Path, names: list[str]) -> dict[str, tuple[int, int]]:
    """(branches, reached ones) of each module in the data of these names together."""
    import coverage

    found = coverage.Coverage(data_file=str(work / ".coverage.report"), branch=True)
    found.combine([str(work / f".coverage.{name}") for name in names], keep=True)
    path = work / "coverage.json"
    found.json_report(outfile=str(path))
    files = json.loads(path.read_text())["files"]
    by_module = {Path(name).resolve(): entry["summary"] for name, entry in files.items()}
    summaries = {module: by_module[(PACKAGE / module).resolve()] for module in MODULES}
    return {module: (each["num_branches"], each["covered_branches"]) for module, each in summaries.items()}


def replay(corpora: Path) -> None:
    """Read every input of every corpus."""
    import re

    from benchmarks.fuzz.target import Bound
    from benchmarks.fuzz.targets import TARGETS
    from medveil.errors import MedveilError

    for target in TARGETS:
        folder = corpora / re.sub(r"[^a-zA-Z0-9]+", "-", target.name)
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            try:
                target.read(path.read_bytes(), Bound())
            except MedveilError:
                continue
            except Exception as error:  # noqa: BLE001 - the fuzzer reports it
                print(f"{target.name}: {path.name}: {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--replay", type=Path, required=True)
    replay(parser.parse_args().replay)
