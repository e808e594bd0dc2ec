"""Tables and bars of tiers, grants, rotation and the two-image game."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.table import Bar, Collected, Table, results_of

Results = Mapping[str, Any]


def two_image_game(collected: Collected) -> Table:
    found = results_of(collected, "two_image_game")
    named = [("**sealed**", found["sealed"])]
    named += [(f"{100 * row['share']:g} % of the cells revealed", row) for row in found["revealed"]]
    named += [("two packages of one picture", found["same_image"])]
    named += [(f"planted fault: {row['fault']}", row) for row in found["faults"]]
    rows = [
        (name, f"{row['advantage']:+.4f}", f"{row['lower_99']:+.4f}", f"{row['upper_99']:+.4f}", str(row["packages"]),
         row["strongest"])
        for name, row in named
    ]  # fmt: skip
    header = (
        "what the attacker is given", "advantage", "lower bound, 99 %", "upper bound, 99 %", "packages", "strongest",
    )  # fmt: skip
    return Table("Two-image game", header, rows)


def two_image_game_bars(results: Results) -> Iterator[Bar]:
    sealed = results["sealed"]
    yield Bar(
        "two-image game against `sealed`, upper 99 % bound on the advantage", "≤ 0.02", "",
        f"{sealed['upper_99']:.4f} ({sealed['packages']} packages)", sealed["upper_99"] <= 0.02,
    )  # fmt: skip
    for row in results["revealed"]:
        yield Bar(
            f"the same, {100 * row['share']:g} % of the cells revealed: found (lower 99 % bound)", "> 0", "",
            f"{row['lower_99']:.4f}", row["lower_99"] > 0,
        )  # fmt: skip


def exact(collected: Collected) -> Table:
    found = results_of(collected, "exact_bytes")
    rows = [
        (f"medveil, {row['protection']}", f"{row['code_bpp']:.3f}", f"{row['exact_bpp']:.3f}",
         f"{row['release_bpp']:.3f}", f"{row['release_times_jpeg_xl']:.3f}", f"{row['times_jpeg_ls']:.3f}",
         f"{row['encode_seconds_a_megapixel']:.1f}", f"{row['decode_seconds_a_megapixel']:.1f}")
        for row in found["medveil"]
    ]  # fmt: skip
    best = min(row["bytes"] for row in found["lossless"] if row["name"] == "JPEG XL")
    rows += [
        (f"{row['name']} in an AEAD", "–", "–", f"{row['bpp']:.3f}", f"{row['bytes'] / best:.3f}", "–", "–", "–")
        for row in found["lossless"]
    ]
    header = (
        "way", "code, bpp", "exact section, bpp", "whole release, bpp", "× JPEG XL", "sections × JPEG-LS",
        "exact: encode, CPU s a megapixel", "decode",
    )  # fmt: skip
    return Table("Every pixel value of the test fold", header, rows)


def exact_bars(results: Results) -> Iterator[Bar]:
    limits = {"sealed": 1.25, "encrypted": 1.15}
    for row in results["medveil"]:
        limit, ratio = limits[row["protection"]], row["release_times_jpeg_xl"]
        yield Bar(
            f"`exact`, {row['protection']}, whole release, every pixel compared", f"≤ {limit} × JPEG XL lossless",
            "≤ 1.08 ×" if row["protection"] == "encrypted" else "", f"{ratio:.3f} × ({row['release_bpp']:.3f} bpp)",
            ratio <= limit, row["protection"] == "encrypted" and ratio <= 1.08,
        )  # fmt: skip


def grants(collected: Collected) -> Table:
    found = results_of(collected, "granting")["grant"]
    rows = [
        (row["kind"], str(row["grant_bytes"]), str(row["ledger_bytes"]), " + ".join(row["touched"]),
         f"{row['seconds_in_the_library']:.3f}", f"{row['median_seconds_of_the_program']:.2f}")
        for row in found["rows"]
    ]  # fmt: skip
    header = (
        "kind of key",
        "grant, bytes",
        "ledger entry, bytes",
        "files touched",
        "s in the library",
        "s of the program",
    )
    return Table(f"One more recipient in a release of {found['packages']} packages", header, rows)


def rotation(collected: Collected) -> Table:
    found = results_of(collected, "granting")["rotate"]
    rows = [
        (row["protection"], f"{row['share_seconds_a_package']:.3f}", f"{row['rotate_seconds_a_package']:.3f}",
         f"{row['share_over_rotate']:.1f}")
        for row in found["rows"]
    ]  # fmt: skip
    header = ("protection", "share, s a package", "rotate, s a package", "share / rotate")
    return Table("Packages of 512 × 512 on one core, the whole program", header, rows)


def granting_bars(results: Results) -> Iterator[Bar]:
    for row in results["grant"]["rows"]:
        limit = 640 if row["kind"] == "X25519" else 2560
        size, seconds = row["grant_bytes"], row["seconds_in_the_library"]
        yield Bar(
            f"grant to one more recipient, {row['kind']}, release of {results['grant']['packages']}",
            f"≤ 0.2 s, ≤ {limit} bytes, one grant file and one ledger entry", "",
            f"{seconds:.3f} s (whole program {row['median_seconds_of_the_program']:.2f} s), {size} bytes, "
            f"{' + '.join(row['touched'])}",
            seconds <= 0.2 and size <= limit and row["touched"] == ["grants", "ledger"],
        )  # fmt: skip
    for row in results["rotate"]["rows"]:
        seconds, ratio = row["rotate_seconds_a_package"], row["share_over_rotate"]
        yield Bar(
            f"rotate, {row['protection']}, a 512 × 512 package and core", "≤ 0.1 s and ≥ 5 × faster than share", "",
            f"{seconds:.3f} s, {ratio:.1f} ×", seconds <= 0.1 and ratio >= 5,
        )  # fmt: skip


BARS = {
    "exact_bytes": exact_bars,
    "two_image_game": two_image_game_bars,
    "granting": granting_bars,
}
TABLES = {
    "exact": (("exact_bytes",), exact),
    "two-image-game": (("two_image_game",), two_image_game),
    "grants": (("granting",), grants),
    "rotation": (("granting",), rotation),
}
