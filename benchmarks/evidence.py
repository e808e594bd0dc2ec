"""`python -m benchmarks.evidence`: run every benchmark, write evidence/*.json, the plots and the documents' tables."""

from __future__ import annotations

import argparse
import importlib
import importlib.util

from benchmarks import club_plot, documents, plot, utility_plot
from benchmarks.provenance import load, save
from benchmarks.tables import NAMES


def regenerate(names: list[str]) -> None:
    """Run the named benchmarks and store what they found."""
    for name in names:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            print(f"{name}: there is no such benchmark here")
            continue
        print(f"{name}:", flush=True)
        save(importlib.import_module(f"benchmarks.{name}").run())


def main() -> None:
    """Parse, run, rewrite."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="run this benchmark only; repeatable")
    parser.add_argument("--tables", action="store_true", help="run nothing; plots and tables from the stored evidence")
    asked = parser.parse_args()
    if not asked.tables:
        regenerate(asked.only or list(NAMES))
    for name, drawing in (("rate_fidelity", plot), ("club", club_plot), ("utility_radiomics", utility_plot)):
        found = load(name)
        if found is not None:
            drawing.draw(found)
    changed = documents.rewrite()
    print(f"rewritten: {', '.join(changed) or 'nothing; the documents were up to date'}")


if __name__ == "__main__":
    main()
