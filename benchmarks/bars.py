"""The bars that were set before the work began, and whether the evidence meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks import attack_tables, audit_tables, key_tables, task_tables, utility_tables
from benchmarks.table import Bar, Collected

_QUALITY = 40
_MIN_DB = 40.0
_PRIMIS_DB = {4: 38, 8: 41, 16: 45}


def bars(collected: Collected) -> list[Bar]:
    """Every bar, with what the evidence says of it."""
    makers: dict[str, Callable[[Any], Iterator[Bar]]] = {
        "rate_fidelity": _rate_fidelity,
        "primis_fidelity": _primis_fidelity,
        "depth16": _depth16,
        "performance": _performance,
        **key_tables.BARS,
        **attack_tables.BARS,
        **audit_tables.BARS,
        **task_tables.BARS,
        **utility_tables.BARS,
    }
    found = []
    for name, make in makers.items():
        evidence = collected.get(name)
        if evidence is None:
            found.append(Bar(f"({name})", "", "", "", None))
        else:
            found += make(evidence["results"])
    return found


def _rate_fidelity(results: Mapping[str, Any]) -> Iterator[Bar]:
    ours = {one["protection"]: one for one in results["medveil"] if one["quality"] == _QUALITY}
    sealed, encrypted = ours["sealed"], ours["encrypted"]
    yield Bar(
        "`lapped` sealed, whole release, mean ≥ 40.0 dB", "≤ 0.60 bpp", "≤ 0.42 bpp",
        f"{sealed['bpp']:.3f} bpp at {sealed['mean_db']:.2f} dB",
        sealed["bpp"] <= 0.60 and sealed["mean_db"] >= _MIN_DB,
        sealed["bpp"] <= 0.42,
    )  # fmt: skip
    compared = next(one for one in results["comparison"] if one["quality"] == _QUALITY)
    steady = {row["name"]: row for row in compared["rows"]}
    words = f"`lapped` encrypted, both at constant step, {encrypted['mean_db']:.2f} dB"
    yield from _beside(words, steady, reached=encrypted["mean_db"] >= _MIN_DB)
    searched = results["constant_db"]
    words = "`lapped` code in such a release, both at constant 40 dB"
    yield from _beside(
        words, {row["name"]: row for row in searched["rows"]}, reached=abs(searched["mean_db"] - _MIN_DB) < 0.05
    )


def _beside(what: str, rows: Mapping[str, Mapping[str, float]], *, reached: bool) -> Iterator[Bar]:
    for words, key in (("before padding", "unpadded_ratio"), ("whole release", "release_ratio")):
        for name in ("JPEG 2000 9/7", "JPEG 2000 5/3"):
            ratio, better = rows[name][key], rows["JPEG XL"][key]
            yield Bar(
                f"{what}, {words}", f"≤ 1.0 × {name}", "≤ 0.8 × JPEG XL", f"{ratio:.2f}; {better:.2f} × JPEG XL",
                reached and ratio <= 1.0, better <= 0.8,
            )  # fmt: skip


def _primis_fidelity(results: Mapping[str, Any]) -> Iterator[Bar]:
    for row in results["rows"]:
        sparsity, mean, margin = row["sparsity"], row["means"]["trained"], row["margin_over_block_dct"]
        limit = _PRIMIS_DB[sparsity]
        yield Bar(
            f"`primis`, {row['vectors_per_16x16']} code vectors of 256 per 16 × 16 pixels, S = {sparsity}, "
            "and ≥ 1 dB above the untrained DCT",
            f"≥ {limit} dB", f"≥ {limit + 2} dB",
            f"{mean:.2f} dB, {margin:+.2f} dB, {row['means']['packed_bpp']:.3f} bpp",
            mean >= limit and margin >= 1,
            mean >= limit + 2,
        )  # fmt: skip


def _depth16(results: Mapping[str, Any]) -> Iterator[Bar]:
    for name, one in results["sets"].items():
        yield Bar(
            f"16 bit: {name}, `lapped` sealed, default quality, largest RMSE of a file", "≤ 5 HU", "≤ 2 HU",
            f"{one['largest_rmse_hu']:.2f} HU at {one['bpp']:.2f} bpp",
            one["largest_rmse_hu"] <= 5,
            one["largest_rmse_hu"] <= 2,
        )  # fmt: skip


def _performance(results: Mapping[str, Any]) -> Iterator[Bar]:
    grant = max(row["largest_grant_bytes"] for row in results["grants"])
    yield Bar("a whole-release grant (X25519)", "≤ 640 bytes", "", f"{grant} bytes", grant <= 640)
    for row in results["large"]["rows"]:
        if row["name"].startswith("medveil"):
            seconds = row["median_seconds"]
            yield Bar(
                f"share + open, 1024 × 1024, {row['name'].split()[1]}, after start-up", "≤ 1.0 s", "≤ 0.3 s",
                f"{seconds:.2f} s (median)", seconds <= 1.0, seconds <= 0.3,
            )  # fmt: skip
    start = results["start_up"]
    helping, both = start["help_median_seconds"], start["share_open_median_seconds"]
    yield Bar("`medveil --help`", "≤ 0.4 s", "", f"{helping:.2f} s (median)", helping <= 0.4)
    words = "torch" if start["torch_imported"] else "no torch"
    yield Bar(
        "share + open of one 448 px image from the shell, no torch", "≤ 2.5 s", "", f"{both:.2f} s (median), {words}",
        both <= 2.5 and not start["torch_imported"],
    )  # fmt: skip
    peak = max(results["memory"]["share_mib"], results["memory"]["open_mib"])
    yield Bar("memory, 3000 × 3000, 16 bits", "≤ 1536 MiB", "≤ 717 MiB", f"{peak:.0f} MiB", peak <= 1536, peak <= 717)
    seconds = results["demo"]["seconds"]
    yield Bar("`make demo` after install", "≤ 60 s", "", f"{seconds:.0f} s", seconds <= 60)
