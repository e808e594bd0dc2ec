"""The CLUB plot, drawn from evidence/club.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.provenance import REPOSITORY

TARGET = REPOSITORY / "docs" / "club"
_STYLES = {
    "sealed, lapped": ("#D55E00", "s"),
    "encrypted, lapped": ("#0072B2", "o"),
    "sealed, primis": ("#E69F00", "D"),
    "obfuscated, S_n = S_x": ("#009E73", "v"),
    "obfuscated, all empty cells": ("#CC79A7", "^"),
    "published decoys": ("#555555", "P"),
}


def attacker(point: Mapping[str, Any], key: str = "figures") -> float | None:
    """dB of the strongest attack at a point, or with key "no_information" of the same one given another package."""
    for row in point["attacks"]:
        if row["attack"] == point["strongest"]:
            mean: float = row[key]["psnr"]["mean"]
            return mean
    return None


def draw(evidence: Mapping[str, Any], target: Path = TARGET) -> list[Path]:
    """Write the plot as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "medveil"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.6, 5.0), layout="constrained")
    points = evidence["results"]["points"]
    for series, (colour, marker) in _STYLES.items():
        own = [one for one in points if one["series"] == series]
        if not own:
            continue
        across = [one["public_bpp"] for one in own]
        style = {"color": colour, "marker": marker, "ms": 6}
        axes.plot(across, [one["key_holder_psnr"]["mean"] for one in own], "-", lw=2, label=series, **style)
        guesses = [(one["public_bpp"], attacker(one)) for one in own]
        known = [(bits, guess) for bits, guess in guesses if guess is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "--", lw=1.4, mfc="white", **style)
    nothing = [guess for guess in (attacker(one, "no_information") for one in points) if guess is not None]
    if nothing:
        axes.axhspan(min(nothing), max(nothing), color="#999999", alpha=0.25, lw=0, label="no information")
    axes.plot([], [], "-", color="black", lw=2, label="key holder (full marks)")
    axes.plot([], [], "--", color="black", lw=1.4, marker="o", mfc="white", label="strongest attacker (hollow marks)")
    axes.set_xscale("log")
    axes.set_xlabel("public bits per pixel")
    axes.set_ylabel("mean PSNR, dB (peak 255)")
    side = evidence["results"]["side"]
    axes.set_title(f"{evidence['images']} chest radiographs at {side} px, test fold", fontsize=11)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    paths = [target.with_suffix(".png"), target.with_suffix(".svg")]
    figure.savefig(paths[0], dpi=150)
    figure.savefig(paths[1], metadata={"Date": None})
    plt.close(figure)
    return paths
