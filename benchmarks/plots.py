"""The plots of the documents, drawn from evidence/*.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plane_tables import question_of
from benchmarks.provenance import REPOSITORY
from medveil.report.plane import plane_drawing
from medveil.tasks.results import FeatureAgreement

DOCS = REPOSITORY / "docs"
_RATES = {
    "medveil encrypted": ("#0072B2", "o", "-", 2.4),
    "medveil sealed": ("#D55E00", "s", "-", 2.4),
    "JPEG 2000 9/7, constant slope": ("#555555", "^", "-", 1.2),
    "JPEG 2000 9/7, constant dB": ("#555555", "^", "--", 1.2),
    "JPEG 2000 5/3, constant dB": ("#CC79A7", "<", "--", 1.2),
    "JPEG XL, constant distance": ("#009E73", "v", "-", 1.2),
    "JPEG XL, constant dB": ("#009E73", "v", "--", 1.2),
}
_CLUB = {
    "sealed, lapped": ("#D55E00", "s"),
    "encrypted, lapped": ("#0072B2", "o"),
    "sealed, primis": ("#E69F00", "D"),
    "obfuscated, S_n = S_x": ("#009E73", "v"),
    "obfuscated, all empty cells": ("#CC79A7", "^"),
    "published decoys": ("#555555", "P"),
}
_TEXTURE = {"icc31_low": "ICC(3,1)", "icc21_low": "ICC(2,1)"}
_ORDER = ("primis:4", "primis:8", "primis:16", "lapped:40")


def rates(evidence: Mapping[str, Any], folder: Path = DOCS) -> None:
    """rate_fidelity.png and .svg: dots are measured exactly, lines go between the measured settings."""
    results = evidence["results"]
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in _RATES}
    for one in results["medveil"]:
        measured[f"medveil {one['protection']}"].append((one["bpp"], one["mean_db"]))
    for row in results["rivals"]:
        measured.get(f"{row['name']}, {row['way']}", []).append((row["bpp"], row["mean_db"]))
    figure, axes = _axes(7.2, 4.6)
    for name, (colour, marker, style, width) in _RATES.items():
        codec, _, way = name.partition(", ")
        dots = sorted(measured[name])
        line = results["lines"][codec][way] if way else dots
        top = 2 if way else 3
        axes.plot(*zip(*line, strict=True), style, color=colour, lw=width, zorder=top)
        axes.plot(*zip(*dots, strict=True), marker, color=colour, ms=6, zorder=top)
        axes.plot([], [], style, color=colour, marker=marker, ms=6, lw=width, label=name + " + AEAD" * bool(way))
    axes.set(xlim=(0.0, 1.2), ylim=(34.5, 45.5), xlabel="bits per pixel (medveil: whole release on disk)")
    axes.set_title(f"{evidence['images']} chest radiographs, test fold", fontsize=11)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    _write(figure, folder / "rate_fidelity")


def club(evidence: Mapping[str, Any], folder: Path = DOCS) -> None:
    """club.png and .svg."""
    figure, axes = _axes(7.6, 5.0)
    points = evidence["results"]["points"]
    for series, (colour, marker) in _CLUB.items():
        own = [one for one in points if one["series"] == series]
        if not own:
            continue
        style = {"color": colour, "marker": marker, "ms": 6}
        across, holders = [one["public_bpp"] for one in own], [one["key_holder_psnr"]["mean"] for one in own]
        axes.plot(across, holders, "-", lw=2, label=series, **style)
        guesses = [(one["public_bpp"], _strongest(one, "figures")) for one in own]
        known = [(bits, guess) for bits, guess in guesses if guess is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "--", lw=1.4, mfc="white", **style)
    nothing = [guess for guess in (_strongest(one, "no_information") for one in points) if guess is not None]
    if nothing:
        axes.axhspan(min(nothing), max(nothing), color="#999999", alpha=0.25, lw=0, label="no information")
    axes.plot([], [], "-", color="black", lw=2, label="key holder (full marks)")
    axes.plot([], [], "--", color="black", lw=1.4, marker="o", mfc="white", label="strongest attacker (hollow marks)")
    axes.set(xscale="log", xlabel="public bits per pixel")
    side = evidence["results"]["side"]
    axes.set_title(f"{evidence['images']} chest radiographs at {side} px, test fold", fontsize=11)
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _write(figure, folder / "club")


def texture(evidence: Mapping[str, Any], folder: Path = DOCS) -> None:
    """utility.png: a column a quality, a panel for each way to make levels and each form of the ICC."""
    from medveil.report.charts import texture as drawn

    sets = sorted(evidence["results"]["sets"], key=lambda one: _ORDER.index(one["set"]))
    drawing = drawn([_agreement(one, form) for form in _TEXTURE for one in sets])
    assert drawing is not None
    (folder / "utility.png").write_bytes(drawing.png)


def plane(evidence: Mapping[str, Any], folder: Path = DOCS) -> None:
    """plane.svg and .png: risk against utility of open releases, of the questions that the tables have."""
    rows = [row for row in evidence["results"]["rows"] if question_of(row)]
    drawing = plane_drawing(rows)
    for suffix, data in (("svg", drawing.svg), ("png", drawing.png)):
        (folder / f"plane.{suffix}").write_bytes(data)


DRAWN: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "rate_fidelity": rates, "club": club, "utility_radiomics": texture, "plane": plane,
}  # fmt: skip
"""Benchmark -> its plot."""


def _axes(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "medveil"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.set_ylabel("mean PSNR, dB (peak 255)")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write(figure: Any, target: Path) -> None:
    from matplotlib import pyplot as plt

    figure.savefig(target.with_suffix(".png"), dpi=150)
    figure.savefig(target.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


def _strongest(point: Mapping[str, Any], key: str) -> float | None:
    """dB of the strongest attack at a point, or with key "no_information" of the same one given another package."""
    rows = (row for row in point["attacks"] if row["attack"] == point["strongest"])
    return next((float(row[key]["psnr"]["mean"]) for row in rows), None)


def _agreement(one: Mapping[str, Any], form: str) -> FeatureAgreement:
    names = tuple(one["features"])
    lower = np.array([np.nan if (value := one["features"][name][form]) is None else value for name in names], float)
    empty, bins = np.zeros(len(names)), f"{one['bins']}, {_TEXTURE[form]}"
    return FeatureAgreement(one["set"], bins, one["images"], one["patients"], names, empty, empty, lower, {}, {})
