"""`python -m benchmarks`: run every benchmark and print its tables; nothing is written."""

from __future__ import annotations

import importlib
import importlib.util

from benchmarks.bars import bars_table
from benchmarks.tables import NAMES, text_of


def main() -> None:
    """Run and print."""
    collected = {}
    for name in NAMES:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            continue
        print(f"{name}:", flush=True)
        collected[name] = importlib.import_module(f"benchmarks.{name}").run()
        print(f"\n{text_of(collected[name])}\n", flush=True)
    print(bars_table(collected).text())


if __name__ == "__main__":
    main()
