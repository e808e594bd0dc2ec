"""Decoys of level `obfuscated`, and those of the published law, against the strongest attacker: codec primis, S = 16.

Published law: what the values alone give away. Matched decoys, for S_n / S_x = 1, 3, 7 and all empty cells: public bits
a pixel, support and picture of the attack that is strongest on the attacker's own validation images.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacking import (
    SEED,
    Bench,
    Sizes,
    attack_round,
    key_holder,
    mean_picture,
    public_code_bits,
    strongest,
    summary,
)  # fmt: skip
from benchmarks.benchmark import Measured, Parts
from medveil.attacks.support.thresholds import gap
from medveil.audit.audit_run import fixed_threads
from medveil.audit.protocol import Round
from medveil.mechanisms.controls import RATIOS, SPARSITY, decoy_curve, reference_decoys
from medveil.mechanisms.mechanism import Mechanism

REFERENCE_ATTACKS = ("value-threshold", "naive-decode", "likelihood-ratio", "support-network")
MATCHED_ATTACKS = ("naive-decode", "likelihood-ratio", "support-network", "code-decoder", "unet")
SIZES = Sizes()


def support_of_values(trial: Round) -> dict[str, float]:
    """What the values of the public code say of the true support, without any statistics; means over images.

    Returns:
        negatives_found: share of the true negative entries among the smallest values of their map, as many as there
            are; negatives_exact: share of the images where these are exactly all of them; true_below_gap: share of all
            true entries below the gap; decoys_above_gap: share of the decoys above it.
    """
    rows = []
    for target in trial.tested:
        code, seen = target.case.code, target.case.observation
        if code is None:
            raise ValueError("decoys hide codes")
        found = [0, 0, 0, 0, 0, 0]
        for true, shown in zip(code.maps, seen.maps, strict=True):
            border = gap(shown)
            is_true = np.isin(shown.positions, true.positions)
            negative = is_true & (shown.values < 0)
            count = int(negative.sum())
            smallest = np.zeros(len(shown.values), bool)
            smallest[np.argsort(shown.values, kind="stable")[:count]] = True
            below = shown.values < border if border is not None else np.ones(len(shown.values), bool)
            pairs = (smallest & negative, negative, below & is_true, is_true, ~below & ~is_true, ~is_true)
            found = [total + int(mask.sum()) for total, mask in zip(found, pairs, strict=True)]
        rows.append((found[0] / found[1], found[0] == found[1], found[2] / found[3], found[4] / found[5]))
    means = np.mean(np.array(rows, float), axis=0)
    names = ("negatives_found", "negatives_exact", "true_below_gap", "decoys_above_gap")
    return {name: round(float(value), 6) for name, value in zip(names, means, strict=True)}


def published(trial: Round, patients: NDArray[np.int64], side: int) -> dict[str, Any]:
    """What is public, and what a key holder and a guess without any package reach."""
    space = trial.knowledge.mechanism.space
    if space is None:
        raise ValueError("decoys hide codes")
    seen = [target.case.observation for target in trial.tested]
    return {
        "public_bpp": round(float(np.mean([public_code_bits(each) for each in seen])) / side**2, 5),
        "entries": round(float(np.mean([sum(len(shown.positions) for shown in each.maps) for each in seen])), 1),
        "key_holder_psnr": summary(key_holder(trial, space), patients),
        "mean_picture": {key: summary(values, patients) for key, values in mean_picture(trial).items()},
    }


def measure(sizes: Sizes, keep: Path | None, ratios: int) -> dict[str, Any]:
    """All rows."""
    bench = Bench.of(sizes)
    kept = Parts(keep, benchmark="decoy_curve", sizes=asdict(sizes), seed=SEED)

    def law() -> dict[str, Any]:
        trial = bench.round_of(reference_decoys().make(bench.setup), "reference-decoys")
        attacks = [attack_round(name, trial) for name in REFERENCE_ATTACKS]
        about = published(trial, bench.patients, sizes.side)
        return {**about, **support_of_values(trial), "attacks": attacks}

    def matched(ratio: int | None, mechanism: Mechanism, name: str) -> dict[str, Any]:
        trial = bench.round_of(mechanism, name)
        attacks = [attack_round(each, trial) for each in MATCHED_ATTACKS]
        best = {figure: strongest(attacks, figure) for figure in ("psnr", "support_auc")}
        names = {figure: row["attack"] for figure, row in best.items() if row is not None}
        about = published(trial, bench.patients, sizes.side)
        return {"ratio": ratio, **about, "attacks": attacks, "strongest": names}

    reference = kept.part("reference", law)
    rows = []
    for ratio, control in list(zip(RATIOS, decoy_curve(), strict=True))[:ratios]:
        mechanism = control.make(bench.setup)
        rows.append(kept.part(control.name, lambda r=ratio, m=mechanism, n=control.name: matched(r, m, n)))
    return {"sparsity": SPARSITY, "side": sizes.side, "threads": sizes.threads, "steps": sizes.steps,
            "counts": bench.counts(), "reference": reference, "matched": rows}  # fmt: skip


def run(sizes: Sizes = SIZES, keep: Path | None = None, ratios: int = len(RATIOS)) -> Measured:
    """Decoys of level `obfuscated`, and those of the published law, against the strongest attacker."""
    with fixed_threads(sizes.threads):
        results = measure(sizes, keep, ratios)
    return Measured(results, results["counts"]["tested"], SEED)
