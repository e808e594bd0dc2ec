"""Tables of rates, fidelity, exact images and depth, and of keys and speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.published_values import FIDELITY
from benchmarks.table import LINES, Layout, Row, cell, lines

_LEVELS = ("sealed", "encrypted")
_RATIOS = {
    "code ratio (95 %)": "{code_ratio:.2f} ({code_ratio_interval[0]:.2f}–{code_ratio_interval[1]:.2f})",
    "release before padding": "{unpadded_ratio:.2f}",
}
_PRIMIS = {
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
_PRIMIS_LINES = {
    "lowest image, primis": "{lowest_trained:.2f}",
    "margin over the untrained block DCT": "{margin_over_block_dct:+.2f}",
    "margin over the untrained lapped transform, spread": "{margin_over_lapped_spread:+.2f}",
    "bits per pixel of the code, entropy coded (`encrypted`)": "{means[packed_bpp]:.3f}",
    "nonzeros per pixel": "{means[nonzeros_per_pixel]:.3f}",
}
_ERRORS = {"ME": "me:.2±", "MAE": "mae:.2±", "RMSE": "rmse:.2±", "PSNR, dB": "psnr:.2±", "SSIM": "ssim:.4±",
           "MS-SSIM": "ms_ssim:.4±"}  # fmt: skip


def at_forty(results: Row) -> dict[str, Any]:
    """The releases of both levels at quality 40."""
    return {one["protection"]: one for one in results["medveil"] if one["quality"] == 40}


def _medveil(results: Row) -> list[Row]:
    return sorted(results["medveil"], key=lambda one: (_LEVELS.index(one["protection"]), one["quality"]))


def _comparison(results: Row) -> Iterator[Row]:
    rivals = {(row["goal"], row["name"], row["way"]): row for row in results["rivals"]}
    for one in sorted(results["comparison"], key=lambda one: one["quality"]):
        for row in one["rows"]:
            rival = rivals[f"encrypted, quality {one['quality']:g}", row["name"], row["way"]]
            yield {**row, "ours": one["mean_db"], "rival": rival}


def _constant_db(results: Row) -> Iterator[Row]:
    found = results["constant_db"]
    yield from ({**row, "images": found["images"], "code_bpp": found["code_bpp"]} for row in found["rows"])


def _parts(results: Row) -> Iterator[Row]:
    both, pixels = at_forty(results), results["pixels"]
    for name in dict.fromkeys(name for one in both.values() for name in one["parts"]):
        sizes = {level: one["parts"].get(name) for level, one in both.items()}
        yield {"part": name, **{level: 8 * size / pixels for level, size in sizes.items() if size is not None}}
    yield {"part": "**whole release**", **{level: one["bpp"] for level, one in both.items()}}


def _readme(results: Row) -> Iterator[Row]:
    rows = [(f"medveil, {level}", one) for level, one in sorted(at_forty(results).items(), reverse=True)]
    rows += [
        (f"{row['name']} in an AEAD, {row['way']}", row)
        for row in results["rivals"] if row["goal"] == "40 dB" and row["way"] != "constant dB"
    ]  # fmt: skip
    yield from ({"way": way, "bpp": row["bpp"], "psnr": f"{row['mean_db']:.1f} dB"} for way, row in rows)
    exact = min(results["lossless"], key=lambda row: row["bpp"])
    yield {"way": f"{exact['name']} in an AEAD, lossless", "bpp": exact["bpp"], "psnr": "exact"}


def _primis_columns(results: Row) -> dict[str, str]:
    names = {f"S = {row['sparsity']}": f"{{of[{place}]}}" for place, row in enumerate(results["rows"])}
    return {"mean PSNR in dB, peak 255": "{what}", **names}


def _primis(results: Row) -> Iterator[Row]:
    rows = results["rows"]
    images = rows[0]["images"]
    forms = {f"{words} ({images[key]} images)": f"{{means[{key}]:.2f}}" for key, words in _PRIMIS.items()
             if key in images}  # fmt: skip
    for what, form in {**forms, **_PRIMIS_LINES}.items():
        yield {"what": what, "of": [cell(form, row) for row in rows]}


def _depth16(results: Row) -> Iterator[Row]:
    for name, one in results["sets"].items():
        yield {**one, "set": name, "largest_error_hu": max(row["largest_error_hu"] for row in one["files"])}


def _exact(results: Row) -> Iterator[Row]:
    yield from ({**row, "way": f"medveil, {row['protection']}"} for row in results["medveil"])
    best = min(row["bytes"] for row in results["lossless"] if row["name"] == "JPEG XL")
    for row in results["lossless"]:
        way, ratio = f"{row['name']} in an AEAD", row["bytes"] / best
        yield {"way": way, "release_bpp": row["bpp"], "release_times_jpeg_xl": ratio}


def _fidelity(results: Row) -> Iterator[Row]:
    for sparsity, printed in FIDELITY.items():
        yield {"codec": f"published: PRIMIS, S_x = {sparsity}", **dict(zip((*_ERRORS, "R²"), printed, strict=True))}
    for row in results["rows"]:
        codec, _, setting = row["codec"].partition(" ")
        words = f"{codec}, {'quality' if codec == 'lapped' else 'S ='} {setting} ({row['images']} images)"
        errors = {name: cell(f"{{{form}}}", row["metrics"]) for name, form in _ERRORS.items()}
        yield {"codec": words, **errors, "R²": f"{row['r_squared']:.5f}"}


def _start_up(results: Row) -> list[Row]:
    grants: Mapping[str, str] = {
        f"grant, release of {row['images']}": f"{row['largest_grant_bytes']} bytes" for row in results["grants"]
    }
    return lines({
        "`medveil --help`, median (best)":
            "{start_up[help_median_seconds]:.2f} s ({start_up[help_best_seconds]:.2f} s)",
        "share + open of one 448-pixel image from the shell, median (best)":
            "{start_up[share_open_median_seconds]:.2f} s ({start_up[share_open_best_seconds]:.2f} s)",
        "torch imported by either": "{start_up[torch_imported]}",
        "peak memory of share, {memory[side]} × {memory[side]}, 16 bits": "{memory[share_mib]:.0f} MiB",
        "peak memory of open, {memory[side]} × {memory[side]}, 16 bits": "{memory[open_mib]:.0f} MiB",
        **grants,
        "`medveil demo`": "{demo[seconds]:.0f} s",
    }, results)  # fmt: skip


TABLES = {
    "medveil": Layout(
        ("rate_fidelity",), "medveil, codec lapped: whole release on disk, files reopened with a recipient's key",
        {
            "release": "{protection}, quality {quality:g}",
            "mean dB (95 %)": "{mean_db:.2f} ({mean_db_interval[0]:.2f}–{mean_db_interval[1]:.2f})",
            "5th percentile": "{fifth_percentile_db:.1f}", "lowest": "{lowest_db:.1f}",
            "> 3 dB below": "{share_more_than_3_db_below:.0%}", "SSIM": "{mean_ssim:.4f}",
            "bpp before padding": "{unpadded_bpp:.3f}", "bpp": "{bpp:.3f}",
        },
        _medveil,
    ),
    "comparison": Layout(
        ("rate_fidelity",), "Bytes of medveil encrypted over bytes of the rival at the same mean PSNR",
        {"rival + AEAD": "{name}, {way}", "medveil dB": "{ours:.2f}", "rival dB": "{rival[mean_db]:.2f}",
         "rival bpp": "{rival[bpp]:.3f}", **_RATIOS, "release": "{release_ratio:.2f}"},
        _comparison,
    ),
    "constant-db": Layout(
        ("rate_fidelity",),
        "Codec alone at constant dB: mean {constant_db[mean_db]:.2f}, "
        "{constant_db[lowest_db]:.1f}–{constant_db[highest_db]:.1f}",
        {"rival + AEAD": "{name}, constant dB ({images} images)", "rival bpp": "{bpp:.3f}",
         "lapped code bpp": "{code_bpp:.3f}", **_RATIOS, "release": "{release_ratio:.2f}"},
        _constant_db,
    ),
    "rivals-at-40": Layout(
        ("rate_fidelity",), "Rivals at a mean of 40 dB",
        {"rival + AEAD": "{name}, {way}", "mean dB": "{mean_db:.2f}", "lowest dB": "{lowest_db:.1f}",
         "SSIM": "{mean_ssim:.4f}", "bpp": "{bpp:.3f}"},
        lambda results: [row for row in results["rivals"] if row["goal"] == "40 dB"],
    ),
    "lossless": Layout(
        ("rate_fidelity",), "Lossless rivals", {"rival + AEAD": "{name}, lossless", "bpp": "{bpp:.3f}"},
        lambda results: sorted(results["lossless"], key=lambda row: row["bpp"]),
    ),
    "parts": Layout(
        ("rate_fidelity",), "Where the bits go at quality 40, bits per pixel",
        {"part": "{part}", "sealed": "{sealed:.4f}", "encrypted": "{encrypted:.4f}"}, _parts,
    ),
    "readme": Layout(
        ("rate_fidelity",), "Rates",
        {"way to share": "{way}", "bits per pixel": "{bpp:.2f}", "mean PSNR": "{psnr}"}, _readme,
    ),
    "primis": Layout(
        ("primis_fidelity",), "primis: {rows[0][vectors_per_16x16]} code vectors of 256 per 16 x 16 pixels",
        _primis_columns, _primis,
    ),
    "fidelity": Layout(
        ("fidelity_table",), "PRIMIS, Table 1: published and ours, mean ± SD",
        {"codec": "{codec}", **{name: f"{{{name}}}" for name in (*_ERRORS, "R²")}}, _fidelity,
    ),
    "depth16": Layout(
        ("depth16",), "16-bit CT, lapped, sealed, default quality",
        {"set": "{set}", "images": "{images}", "mean RMSE, HU": "{mean_rmse_hu:.2f}",
         "largest RMSE, HU": "{largest_rmse_hu:.2f}", "largest error, HU": "{largest_error_hu:.0f}",
         "padding exact": "{padding_exact}", "bpp": "{bpp:.2f}", "JPEG-LS lossless bpp": "{lossless_bpp:.2f}"},
        _depth16,
    ),
    "exact": Layout(
        ("exact_bytes",), "Every pixel value of the test fold",
        {"way": "{way}", "code, bpp": "{code_bpp:.3f}", "exact section, bpp": "{exact_bpp:.3f}",
         "whole release, bpp": "{release_bpp:.3f}", "× JPEG XL": "{release_times_jpeg_xl:.3f}",
         "sections × JPEG-LS": "{times_jpeg_ls:.3f}",
         "exact: encode, CPU s a megapixel": "{encode_seconds_a_megapixel:.1f}",
         "decode": "{decode_seconds_a_megapixel:.1f}"},
        _exact,
    ),
    "large": Layout(
        ("performance",), "One 1024 × 1024 radiograph in one process after start-up",
        {"share + open, 1024 × 1024": "{name}", "median s": "{median_seconds:.2f}", "best s": "{best_seconds:.2f}",
         "CPU s": "{cpu_seconds:.2f}", "× JPEG 2000": "{times_jpeg_2000:.1f}"},
        lambda results: results["large"]["rows"],
    ),
    "start-up": Layout(("performance",), "Start-up, memory, grants, demo", LINES, _start_up),
    "grants": Layout(
        ("granting",), "One more recipient in a release of {grant[packages]} packages",
        {"kind of key": "{kind}", "grant, bytes": "{grant_bytes}", "ledger entry, bytes": "{ledger_bytes}",
         "files touched": "{touched[0]} + {touched[1]}", "s in the library": "{seconds_in_the_library:.3f}",
         "s of the program": "{median_seconds_of_the_program:.2f}"},
        lambda results: results["grant"]["rows"],
    ),
    "rotation": Layout(
        ("granting",), "Packages of 512 × 512 on one core, the whole program",
        {"protection": "{protection}", "share, s a package": "{share_seconds_a_package:.3f}",
         "rotate, s a package": "{rotate_seconds_a_package:.3f}", "share / rotate": "{share_over_rotate:.1f}"},
        lambda results: results["rotate"]["rows"],
    ),
}  # fmt: skip
