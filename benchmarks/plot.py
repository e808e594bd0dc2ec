"""The rate-fidelity plot, drawn from evidence/rate_fidelity.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.provenance import REPOSITORY

TARGET = REPOSITORY / "docs" / "rate_fidelity"
_STYLES = {
    "medveil encrypted": ("#0072B2", "o", "-", 2.4),
    "medveil sealed": ("#D55E00", "s", "-", 2.4),
    "JPEG 2000 9/7, constant slope": ("#555555", "^", "-", 1.2),
    "JPEG 2000 9/7, constant dB": ("#555555", "^", "--", 1.2),
    "JPEG 2000 5/3, constant dB": ("#CC79A7", "<", "--", 1.2),
    "JPEG XL, constant distance": ("#009E73", "v", "-", 1.2),
    "JPEG XL, constant dB": ("#009E73", "v", "--", 1.2),
}
_SHOWN_BPP, _SHOWN_DB = (0.0, 1.2), (34.5, 45.5)


def points(results: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Name of each way -> the points that were measured exactly (bits per pixel, mean dB), sorted."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in _STYLES}
    for one in results["medveil"]:
        found[f"medveil {one['protection']}"].append((one["bpp"], one["mean_db"]))
    for row in results["rivals"]:
        found.get(f"{row['name']}, {row['way']}", []).append((row["bpp"], row["mean_db"]))
    return {name: sorted(measured) for name, measured in found.items()}


def draw(evidence: Mapping[str, Any], target: Path = TARGET) -> list[Path]:
    """Write the plot as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "medveil"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    measured = points(evidence["results"])
    for name, (colour, marker, style, width) in _STYLES.items():
        codec, _, way = name.partition(", ")
        line = evidence["results"]["lines"][codec][way] if way else measured[name]
        top = 2 if way else 3
        axes.plot(*zip(*line, strict=True), style, color=colour, lw=width, zorder=top)
        axes.plot(*zip(*measured[name], strict=True), marker, color=colour, ms=6, zorder=top)
        axes.plot([], [], style, color=colour, marker=marker, ms=6, lw=width, label=name + " + AEAD" * bool(way))
    axes.set_xlim(*_SHOWN_BPP)
    axes.set_ylim(*_SHOWN_DB)
    axes.set_xlabel("bits per pixel (medveil: whole release on disk)")
    axes.set_ylabel("mean PSNR, dB (peak 255)")
    axes.set_title(f"{evidence['images']} chest radiographs, test fold", fontsize=11)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    paths = [target.with_suffix(".png"), target.with_suffix(".svg")]
    figure.savefig(paths[0], dpi=150)
    figure.savefig(paths[1], metadata={"Date": None})
    plt.close(figure)
    return paths
