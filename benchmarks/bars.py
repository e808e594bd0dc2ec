"""The bars that were set before the work began, and whether the evidence meets them; printed, and in no document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks import attack_tables, utility_tables
from benchmarks.rate_tables import at_forty
from benchmarks.table import Collected, Row, Table, cell, listed

_MIN_DB = 40.0
_PRIMIS_DB = {4: 38, 8: 41, 16: 45}
_EXACT = {"sealed": (1.25, None), "encrypted": (1.15, 1.08)}
_PRIMARY = ("lapped:40", "primis:16")
_RAW_AUC = {"kermany/normal-vs-rest": 0.95, "kermany/bacterial_pneumonia-vs-viral_pneumonia": 0.80}
_NETWORK_ATTACKS = ("unet", "vnet", "cgan", "cyclegan")


@dataclass(frozen=True)
class Bar:
    """One requirement.

    Attributes:
        what: in words.
        limit: what was asked.
        measured: in words.
        met: None where it was not measured.
        stretch: what was hoped for; empty for nothing.
        beyond: whether the stretch is met too.
    """

    what: str
    limit: str
    measured: str
    met: bool | None
    stretch: str = ""
    beyond: bool = False

    @property
    def verdict(self) -> str:
        if self.met is None:
            return "not measured"
        return "no" if not self.met else "yes, and the stretch" if self.beyond else "yes"


def bars(collected: Collected) -> list[Bar]:
    """Every bar, with what the evidence says of it."""
    found = []
    for name, make in _BARS.items():
        evidence = collected.get(name)
        found += [Bar(f"({name})", "", "", None)] if evidence is None else make(evidence["results"])
    return found


def bars_table(collected: Collected) -> Table:
    """Every bar and whether it is met."""
    rows = [(bar.what, bar.limit, bar.stretch, bar.measured, bar.verdict) for bar in bars(collected)]
    return Table("What was asked and what was measured", ("what", "bar", "stretch", "measured", "met"), rows)


def _at_most(what: str, value: float, limit: float, unit: str, digits: int = 0, stretch: float | None = None) -> Bar:
    """A figure that should be small."""
    hoped = "" if stretch is None else f"≤ {stretch}{unit}"
    beyond = stretch is not None and value <= stretch
    return Bar(what, f"≤ {limit}{unit}", f"{value:.{digits}f}{unit}", value <= limit, hoped, beyond)


def _rate_fidelity(results: Row) -> Iterator[Bar]:
    sealed, encrypted = (at_forty(results)[level] for level in ("sealed", "encrypted"))
    yield Bar(
        "`lapped` sealed, whole release, mean ≥ 40.0 dB", "≤ 0.60 bpp",
        cell("{bpp:.3f} bpp at {mean_db:.2f} dB", sealed),
        sealed["bpp"] <= 0.60 and sealed["mean_db"] >= _MIN_DB, "≤ 0.42 bpp", sealed["bpp"] <= 0.42,
    )  # fmt: skip
    compared = next(one for one in results["comparison"] if one["quality"] == 40)
    searched = results["constant_db"]
    for words, found, reached in (
        (f"`lapped` encrypted, both at constant step, {encrypted['mean_db']:.2f} dB", compared,
         encrypted["mean_db"] >= _MIN_DB),
        ("`lapped` code in such a release, both at constant 40 dB", searched,
         abs(searched["mean_db"] - _MIN_DB) < 0.05),
    ):  # fmt: skip
        rows = {row["name"]: row for row in found["rows"]}
        for whole, key in (("before padding", "unpadded_ratio"), ("whole release", "release_ratio")):
            for name in ("JPEG 2000 9/7", "JPEG 2000 5/3"):
                ratio, better = rows[name][key], rows["JPEG XL"][key]
                yield Bar(f"{words}, {whole}", f"≤ 1.0 × {name}", f"{ratio:.2f}; {better:.2f} × JPEG XL",
                          reached and ratio <= 1.0, "≤ 0.8 × JPEG XL", better <= 0.8)  # fmt: skip


def _primis_fidelity(results: Row) -> Iterator[Bar]:
    for row in results["rows"]:
        limit, mean = _PRIMIS_DB[row["sparsity"]], row["means"]["trained"]
        what = ("`primis`, {vectors_per_16x16} code vectors of 256 per 16 × 16 pixels, S = {sparsity}, and ≥ 1 dB "
                "above the untrained DCT")  # fmt: skip
        measured = cell("{means[trained]:.2f} dB, {margin_over_block_dct:+.2f} dB, {means[packed_bpp]:.3f} bpp", row)
        yield Bar(cell(what, row), f"≥ {limit} dB", measured, mean >= limit and row["margin_over_block_dct"] >= 1,
                  f"≥ {limit + 2} dB", mean >= limit + 2)  # fmt: skip


def _depth16(results: Row) -> Iterator[Bar]:
    for name, one in results["sets"].items():
        what = f"16 bit: {name}, `lapped` sealed, default quality, largest RMSE of a file"
        yield _at_most(what, one["largest_rmse_hu"], 5, " HU", 2, 2)


def _performance(results: Row) -> Iterator[Bar]:
    grant = max(row["largest_grant_bytes"] for row in results["grants"])
    yield _at_most("a whole-release grant (X25519)", grant, 640, " bytes")
    for row in results["large"]["rows"]:
        if row["name"].startswith("medveil"):
            what = f"share + open, 1024 × 1024, {row['name'].split()[1]}, after start-up"
            yield _at_most(what, row["median_seconds"], 1.0, " s", 2, 0.3)
    start = results["start_up"]
    yield _at_most("`medveil --help`", start["help_median_seconds"], 0.4, " s", 2)
    both, torch = start["share_open_median_seconds"], start["torch_imported"]
    yield Bar("share + open of one 448 px image from the shell, no torch", "≤ 2.5 s",
              f"{both:.2f} s (median), {'torch' if torch else 'no torch'}", both <= 2.5 and not torch)  # fmt: skip
    peak = max(results["memory"]["share_mib"], results["memory"]["open_mib"])
    yield _at_most("memory, 3000 × 3000, 16 bits", peak, 1536, " MiB", 0, 717)
    yield _at_most("`make demo` after install", results["demo"]["seconds"], 60, " s")


def _exact(results: Row) -> Iterator[Bar]:
    for row in results["medveil"]:
        (limit, stretch), level = _EXACT[row["protection"]], row["protection"]
        what = f"`exact`, {level}, whole release, every pixel compared"
        yield _at_most(what, row["release_times_jpeg_xl"], limit, " × JPEG XL lossless", 3, stretch)


def _game(results: Row) -> Iterator[Bar]:
    yield _at_most("two-image game against `sealed`, upper 99 % bound on the advantage",
                   results["sealed"]["upper_99"], 0.02, "", 4)  # fmt: skip
    for row in results["revealed"]:
        what = f"the same, {100 * row['share']:g} % of the cells revealed: found (lower 99 % bound)"
        yield Bar(what, "> 0", f"{row['lower_99']:.4f}", row["lower_99"] > 0)


def _granting(results: Row) -> Iterator[Bar]:
    for row in results["grant"]["rows"]:
        limit = 640 if row["kind"] == "X25519" else 2560
        form = (
            "{seconds_in_the_library:.3f} s (whole program {median_seconds_of_the_program:.2f} s), {grant_bytes} bytes"
        )
        yield Bar(
            f"grant to one more recipient, {row['kind']}, release of {results['grant']['packages']}",
            f"≤ 0.2 s, ≤ {limit} bytes, one grant file and one ledger entry",
            f"{cell(form, row)}, {' + '.join(row['touched'])}",
            row["seconds_in_the_library"] <= 0.2 and row["grant_bytes"] <= limit
            and row["touched"] == ["grants", "ledger"],
        )  # fmt: skip
    for row in results["rotate"]["rows"]:
        seconds, ratio = row["rotate_seconds_a_package"], row["share_over_rotate"]
        yield Bar(f"rotate, {row['protection']}, a 512 × 512 package and core", "≤ 0.1 s and ≥ 5 × faster than share",
                  f"{seconds:.3f} s, {ratio:.1f} ×", seconds <= 0.1 and ratio >= 5)  # fmt: skip


def _decoys(results: Row) -> Iterator[Bar]:
    found = results["reference"]
    words = ("{negatives_found:.1%}, exactly these in {negatives_exact:.1%} of the images; {true_below_gap:.1%} of all "
             "true entries lie below the gap")  # fmt: skip
    yield Bar("published decoys, codec `primis`: negative support from the public values alone", "100 %",
              cell(words, found), min(found["negatives_found"], found["negatives_exact"]) >= 1)  # fmt: skip
    gained = [row for row in found["attacks"] if row.get("gain", {}).get("psnr")]
    best = max(gained, key=lambda row: row["gain"]["psnr"]["mean"], default=None)
    yield Bar("published decoys: a picture above no information", "≥ 6 dB",
              cell("{gain[psnr]:.2to} dB, `{attack}`", best or {}),
              best is not None and best["gain"]["psnr"]["mean"] >= 6)  # fmt: skip
    rows = results["matched"]
    tried = [{each["attack"]: each for each in row["attacks"]}.get(row["strongest"].get("psnr"), {}) for row in rows]
    measured = " / ".join(cell("{gain[psnr][mean]:+.1f}", each) for each in tried) + " dB"
    complete = [row["ratio"] for row in rows] == [1, 3, 7, None] and all(row["strongest"] for row in rows)
    yield Bar("matched decoys, S_n / S_x = 1 / 3 / 7 / all: strongest attacker above no information", "a curve",
              measured, complete)  # fmt: skip


def _translation(results: Row) -> Iterator[Bar]:
    rows = next((row["attacks"] for row in results["mechanisms"] if row["name"] == "noisy-images"), [])
    run = {row["attack"] for row in rows if "figures" in row}
    words = f"{len(run & {*_NETWORK_ATTACKS})} of 4" + (", and `code-decoder`" if "code-decoder" in run else "")
    yield Bar("PRIMIS Table 4: our four attackers beside the published ones, and from the public code", "all measured",
              words, run >= {*_NETWORK_ATTACKS, "code-decoder"})  # fmt: skip


def _club(results: Row) -> Iterator[Bar]:
    points, series = len(results["points"]), len({point["series"] for point in results["points"]})
    yield Bar("CLUB view: one plot of public bits against key holder's and attacker's dB", "all levels and budgets",
              f"{points} points of {series} kinds", series >= 6)  # fmt: skip


def _audit(level: str, results: Row) -> Iterator[Bar]:
    verdicts = {attack["name"]: attack["verdict"] for attack in results["attacks"]}
    blind = [
        attack["name"] for attack in results["attacks"]
        if attack["verdict"] == "inconclusive" and any(
            one["verdict"] == "inconclusive" and one["smallest_visible"] is None for one in attack["measured"].values()
        )
    ]  # fmt: skip
    counted = list(verdicts.values())
    none, open_, broken = (counted.count(each) for each in ("no-evidence", "inconclusive", "broken"))
    preset = results["settings"]["preset"]
    met = not broken and not blind and preset != "quick" and bool(verdicts)
    words = f"{none} no evidence, {open_} inconclusive, {broken} broken"
    yield Bar(f"`{level}`, preset {preset}: every attack", "no evidence, or inconclusive with smallest visible effect",
              words + (f"; no smallest effect: {listed(blind)}" if blind else ""), met,
              beyond=met and none == len(verdicts))  # fmt: skip
    if level == "sealed":
        yield from _controls(results)


def _controls(results: Row) -> Iterator[Bar]:
    by_name = {control["name"]: control for control in results["controls"]}
    for name, words in (("linear-encoding", "NeuraCrypt-like"), ("weighted-mixing", "InstaHide-like")):
        control, metrics = by_name.get(name, {"attacks": [], "by": ()}), ("psnr", "linkage_auc")
        apart = any(
            metric in metrics and one["verdict"] == "broken" and (one["ci"][0] or 0) > 0
            for attack in control["attacks"] for metric, one in attack["measured"].items()
        )  # fmt: skip
        measured = f"broken by {listed(control['by']) or 'none'}; {attack_tables.largest(control, metrics)}"
        yield Bar(f"control {words}: linkage or picture", "broken, interval apart from 0", measured, apart)
    wrong = [control["name"] for control in results["controls"] if not control["ok"]]
    right = f"{len(by_name) - len(wrong)} of {len(by_name)}" + (f"; not {listed(wrong)}" if wrong else "")
    yield Bar("controls of the audit of the sealed release", "all as expected", right, not wrong)
    told = sorted({point["percent"] for point in results["sensitivity"] if point["verdict"] == "broken"})
    seen = f"from {told[0]:g} % of the entries told" if told else "not even at the largest share"
    yield Bar("sensitivity curve: where the audit starts to see", "at 10 % at the latest", seen, bool(told))


def _repeat(results: Row) -> Iterator[Bar]:
    if twice := results.get("twice"):
        differing = f"{len(twice['differences'])} of {twice['figures']} entries differ"
        yield Bar(f"the same report.json but for seconds: CPU, {results['threads']} threads, one seed, two runs",
                  "no difference", differing, not twice["differences"])  # fmt: skip
    if timed := results.get("timed"):
        what = f"preset quick, {timed['images']} images of {timed['side']} px, {results['threads']} threads"
        yield _at_most(what, timed["minutes"][0], 10, " minutes", 1)


def _classification(results: Row) -> Iterator[Bar]:
    for network, question in utility_tables.questions(results):
        name, title = question["name"], f"{question['title']}, {network}"
        raw = utility_tables.of(question["matrix"], utility_tables.ORIGINAL, utility_tables.ORIGINAL) or {}
        measured, limit = cell("{values[auc]:.3–}", raw), _RAW_AUC.get(name)
        if limit is not None:
            yield Bar(f"raw images, {title}", f"AUC ≥ {limit:.2f}", measured, raw["values"]["auc"]["mean"] >= limit)
        elif name.startswith("nih/"):
            views = [cell("; view alone {value:.3–}", {"value": each}) for each in question["baselines"]
                     if each["name"] == "view"]  # fmt: skip
            yield Bar(f"raw images, {title}", "told with the view alone", measured + "".join(views), bool(views))
        if limit is not None or name == "kermany/all":
            yield from _within(f"AUC, {title}", question["matrix"])


def _segmentation(results: Row) -> Iterator[Bar]:
    raw = utility_tables.of(results["matrix"], utility_tables.ORIGINAL, utility_tables.ORIGINAL) or {}
    yield Bar(
        "lungs, kermany, raw", "Dice ≥ 0.94", cell("{values[dice]:.3–}", raw), raw["values"]["dice"]["mean"] >= 0.94
    )
    yield from _within("Dice, lungs", results["matrix"])


def _within(what: str, matrix: list[Row]) -> Iterator[Bar]:
    """What may be lost where a network is trained and tested on opened images."""
    for name in _PRIMARY:
        one = utility_tables.of(matrix, name, name)
        if one is not None:
            form = "{difference[difference]:+.3f}, lower bound {difference[lower]:+.3f}: {difference[standing]}"
            yield Bar(f"{what}, trained and tested on {name}", "within 0.02 of raw", cell(form, one),
                      one["difference"]["standing"] == "non-inferior")  # fmt: skip


def _radiomics(results: Row) -> Iterator[Bar]:
    for one in results["sets"]:
        for form, key in (("ICC(3,1)", "kept_icc31"), ("ICC(2,1)", "kept_icc21")):
            if one["set"] in _PRIMARY:
                yield Bar(f"features with {form} > 0.75 (lower bound), {one['set']}, {one['bins']}", "≥ 90 % of 93",
                          cell(f"{{{key}:.0%}}", one), one[key] >= 0.90)  # fmt: skip


def _throughput(results: Row) -> Iterator[Bar]:
    for row in results["rows"]:
        for name, one in row["regimes"].items():
            what = cell("training from a sealed release, {network}, {side} px, ", row)
            yield Bar(f"{what}{utility_tables.regime(name, results)}, {results['workers']} workers",
                      "≥ 0.8 × plain PNG files", cell("{ratio:.2f} × ({ratio_lowest:.2f}–{ratio_highest:.2f})", one),
                      one["ratio"] >= 0.8)  # fmt: skip


_BARS: dict[str, Callable[[Row], Iterator[Bar]]] = {
    "rate_fidelity": _rate_fidelity, "primis_fidelity": _primis_fidelity, "depth16": _depth16,
    "performance": _performance, "exact_bytes": _exact, "two_image_game": _game, "granting": _granting,
    "decoy_curve": _decoys, "translation_attacks": _translation, "club": _club,
    "audit_sealed": partial(_audit, "sealed"), "audit_encrypted": partial(_audit, "encrypted"),
    "audit_repeat": _repeat, "utility_classification": _classification, "utility_segmentation": _segmentation,
    "utility_radiomics": _radiomics, "training_throughput": _throughput,
}  # fmt: skip
