"""python -m tests.locks [KIND ...]: store what is so now, deliberately. Without a kind: all of them.

`releases` makes the stored releases anew, and is only done when it is named: no change of the code asks for it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.locks import audits, commands, names, releases, stored


def _commands(folder: Path) -> Any:
    for name in ("session", "demo"):
        (folder / name).mkdir()
    return {"session": commands.commands(folder / "session"), "demo": commands.demo(folder / "demo")}


_KINDS: dict[str, Callable[[Path], Any]] = {
    "names": lambda _: names.names(),
    "purposes": lambda _: names.purposes(),
    "commands": _commands,
    "audits": lambda folder: audits.every(releases.unpacked(folder), audits.KINDS),
    "audits-whole": lambda folder: audits.every(releases.unpacked(folder), audits.WHOLE),
}


def main(asked: list[str]) -> None:
    unknown = set(asked) - {*_KINDS, "releases"}
    if unknown:
        sys.exit(f"there is no lock {', '.join(sorted(unknown))}; there are {', '.join(_KINDS)}, and releases")
    for kind in ["releases"] * ("releases" in asked) + [kind for kind in _KINDS if kind in asked or not asked]:
        with tempfile.TemporaryDirectory() as folder:
            if kind == "releases":
                releases.make(Path(folder))
            else:
                stored.write(kind, _KINDS[kind](Path(folder)))
        print(f"stored: {kind}")


if __name__ == "__main__":
    main(sys.argv[1:])
