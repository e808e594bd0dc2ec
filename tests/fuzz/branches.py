"""Which branches of the parsers the corpus reaches (coverage.py): `python -m tests.fuzz.branches`.

The corpus of a target are its seeds and a number of changes of them, drawn with a fixed seed. A parser is every
module that reads bytes from outside: a stranger's image file, or a release, key or grant of a hostile owner.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import mutate_record, random_bytes
from tests.fuzz.target import Bound, Target

from medveil.errors import MedveilError

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "medveil"
CHANGES = 600
PARSERS = (
    "files/canonical.py",
    "files/names.py",
    *(
        f"images/{name}.py"
        for name in ("compressed_headers", "colour_form", "jpeg", "formats", "nifti", "png", "record")
    ),
    *(f"images/{name}.py" for name in ("record", "tiff", "tiff_directory")),
    *(f"images/dicom/{name}.py" for name in ("attributes", "compressed", "elements", "parser", "pixels", "reader")),
    *(f"images/dicom/{name}.py" for name in ("records", "transfer_syntax")),
    *(f"keys/{name}.py" for name in ("agefile", "bech32", "certificates", "grants", "hybrid", "identity", "keyfiles")),
    *(f"keys/{name}.py" for name in ("openers", "passphrases", "recipients", "sshkeys")),
    *(f"releases/packages/{name}.py" for name in ("origin", "package", "unpacking")),
    *(f"releases/records/{name}.py" for name in ("ledger", "manifest", "owner_records", "state")),
    *(f"codecs/{name}.py" for name in ("entropy", "padding_mask", "symbols", "varints")),
    *(f"codecs/lapped/{name}.py" for name in ("cell_ranking", "codec", "dc_plane", "scan_order", "side_information")),
    "codecs/lapped/significance.py",
    *(f"codecs/residual/{name}.py" for name in ("coder", "exact", "jpegls", "stream")),
    "codecs/primis/weights_file.py",
    *(f"protection/{name}.py" for name in ("ambiguation", "encrypting", "enumerative", "padding", "sealing")),
    "protection/support.py",
)

# In the same modules, and no parser: what writes keys, codes and public bytes, and what opens a file by its path.
LEFT_OUT = {
    "keys/identity.py": ("generate", "check_targets", "default_identity"),
    "codecs/residual/exact.py": ("encode_exact",),
    "codecs/residual/jpegls.py": ("encode",),
    "codecs/lapped/codec.py": ("LappedCodec.profile", "LappedCodec.encode"),
    "protection/ambiguation.py": ("ambiguate",),
    "protection/sealing.py": ("reseal", "seal_with", "xor"),
    "images/formats.py": ("_content",),
}


def corpus(target: Target, changes: int) -> Iterator[bytes]:
    """The seeds, and so many changes of them, drawn with a fixed seed; keys and nonces in the seeds are new ones."""
    seeds, draw = target.seeds(), random.Random(target.name)
    yield from seeds
    for _ in range(changes):
        seed = draw.choice(seeds)
        if target.is_record:
            yield mutate_record(seed, target.longest, draw, random_bytes)
        else:
            yield random_bytes(seed, target.longest, draw)


def read_all(changes: int, folder: Path | None = None) -> list[str]:
    """Read the corpus of every target, and what `campaign` found below a folder; what went wrong, in words."""
    from tests.fuzz.targets import TARGETS

    wrong = []
    for target in TARGETS:
        found = folder / target.file_name if folder else None
        kept = [path.read_bytes() for path in sorted(found.iterdir())] if found and found.is_dir() else []
        for number, data in enumerate([*corpus(target, round(changes * target.share)), *kept]):
            try:
                target.read(data, Bound())
            except MedveilError:
                continue
            except Exception as error:  # noqa: BLE001 - any other one is a finding
                wrong.append(f"{target.name}, input {number}: {type(error).__name__}: {error}")
    return wrong


def measure(changes: int = CHANGES, folder: Path | None = None) -> dict[str, tuple[int, int]]:
    """(branches, those of them that were reached) of every parser.

    Raises:
        AssertionError: an input ended in another exception than medveil's own.
    """
    import coverage

    with tempfile.TemporaryDirectory() as name:
        data, report = Path(name) / "coverage", Path(name) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "run", "--branch", f"--source={PACKAGE}", f"--data-file={data}"]
        command += ["-m", "tests.fuzz.branches", "--read", str(changes), *(["--corpus", str(folder)] if folder else [])]
        paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "HOME": name}
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        read = coverage.Coverage(data_file=str(data), branch=True)
        read.load()
        read.json_report(outfile=str(report), pretty_print=False)
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    by_module = {str(Path(REPOSITORY / file).relative_to(PACKAGE)): entry for file, entry in files.items()}
    return {each: _branches_of(each, by_module[each]) for each in PARSERS}


def _branches_of(module: str, entry: Mapping[str, Any]) -> tuple[int, int]:
    """Of a module's entry in coverage.py's report, without the functions that are no parsers."""
    left_out = [entry["functions"][name]["summary"] for name in LEFT_OUT.get(module, ())]
    count, reached = (
        entry["summary"][what] - sum(each[what] for each in left_out) for what in ("num_branches", "covered_branches")
    )
    return count, reached


def table(found: dict[str, tuple[int, int]]) -> str:
    """One line a module, the least covered first, then all together."""
    rows = sorted(found.items(), key=lambda row: row[1][1] / max(row[1][0], 1))
    rows.append(("all parsers", (sum(row[0] for row in found.values()), sum(row[1] for row in found.values()))))
    return "\n".join(
        f"{name:32} {reached:5} of {count:5} {reached / max(count, 1):7.1%}" for name, (count, reached) in rows
    )


def main() -> None:
    """Measure and print; with --read, only read the corpus."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.branches", description=__doc__)
    parser.add_argument("--changes", type=int, default=CHANGES, help="changed inputs a target")
    parser.add_argument("--corpus", type=Path, help="also the inputs that the campaign kept there: its WORK/corpus")
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read is None:
        print(table(measure(asked.changes, asked.corpus)))
        return
    wrong = read_all(asked.read, asked.corpus)
    if wrong:
        sys.exit("\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
