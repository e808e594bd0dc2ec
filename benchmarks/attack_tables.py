"""Tables and bars of the decoys, of the translation attacks, of the CLUB view and of PRIMIS Table 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.table import Bar, Collected, Table, results_of
from medveil.audit.published_values import ATTACKS, FIDELITY, PublishedRow

Results = Mapping[str, Any]
Row = Mapping[str, Any]
_LAW_DB = 6.0
_RATIOS = {1: "S_n = S_x", 3: "S_n = 3 S_x", 7: "S_n = 7 S_x", None: "all empty cells"}
_TABLE_4 = ("mae", "me", "rmse", "psnr", "ssim")
_PUBLISHED_R_SQUARED = {"4": "0.7306", "8": "0.9991", "16": "0.9999"}


def reference(collected: Collected) -> Table:
    """Attacks on the published law."""
    found = results_of(collected, "decoy_curve")["reference"]
    rows = [_attacked(row) for row in found["attacks"]]
    rows.append(("mean of the attacker's own pictures", "–", "–", _plus(found["mean_picture"]["psnr"]), "–", "–", "–"))
    rows.append(("key holder", "–", "–", _plus(found["key_holder_psnr"]), "–", "–", "–"))
    header = (
        "attack on the published decoys", "support AUC", "hits among the likeliest", "picture, dB (95 %)",
        "with another package, dB", "gain, dB (95 %)", "SSIM",
    )  # fmt: skip
    return Table("Published law of decoys, codec primis", header, rows)


def gap(collected: Collected) -> Table:
    """What the values alone tell."""
    found = results_of(collected, "decoy_curve")["reference"]
    rows = [
        ("true negative entries among the smallest values, as many", _percent(found["negatives_found"])),
        ("images in which these are just the true ones", _percent(found["negatives_exact"])),
        ("true entries below the gap", _percent(found["true_below_gap"])),
        ("decoys above the gap, to be dropped by eye", _percent(found["decoys_above_gap"])),
        ("public bits a pixel", f"{found['public_bpp']:.2f}"),
    ]
    return Table("From the public values alone", ("published decoys", "measured"), rows)


def curve(collected: Collected) -> Table:
    """Matched decoys: public bits against the strongest attacker."""
    rows = []
    for row in results_of(collected, "decoy_curve")["matched"]:
        picture, support = (_chosen(row, figure) for figure in ("psnr", "support_auc"))
        naive: Row = next((each for each in row["attacks"] if each["attack"] == "naive-decode"), {})
        rows.append(
            (_RATIOS[row["ratio"]], f"{row['public_bpp']:.2f}",
             _named(support, "support_auc", 3), _hits(support), _named(picture, "psnr", 2),
             _plus(picture.get("no_information", {}).get("psnr")), _plus(picture.get("gain", {}).get("psnr")),
             _plus(naive.get("figures", {}).get("psnr")), _plus(row["mean_picture"]["psnr"]),
             _plus(row["key_holder_psnr"]))
        )  # fmt: skip
    header = (
        "matched decoys", "public bpp", "support AUC of the strongest", "its hits (by chance)",
        "picture of the strongest, dB", "with another package, dB", "gain, dB", "public code as it is, dB",
        "mean picture, dB", "key holder, dB",
    )  # fmt: skip
    return Table("Matched decoys against the strongest attacker", header, rows)


def curve_attacks(collected: Collected) -> Table:
    """All attacks on all numbers of matched decoys."""
    rows = [
        (f"{_RATIOS[row['ratio']]}, {_attacked(attack)[0]}", *_attacked(attack)[1:])
        for row in results_of(collected, "decoy_curve")["matched"] for attack in row["attacks"]
    ]  # fmt: skip
    header = (
        "decoys, attack", "support AUC", "hits among the likeliest", "picture, dB (95 %)", "with another package, dB",
        "gain, dB (95 %)", "SSIM",
    )  # fmt: skip
    return Table("Every attack on matched decoys", header, rows)


def translation(collected: Collected) -> Table:
    """PRIMIS Table 4, the published figures first."""
    found = results_of(collected, "translation_attacks")
    rows: list[tuple[str, ...]] = [_published(row) for row in ATTACKS.values()]
    for mechanism in found["mechanisms"]:
        for attack in mechanism["attacks"]:
            name = f"{mechanism['words']}: `{attack['attack']}`"
            if "refusal" in attack:
                rows.append((name, *("–" for _ in range(7))))
                continue
            own, other = attack["figures"], attack["no_information"]
            rows.append(
                (name, *(_spread(own[key], 3 if key == "ssim" else 2) for key in _TABLE_4), _plus(other["psnr"]),
                 _plus(attack["gain"]["psnr"]))
            )  # fmt: skip
    mean = found["mean_picture"]
    rows.append(
        ("mean of the attacker's own pictures", *(_spread(mean[key], 3 if key == "ssim" else 2) for key in _TABLE_4),
         "–", "–")
    )  # fmt: skip
    header = ("attack", "MAE", "ME", "RMSE", "PSNR", "SSIM", "PSNR with another package", "gain, dB (95 %)")
    return Table("PRIMIS, Table 4: published and ours, mean ± SD", header, rows)


def club(collected: Collected) -> Table:
    """The points of the plot."""
    rows = []
    for point in results_of(collected, "club")["points"]:
        best = _by_name(point["attacks"], point["strongest"])
        rows.append(
            (f"{point['series']}, {point['budget']}", f"{point['public_bpp']:.3f}", _plus(point["key_holder_psnr"]),
             _named(best, "psnr", 2), _plus(best.get("no_information", {}).get("psnr")),
             _plus(point["mean_picture_psnr"]))
        )  # fmt: skip
    header = (
        "level, codec, budget", "public bpp", "key holder, dB", "strongest attacker, dB", "with another package, dB",
        "mean picture, dB",
    )  # fmt: skip
    return Table("CLUB view: public bits, key holder, attacker", header, rows)


def fidelity(collected: Collected) -> Table:
    """PRIMIS Table 1, the published figures first."""
    rows: list[tuple[str, ...]] = [
        (f"published: {row.label}", row.me, row.mae, row.rmse, row.psnr, row.ssim, "–",
         _PUBLISHED_R_SQUARED[row.label.rpartition(" ")[2]])
        for row in FIDELITY
    ]  # fmt: skip
    for row in results_of(collected, "fidelity_table")["rows"]:
        metrics, (codec, _, setting) = row["metrics"], row["codec"].partition(" ")
        name = f"{codec}, {'quality' if codec == 'lapped' else 'S ='} {setting}"
        cells = [_spread(metrics[key], 4 if "ssim" in key else 2) for key in
                 ("me", "mae", "rmse", "psnr", "ssim", "ms_ssim")]  # fmt: skip
        rows.append((f"{name} ({row['images']} images)", *cells, f"{row['r_squared']:.5f}"))
    header = ("codec", "ME", "MAE", "RMSE", "PSNR, dB", "SSIM", "MS-SSIM", "R²")
    return Table("PRIMIS, Table 1: published and ours, mean ± SD", header, rows)


def decoy_bars(results: Results) -> Iterator[Bar]:
    found = results["reference"]
    yield Bar(
        "published decoys, codec `primis`: negative support from the public values alone", "100 %", "",
        f"{_percent(found['negatives_found'])}, exactly these in {_percent(found['negatives_exact'])} of the images; "
        f"{_percent(found['true_below_gap'])} of all true entries lie below the gap",
        found["negatives_found"] >= 1 and found["negatives_exact"] >= 1,
    )  # fmt: skip
    gains = {row["attack"]: row["gain"]["psnr"] for row in found["attacks"] if row.get("gain", {}).get("psnr")}
    best = max(gains, key=lambda name: gains[name]["mean"], default=None)
    measured = f"{_plus(gains[best])} dB, `{best}`" if best is not None else "none"
    yield Bar(
        "published decoys: a picture above no information", "≥ 6 dB", "", measured,
        best is not None and gains[best]["mean"] >= _LAW_DB,
    )  # fmt: skip
    names = [row["ratio"] for row in results["matched"]]
    complete = names == [1, 3, 7, None] and all(row["strongest"] for row in results["matched"])
    gained = [_chosen(row, "psnr").get("gain", {}).get("psnr", {}).get("mean") for row in results["matched"]]
    words = " / ".join("–" if value is None else f"{value:+.1f}" for value in gained)
    yield Bar(
        "matched decoys, S_n / S_x = 1 / 3 / 7 / all: strongest attacker above no information", "a curve", "",
        f"{words} dB", complete,
    )  # fmt: skip


def translation_bars(results: Results) -> Iterator[Bar]:
    by_name = {row["name"]: row for row in results["mechanisms"]}
    run = {row["attack"] for row in by_name.get("noisy-images", {}).get("attacks", []) if "figures" in row}
    yield Bar(
        "PRIMIS Table 4: our four attackers beside the published ones, and from the public code", "all measured", "",
        f"{len(run & set(ATTACKS))} of 4" + (", and `code-decoder`" if "code-decoder" in run else ""),
        run >= {*ATTACKS, "code-decoder"},
    )  # fmt: skip


def club_bars(results: Results) -> Iterator[Bar]:
    series = list(dict.fromkeys(point["series"] for point in results["points"]))
    yield Bar(
        "CLUB view: one plot of public bits against key holder's and attacker's dB", "all levels and budgets", "",
        f"{len(results['points'])} points of {len(series)} kinds", len(series) >= 6,
    )  # fmt: skip


def _attacked(row: Row) -> tuple[str, ...]:
    name = f"`{row['attack']}`"
    if "refusal" in row:
        return name, *("–" for _ in range(6))
    own = row["figures"]
    return (
        name, _plus(own.get("support_auc"), 3), _hits(row), _plus(own.get("psnr")),
        _plus(row["no_information"].get("psnr")), _plus(row["gain"].get("psnr")), _plus(own.get("ssim"), 3),
    )  # fmt: skip


def _published(row: PublishedRow) -> tuple[str, ...]:
    return f"published: {row.label}", row.mae, row.me, row.rmse, row.psnr, row.ssim, "–", "–"


def _chosen(row: Row, figure: str) -> Row:
    return _by_name(row["attacks"], row["strongest"].get(figure))


def _by_name(attacks: Sequence[Row], name: str | None) -> Row:
    return next((each for each in attacks if each["attack"] == name), {})


def _named(row: Row, figure: str, digits: int) -> str:
    found = row.get("figures", {}).get(figure)
    return f"{_plus(found, digits)}, `{row['attack']}`" if found else "–"


def _hits(row: Row) -> str:
    own = row.get("figures", {})
    if not own.get("hit_rate"):
        return "–"
    return f"{_percent(own['hit_rate']['mean'])} ({_percent(own['hit_rate_by_chance']['mean'])})"


def _plus(found: Mapping[str, float] | None, digits: int = 2) -> str:
    """Mean, and its interval."""
    if not found:
        return "–"
    return f"{found['mean']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"


def _spread(found: Mapping[str, float] | None, digits: int) -> str:
    """Mean ± SD."""
    return f"{found['mean']:.{digits}f} ± {found['sd']:.{digits}f}" if found else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


BARS = {"decoy_curve": decoy_bars, "translation_attacks": translation_bars, "club": club_bars}
TABLES = {
    "decoy-gap": (("decoy_curve",), gap),
    "decoy-reference": (("decoy_curve",), reference),
    "decoy-curve": (("decoy_curve",), curve),
    "decoy-attacks": (("decoy_curve",), curve_attacks),
    "translation": (("translation_attacks",), translation),
    "club": (("club",), club),
    "fidelity": (("fidelity_table",), fidelity),
}
