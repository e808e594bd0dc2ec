"""From evidence to tables: the same figures as plain text for a terminal and as Markdown for the documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import attack_tables, audit_tables, key_tables, task_tables, utility_tables
from benchmarks.bars import bars
from benchmarks.table import Collected, Evidence, Table, changed_since, commit_of, results_of

NAMES = (
    "rate_fidelity", "performance", "depth16", "primis_fidelity", "exact_bytes", "granting", "two_image_game",
    "fidelity_table", "decoy_curve", "translation_attacks", "club", "audit_sealed", "audit_encrypted",
    "audit_repeat", "utility_classification", "utility_segmentation", "utility_radiomics", "training_throughput",
)  # fmt: skip


def text_of(evidence: Evidence) -> str:
    """Every table of one benchmark, as plain text."""
    collected = {evidence["name"]: evidence}
    names = [name for name, (needs, _) in TABLES.items() if needs == (evidence["name"],)]
    return "\n\n".join(TABLES[name][1](collected).text() for name in names)


def render(name: str, collected: Collected) -> str:
    """One table as Markdown; a line instead where a benchmark that it needs has not been run.

    Below it a line for each benchmark whose results changed since it was measured.
    """
    needs, make = TABLES[name]
    missing = [need for need in needs if collected.get(need) is None]
    if missing:
        return f"*Not measured yet: {', '.join(missing)}.*"
    stale = [f"*`{need}`: {changed}.*" for need in needs if (changed := changed_since(collected[need]))]
    return "\n\n".join([make(collected).markdown(), *stale])


def bars_table(collected: Collected) -> Table:
    """Every bar and whether it is met."""
    rows = [(bar.what, bar.limit, bar.stretch, bar.measured, bar.verdict) for bar in bars(collected)]
    return Table("What was asked and what was measured", ("what", "bar", "stretch", "measured", "met"), rows)


def _provenance(collected: Collected) -> Table:
    rows = []
    for name in NAMES:
        evidence = collected.get(name)
        if evidence is not None:
            where = evidence["machine"]
            load = where.get("load_average", ["?"])[0]
            seed = "none" if evidence.get("seed") is None else str(evidence["seed"])
            machine = f"{where['cores']} cores, {where['cpu']}, {where['memory_gib']} GiB; load {load}"
            commit = commit_of(evidence)
            seconds = f"{evidence['seconds']:.0f}"
            at = changed_since(evidence) or f"measured at {evidence['version']}"
            rows.append((f"`{evidence['command']}`", at, commit, str(evidence["images"]), seed, seconds, machine))
    header = ("command", "state", "commit", "images", "seed", "seconds", "machine, and its load at the end")
    return Table("Where the figures come from", header, rows)


def _medveil(collected: Collected) -> Table:
    rows = []
    for one in sorted(results_of(collected, "rate_fidelity")["medveil"], key=_by_level):
        low, high = one["mean_db_interval"]
        rows.append(
            (
                f"{one['protection']}, quality {one['quality']:g}",
                f"{one['mean_db']:.2f} ({low:.2f}–{high:.2f})",
                f"{one['fifth_percentile_db']:.1f}",
                f"{one['lowest_db']:.1f}",
                f"{100 * one['share_more_than_3_db_below']:.0f} %",
                f"{one['mean_ssim']:.4f}",
                f"{one['unpadded_bpp']:.3f}",
                f"{one['bpp']:.3f}",
            )
        )
    header = (
        "release", "mean dB (95 %)", "5th percentile", "lowest", "> 3 dB below", "SSIM", "bpp before padding", "bpp",
    )  # fmt: skip
    return Table("medveil, codec lapped: whole release on disk, files reopened with a recipient's key", header, rows)


def _comparison(collected: Collected) -> Table:
    results = results_of(collected, "rate_fidelity")
    rivals = {(row["goal"], row["name"], row["way"]): row for row in results["rivals"]}
    rows = []
    for compared in sorted(results["comparison"], key=lambda one: one["quality"]):
        for row in compared["rows"]:
            rival = rivals[f"encrypted, quality {compared['quality']:g}", row["name"], row["way"]]
            low, high = row["code_ratio_interval"]
            rows.append(
                (
                    f"{row['name']}, {row['way']}",
                    f"{compared['mean_db']:.2f}",
                    f"{rival['mean_db']:.2f}",
                    f"{rival['bpp']:.3f}",
                    f"{row['code_ratio']:.2f} ({low:.2f}–{high:.2f})",
                    f"{row['unpadded_ratio']:.2f}",
                    f"{row['release_ratio']:.2f}",
                )
            )
    header = (
        "rival + AEAD", "medveil dB", "rival dB", "rival bpp", "code ratio (95 %)", "release before padding", "release",
    )  # fmt: skip
    return Table("Bytes of medveil encrypted over bytes of the rival at the same mean PSNR", header, rows)


def _constant_db(collected: Collected) -> Table:
    found = results_of(collected, "rate_fidelity")["constant_db"]
    rows, images = [], f"({found['images']} images)"
    for row in found["rows"]:
        low, high = row["code_ratio_interval"]
        ratio = f"{row['code_ratio']:.2f} ({low:.2f}–{high:.2f})"
        rows.append(
            (f"{row['name']}, constant dB {images}", f"{row['bpp']:.3f}", f"{found['code_bpp']:.3f}", ratio,
             f"{row['unpadded_ratio']:.2f}", f"{row['release_ratio']:.2f}")
        )  # fmt: skip
    header = ("rival + AEAD", "rival bpp", "lapped code bpp", "code ratio (95 %)", "release before padding", "release")
    title = (
        f"Codec alone at constant dB: mean {found['mean_db']:.2f}, {found['lowest_db']:.1f}–{found['highest_db']:.1f}"
    )
    return Table(title, header, rows)


def _at_forty(collected: Collected) -> Table:
    rows = [
        (f"{r['name']}, {r['way']}", f"{r['mean_db']:.2f}", f"{r['lowest_db']:.1f}", f"{r['mean_ssim']:.4f}",
         f"{r['bpp']:.3f}")
        for r in results_of(collected, "rate_fidelity")["rivals"] if r["goal"] == "40 dB"
    ]  # fmt: skip
    return Table("Rivals at a mean of 40 dB", ("rival + AEAD", "mean dB", "lowest dB", "SSIM", "bpp"), rows)


def _lossless(collected: Collected) -> Table:
    found = results_of(collected, "rate_fidelity")["lossless"]
    rows = [(f"{row['name']}, lossless", f"{row['bpp']:.3f}") for row in sorted(found, key=lambda row: row["bpp"])]
    return Table("Lossless rivals", ("rival + AEAD", "bpp"), rows)


def _parts(collected: Collected) -> Table:
    results = results_of(collected, "rate_fidelity")
    both = {one["protection"]: one for one in results["medveil"] if one["quality"] == 40}
    names = list(dict.fromkeys(name for one in both.values() for name in one["parts"]))

    def cell(protection: str, name: str) -> str:
        size = both[protection]["parts"].get(name)
        return "–" if size is None else f"{8 * size / results['pixels']:.4f}"

    rows = [(name, cell("sealed", name), cell("encrypted", name)) for name in names]
    rows.append(("**whole release**", f"{both['sealed']['bpp']:.4f}", f"{both['encrypted']['bpp']:.4f}"))
    return Table("Where the bits go at quality 40, bits per pixel", ("part", "sealed", "encrypted"), rows)


def _large(collected: Collected) -> Table:
    rows = [
        (row["name"], f"{row['median_seconds']:.2f}", f"{row['best_seconds']:.2f}", f"{row['cpu_seconds']:.2f}",
         f"{row['times_jpeg_2000']:.1f}")
        for row in results_of(collected, "performance")["large"]["rows"]
    ]  # fmt: skip
    header = ("share + open, 1024 × 1024", "median s", "best s", "CPU s", "× JPEG 2000")
    return Table("One 1024 × 1024 radiograph in one process after start-up", header, rows)


def _start_up(collected: Collected) -> Table:
    results = results_of(collected, "performance")
    start, memory = results["start_up"], results["memory"]
    side = f"{memory['side']} × {memory['side']}"
    rows = [
        (
            "`medveil --help`, median (best)",
            f"{start['help_median_seconds']:.2f} s ({start['help_best_seconds']:.2f} s)",
        ),
        (
            "share + open of one 448-pixel image from the shell, median (best)",
            f"{start['share_open_median_seconds']:.2f} s ({start['share_open_best_seconds']:.2f} s)",
        ),
        ("torch imported by either", "yes" if start["torch_imported"] else "no"),
        (f"peak memory of share, {side}, 16 bits", f"{memory['share_mib']:.0f} MiB"),
        (f"peak memory of open, {side}, 16 bits", f"{memory['open_mib']:.0f} MiB"),
        *((f"grant, release of {row['images']}", f"{row['largest_grant_bytes']} bytes") for row in results["grants"]),
        ("`medveil demo`", f"{results['demo']['seconds']:.0f} s"),
    ]
    return Table("Start-up, memory, grants, demo", ("what", "measured"), rows)


def _depth16(collected: Collected) -> Table:
    rows = [
        (name, str(one["images"]), f"{one['mean_rmse_hu']:.2f}", f"{one['largest_rmse_hu']:.2f}",
         f"{max(row['largest_error_hu'] for row in one['files']):.0f}", "yes" if one["padding_exact"] else "no",
         f"{one['bpp']:.2f}", f"{one['lossless_bpp']:.2f}")
        for name, one in results_of(collected, "depth16")["sets"].items()
    ]  # fmt: skip
    header = (
        "set", "images", "mean RMSE, HU", "largest RMSE, HU", "largest error, HU", "padding exact", "bpp",
        "JPEG-LS lossless bpp",
    )  # fmt: skip
    return Table("16-bit CT, lapped, sealed, default quality", header, rows)


_PRIMIS_MEANS = {
    "trained": "**primis, quantised and rounded to pixels**",
    "trained_unquantised": "primis, unquantised",
    "untrained_block_dct": "untrained 16 × 16 block DCT, unquantised",
    "untrained_lapped_local": "untrained lapped transform, unquantised, each code vector at one place",
    "untrained_lapped_spread": "untrained lapped transform, unquantised, code vectors spread",
    "subset_trained": "primis, quantised and rounded to pixels",
    "subset_untrained_block_dct": "untrained 16 × 16 block DCT, unquantised",
    "untrained_network": "the network of primis before training, code vectors spread, unquantised",
    "trained_linear_local": "primis, each code vector at one place, linear decoder alone, unquantised",
    "published_geometry_untrained": "published geometry (6.25 vectors per 16 × 16 pixels), untrained, unquantised",
}
_PRIMIS_RATES = {
    "packed_bpp": "bits per pixel of the code, entropy coded (`encrypted`)",
    "nonzeros_per_pixel": "nonzeros per pixel",
}


def _primis(collected: Collected) -> Table:
    found = results_of(collected, "primis_fidelity")["rows"]

    def counted(key: str, words: str) -> str:
        return f"{words} ({found[0]['images'][key]} images)"

    rows = [
        (counted(key, words), *(f"{row['means'][key]:.2f}" for row in found))
        for key, words in _PRIMIS_MEANS.items() if key in found[0]["means"]
    ]  # fmt: skip
    rows.append(("lowest image, primis", *(f"{row['lowest_trained']:.2f}" for row in found)))
    for key, words in (("block_dct", "block DCT"), ("lapped_spread", "lapped transform, spread")):
        rows.append((f"margin over the untrained {words}", *(f"{row[f'margin_over_{key}']:+.2f}" for row in found)))
    rows += [
        (words, *(f"{row['means'][key]:.3f}" for row in found))
        for key, words in _PRIMIS_RATES.items() if key in found[0]["means"]
    ]  # fmt: skip
    header = ("mean PSNR in dB, peak 255", *(f"S = {row['sparsity']}" for row in found))
    title = f"primis: {found[0]['vectors_per_16x16']} code vectors of 256 per 16 x 16 pixels"
    return Table(title, header, rows)


def _readme(collected: Collected) -> Table:
    results = results_of(collected, "rate_fidelity")
    ours = {one["protection"]: one for one in results["medveil"] if one["quality"] == 40}
    rows = [
        (f"medveil, {protection}", f"{one['bpp']:.2f}", f"{one['mean_db']:.1f} dB")
        for protection, one in sorted(ours.items(), reverse=True)
    ]
    rows += [
        (f"{row['name']} in an AEAD, {row['way']}", f"{row['bpp']:.2f}", f"{row['mean_db']:.1f} dB")
        for row in results["rivals"] if row["goal"] == "40 dB" and row["way"] != "constant dB"
    ]  # fmt: skip
    exact = min(results["lossless"], key=lambda row: row["bpp"])
    rows.append((f"{exact['name']} in an AEAD, lossless", f"{exact['bpp']:.2f}", "exact"))
    return Table("Rates", ("way to share", "bits per pixel", "mean PSNR"), rows)


def _by_level(one: Mapping[str, Any]) -> tuple[int, float]:
    return ("sealed", "encrypted").index(one["protection"]), one["quality"]


TABLES: dict[str, tuple[tuple[str, ...], Callable[[Collected], Table]]] = {
    "provenance": ((), _provenance),
    "medveil": (("rate_fidelity",), _medveil),
    "comparison": (("rate_fidelity",), _comparison),
    "constant-db": (("rate_fidelity",), _constant_db),
    "rivals-at-40": (("rate_fidelity",), _at_forty),
    "lossless": (("rate_fidelity",), _lossless),
    "parts": (("rate_fidelity",), _parts),
    "large": (("performance",), _large),
    "start-up": (("performance",), _start_up),
    "depth16": (("depth16",), _depth16),
    "primis": (("primis_fidelity",), _primis),
    "readme": (("rate_fidelity",), _readme),
    **key_tables.TABLES,
    **attack_tables.TABLES,
    **audit_tables.TABLES,
    **task_tables.TABLES,
    **utility_tables.TABLES,
}
"""Name of a table in the documents -> the benchmarks that it needs, and what makes it."""
