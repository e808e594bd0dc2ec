"""An invented audit that has everything a report must be able to say."""

from __future__ import annotations

import math

import numpy as np

from medveil.audit.results import (
    AttackResult,
    Audit,
    ControlResult,
    Example,
    FidelityRow,
    Measured,
    Pairs,
    TierFidelity,
    Verdict,
)
from medveil.experiments.unit import Status

HOSTILE = "<script>alert('x')</script>&\"]]>"


def measured(metric="psnr", advantage=0.05, half=0.1, verdict=Verdict.NO_EVIDENCE, **changed):
    margin = {"psnr": 0.3, "ssim": 0.01}.get(metric, 0.05)
    baseline = {"psnr": 14.2, "ssim": 0.41}.get(metric, 0.5)
    values = {
        "metric": metric,
        "attacker": baseline + advantage,
        "baseline": baseline,
        "advantage": advantage,
        "ci": (advantage - half, advantage + half),
        "upper": advantage + 1.2 * half,
        "p": 0.2,
        "margin": margin,
        "smallest_visible": 2.5 * half,
        "worst": baseline + advantage + half,
        "patients": 31,
        "images": 64,
        "verdict": verdict,
    }
    return Measured(**(values | changed))


def attack(name="naive-decode", *found, verdict=None, mechanism="sealed", **changed):
    verdict = verdict or (found[0].verdict if found else None)
    title = name.replace("-", " ").capitalize()
    ended = {"status": Status.REFUSED if "refusal" in changed else Status.DONE, "seconds": 2.5}
    return AttackResult(name, title, mechanism, tuple(found), verdict, **(ended | changed))


def face(seed, side=48):
    rows, columns = np.mgrid[:side, :side]
    generator = np.random.default_rng(seed)
    plain = 120 + 80 * np.sin(rows / (5 + seed)) * np.cos(columns / 7)
    return np.clip(plain + 4 * generator.standard_normal((side, side)), 0, 255).astype(np.float32)


def examples(count=3):
    return tuple(Example(7 + n, face(n), face(n + 10), face(n + 20)) for n in range(count))


def pairs():
    generator = np.random.default_rng(5)
    same = np.arange(80) % 4 == 0
    score = (generator.standard_normal(80) + 0.7 * same).astype(np.float32)
    return Pairs(score, same, np.zeros((80, 2), np.int64))


def control(name, *results, positive=True, ok=None):
    by = tuple(result.name for result in results if result.verdict is Verdict.BROKEN)
    return ControlResult(name, name.capitalize(), positive, results, by, ok=bool(by) is positive if ok is None else ok)


def curve():
    found = []
    for share, psnr, area in ((0.1, 0.1, 0.005), (1, 0.4, 0.04), (10, 3.1, 0.21)):
        verdict = Verdict.BROKEN if share == 10 else Verdict.INCONCLUSIVE
        name = f"revealed-{share:g}"
        both = (measured("psnr", psnr, 0.3, verdict), measured("support_auc", area, 0.02, verdict))
        found.append(control(name, attack("code-decoder", *both, mechanism=name), ok=True))
    return found


def fidelity(pictures=True):
    rows = [("me", -0.01), ("mae", 1.9), ("rmse", 2.6), ("psnr", 40.11), ("ssim", 0.97), ("ms_ssim", 0.991)]
    generator = np.random.default_rng(2)
    original = generator.integers(0, 256, 20000)
    opened = np.clip(original + np.rint(3 * generator.standard_normal(20000)).astype(int), 0, 255)
    histogram = np.zeros((256, 256), np.int64)
    np.add.at(histogram, (original, opened), 1)
    told = tuple(FidelityRow(name, mean, 0.2, (mean - 0.05, mean + 0.05), 60, (3, 5)) for name, mean in rows)
    return TierFidelity("diagnostic", told, histogram, 0.9987, examples(2) if pictures else ())


def attacks(broken=True, pictures=True):
    strong = Verdict.BROKEN if broken else Verdict.INCONCLUSIVE
    shown = examples() if pictures else ()
    return (
        attack("naive-decode", measured("psnr"), measured("ssim", 0.002, 0.004), examples=shown),
        attack("linkage-code", measured("linkage_auc", 0.02, 0.02), extra={"tpr_at_fpr_0.01": 0.013}, pairs=pairs()),
        attack(
            "code-decoder", measured("psnr", 1.237, 0.4, strong, p=0.0004),
            measured("ssim", 0.013, 0.02, Verdict.INCONCLUSIVE),
            verdict=strong, examples=shown,
        ),
        attack("support-network", measured("support_auc", -0.011, 0.08, Verdict.INCONCLUSIVE)),
        attack("unet", measured("psnr", math.nan, math.nan, Verdict.INCONCLUSIVE), extra={"top_1": math.nan}),
        attack("intersection", refusal=f"one publication only {HOSTILE}", mechanism="sealed"),
    )  # fmt: skip


def controls():
    return (
        control("matched-decoys", attack("code-decoder", measured("psnr", 6.2, 0.5, Verdict.BROKEN)),
                attack("unet", measured("psnr", 2.0, 0.4, Verdict.BROKEN)), attack("naive-decode", measured())),
        control("seeded-decoys", attack("naive-decode", measured())),
        *curve(),
        control("random-codes", attack("code-decoder", measured()), positive=False),
    )  # fmt: skip


def audit(conclusion=Verdict.BROKEN, **changed):
    values = {
        "release": {"id": "3f9a07c1", "protection": "sealed", "codec": "lapped", "quality": 40.0, "packages": 64,
                    "tiers": ["diagnostic"], "bytes": 123456, "note": HOSTILE},
        "settings": {"preset": "quick", "seed": 4, "threads": 2, "medveil": "0.1.0", "attacks": ["naive-decode"],
                     "effort": {"steps": 120, "batch": 8}},
        "data": {"images": 64, "patients": 31, "folds": 2, "own_images": 80},
        "fidelity": (fidelity(),),
        "attacks": attacks(),
        "controls": controls(),
        "tasks": (),
        "conclusion": conclusion,
        "seconds": 431.0,
    }  # fmt: skip
    return Audit(**(values | changed))


def small(conclusion=Verdict.BROKEN, **changed):
    """One attack with pictures and nothing else: what is quick to draw."""
    shown = attack("code-decoder", measured("psnr", 1.2, 0.4, Verdict.BROKEN), examples=examples(1))
    return audit(conclusion, **({"attacks": (shown,), "controls": (), "fidelity": ()} | changed))
