"""The `medveil` program in fresh processes, with keys, settings and pins in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Program:
    """`medveil` as a user calls it.

    Attributes:
        folder: where it keeps its keys; `owner` shares, `alice` receives and sees no identity metadata.
    """

    folder: Path

    @classmethod
    def prepare(cls, folder: Path, *options: str) -> Program:
        """The program with two fresh keys, made with these options of `medveil keygen`."""
        folder.mkdir(parents=True, exist_ok=True)
        program = cls(folder)
        for name in ("owner", "alice"):
            if not program.key(name).exists():
                program.run("keygen", "-o", str(program.key(name)), *options)
        return program

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "medveil", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        homes = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
        return {**os.environ, **dict.fromkeys(homes, str(self.folder))}

    def run(self, *arguments: str) -> dict[str, Any]:
        """What the program prints with --json. Raises RuntimeError when it does not end with 0."""
        done = subprocess.run(
            self.command(*arguments, "--json"), capture_output=True, text=True, env=self.environment, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"medveil {arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)

    def share(self, inputs: list[Path], out: Path, *options: str) -> dict[str, Any]:
        """Share with alice, who may not see identity metadata."""
        paths = [str(path) for path in inputs]
        to = str(self.key("alice").with_suffix(".pub"))
        return self.run("share", *paths, "-i", str(self.key("owner")), "--to", to, "-o", str(out), *options)

    def open(self, release: Path, out: Path) -> dict[str, Any]:
        """Open as alice."""
        return self.run("open", str(release), "-i", str(self.key("alice")), "-o", str(out))

    def pairs(self, release: Path, opened: Path) -> dict[str, Path]:
        """Name of each original -> the file that alice got, as only the owner can list it."""
        listed = self.run("list", str(release), "-i", str(self.key("owner")))["packages"]
        files = {path.stem: path for path in opened.rglob("*") if path.is_file()}
        return {Path(row["original"]).name: files[row["package"]] for row in listed}


def release_bytes(folder: Path) -> int:
    """Bytes of every file of a release."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
