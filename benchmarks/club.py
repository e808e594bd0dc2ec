"""CLUB view: public bits against what a key holder and the strongest attacker get, for all levels and budgets.

Small on purpose: few images and attackers that train little or nothing. `encrypted` and `sealed` codes are counted with
every byte that is public; `obfuscated` ones by their public code, without the encrypted list of what is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

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
from medveil.audit.audit_run import fixed_threads
from medveil.audit.protocol import Round
from medveil.codecs.primis.codec import PrimisCodec, shipped_weights
from medveil.codecs.registry import get_codec
from medveil.mechanisms.controls import SPARSITY, Setup, reference_decoys, working_image
from medveil.mechanisms.levels import Protection
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.public_codec import PublicCodec
from medveil.protection.levels import Encrypted, Level, Obfuscated, Sealed
from medveil.protection.sealing import public_bytes

QUALITIES = (36, 40, 44)
SPARSITIES = (4, 8, 16)
ATTACKS = ("naive-decode", "value-threshold", "likelihood-ratio", "code-decoder")
SIZES = Sizes(own=60, tested=40, steps=150)
_ALL = 256


def lapped(quality: int, setup: Setup, *, fixed: bool) -> PublicCodec:
    """Codec lapped at a quality, on working pictures."""
    codec = get_codec("lapped")
    profile = codec.profile(quality_centidb=100 * quality, sparsity=None, deep=0)
    return PublicCodec(codec, profile, fixed=fixed, working=setup.working)


def primis(sparsity: int, setup: Setup, *, fixed: bool) -> PublicCodec:
    """Codec primis at a sparsity, on working pictures."""
    codec = PrimisCodec(shipped_weights(sparsity))
    return PublicCodec(
        codec, codec.profile(quality_centidb=0, sparsity=sparsity, deep=0), fixed=fixed, working=setup.working
    )


def points(
    setup: Setup, qualities: Sequence[int], sparsities: Sequence[int]
) -> Iterator[tuple[str, str, str, Mechanism]]:
    """(series, budget, name of the row, mechanism) of each point of the plot."""

    def protected(space: PublicCodec, level: Level) -> Protection:
        return Protection(space, setup.cache, image_of=working_image, level=level)

    for quality in qualities:
        one = f"quality {quality}"
        yield "sealed, lapped", one, f"sealed-q{quality}", protected(
            lapped(quality, setup, fixed=True), Sealed())  # fmt: skip
        yield "encrypted, lapped", one, f"encrypted-q{quality}", protected(
            lapped(quality, setup, fixed=False), Encrypted())  # fmt: skip
    for sparsity in sparsities:
        one, free = f"S = {sparsity}", primis(sparsity, setup, fixed=False)
        yield "sealed, primis", one, f"sealed-s{sparsity}", protected(
            primis(sparsity, setup, fixed=True), Sealed())  # fmt: skip
        yield "obfuscated, S_n = S_x", one, f"obfuscated-s{sparsity}", protected(free, Obfuscated())
        yield "obfuscated, all empty cells", one, f"obfuscated-all-s{sparsity}", protected(
            free, Obfuscated(_ALL))  # fmt: skip
    yield "published decoys", f"S = {SPARSITY}", "reference-decoys", reference_decoys().make(setup)


def public_bits(trial: Round) -> float:
    """Bits of what is public of a code, mean over the images under attack."""
    mechanism, space = trial.knowledge.mechanism, trial.knowledge.mechanism.space
    assert space is not None
    seen = [target.case.observation for target in trial.tested]
    level = getattr(mechanism, "level", None)
    if isinstance(level, Sealed):
        return float(np.mean([8 * sum(map(public_bytes, space.compositions(each.bucket))) for each in seen]))
    if isinstance(level, Encrypted):
        return float(np.mean([8 * len(each.stream) for each in seen]))
    return float(np.mean([public_code_bits(each) for each in seen]))


def measure(sizes: Sizes, keep: Path | None, budgets: tuple[Sequence[int], Sequence[int]]) -> dict[str, Any]:
    """All points."""
    bench = Bench.of(sizes)
    kept = Parts(keep, benchmark="club", sizes=asdict(sizes), seed=SEED)

    def point(series: str, budget: str, name: str, mechanism: Mechanism) -> dict[str, Any]:
        trial = bench.round_of(mechanism, name)
        attacks = [attack_round(each, trial) for each in ATTACKS]
        best, space = strongest(attacks, "psnr"), mechanism.space
        assert space is not None
        return {
            "series": series, "budget": budget, "public_bpp": round(public_bits(trial) / sizes.side**2, 5),
            "key_holder_psnr": summary(key_holder(trial, space), bench.patients),
            "mean_picture_psnr": summary(mean_picture(trial)["psnr"], bench.patients),
            "strongest": best["attack"] if best is not None else None, "attacks": attacks,
        }  # fmt: skip

    rows = [kept.part(each[2], lambda e=each: point(*e)) for each in points(bench.setup, *budgets)]
    return {"side": sizes.side, "threads": sizes.threads, "steps": sizes.steps, "counts": bench.counts(),
            "points": rows}  # fmt: skip


def run(
    sizes: Sizes = SIZES, keep: Path | None = None, qualities: tuple[int, ...] = QUALITIES,
    sparsities: tuple[int, ...] = SPARSITIES,
) -> Measured:  # fmt: skip
    """Public bits against what a key holder and the strongest attacker get, for all levels and budgets."""
    with fixed_threads(sizes.threads):
        results = measure(sizes, keep, (qualities, sparsities))
    return Measured(results, results["counts"]["tested"], SEED)
