"""Learn the population that comes with medveil for the method `cohort`: `python -m tools.learn_cohort`.

From the shared `train` fold of the sources whose licence allows any use (nih, kermany, hannover); what fits is said by
the `val` fold. Model and card are written into the package.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from benchmarks.provenance import clean_commit
from benchmarks.shared_images import shared_folder
from tools.train_weights import DATA, images_allowed

from medveil.anonymizers.cohort import WEIGHTS, Cohort
from medveil.anonymizers.learning import Learning
from medveil.datasets.manifest import match_rows, read_manifest
from medveil.files.atomic import write_bytes


def main() -> None:
    """Learn and ship."""
    argparse.ArgumentParser(prog="python -m tools.learn_cohort", description=__doc__).parse_args()
    folder = shared_folder() / "cxr"
    rows = [row for row in match_rows(read_manifest(folder / "manifest.csv"), images_allowed(folder)).rows if row]
    sides = [tuple(row for row in rows if row.fold == fold) for fold in ("train", "val")]
    learned = Cohort().learn(Learning(sides[0], sides[1]))
    facts = {**learned.facts, "learned from": DATA, "commit": clean_commit() or "uncommitted"}
    model = replace(learned, facts=facts).written()
    WEIGHTS.parent.mkdir(exist_ok=True)
    write_bytes(WEIGHTS, model.to_bytes(), overwrite=True)
    write_bytes(WEIGHTS.with_suffix(".md"), model.card(_PUBLIC).encode(), overwrite=True)
    print(f"{WEIGHTS.stat().st_size} bytes, sha256 {model.digest.hex()}")


_PUBLIC = (
    "What chest radiographs in front view have in common: a mean, principal components, and the covariance within "
    "classes. It is public, and learned from public images. `python -m tools.learn_cohort` makes it again. Pictures of "
    "another kind are refused by how much of their variance is explained and by how far they scatter; for those, and "
    "for better pictures of one hospital, learn a model with `medveil train --anonymizer cohort`."
)


if __name__ == "__main__":
    main()
