"""Tables and bars of what can still be done with opened images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import published_tasks
from benchmarks.table import Bar, Collected, Table, results_of

Results = Mapping[str, Any]
_ORIGINAL = "original"
_PRIMARY = ("lapped:40", "primis:16")
_NETWORKS = {"densenet121": "DenseNet-121", "efficientnet-lite0-imagenet": "EfficientNet-lite0 (ImageNet)"}
_RAW_BARS = {"kermany/normal-vs-rest": 0.95, "kermany/bacterial_pneumonia-vs-viral_pneumonia": 0.80}
_DICE_BAR, _KEPT_BAR = 0.94, 0.90
_WITHIN = "non-inferior"


def raw(collected: Collected) -> Table:
    """Every question on originals, with its baselines."""
    rows = []
    for part in results_of(collected, "utility_classification")["parts"]:
        for question in part["questions"]:
            values = _cell(question["matrix"], _ORIGINAL, _ORIGINAL)["values"]
            baselines = "; ".join(f"{each['title']} {_estimate(each)}" for each in question["baselines"]) or "none"
            rows.append(
                (question["title"], _NETWORKS[part["network"]], f"{question['images']} of {question['patients']}",
                 f"{_estimate(values['auc'])}, SD {values['auc']['sd']:.3f}", _estimate(values["accuracy"]),
                 _estimate(values["sensitivity"]), _estimate(values["specificity"]), baselines)
            )  # fmt: skip
    header = (
        "question", "network", "images of patients", "AUC (95 %), SD of seeds", "accuracy", "sensitivity",
        "specificity", "AUC without a picture",
    )  # fmt: skip
    return Table("Classification of original images", header, rows)


def losses(collected: Collected) -> Table:
    """What is lost where a network is trained and tested on opened images, and where it is only tested on them."""
    rows = []
    for part in results_of(collected, "utility_classification")["parts"]:
        for question in part["questions"]:
            for name in _sets(question["matrix"]):
                if name == _ORIGINAL:
                    continue
                both = _cell(question["matrix"], name, name)
                tested = _cell(question["matrix"], _ORIGINAL, name)
                rows.append(
                    (question["title"], _NETWORKS[part["network"]], name, f"{both['values']['auc']['mean']:.3f}",
                     *_difference(both), *_difference(tested))
                )  # fmt: skip
    header = (
        "question", "network", "quality", "AUC, trained and tested on opened", "less AUC of originals (95 %)",
        "lower bound", "within 0.02", "tested only: less AUC of originals (95 %)", "lower bound", "within 0.02",
    )  # fmt: skip
    return Table("AUC lost by opening", header, rows)


def matrix(collected: Collected) -> Table:
    """Train × test, AUC of ours and, in brackets, of the published table."""
    by_name = {question["name"]: question for question in _questions(collected, "densenet121")}
    tasks = {task: by_name[name] for task, name in published_tasks.TASKS.items() if name in by_name}
    sets = _sets(by_name[published_tasks.TASKS["T1"]]["matrix"])
    theirs = {ours: printed for printed, ours in published_tasks.OURS.items()}
    rows = []
    for train in sets:
        for test in sets:
            printed = published_tasks.AUC.get((theirs.get(train, ""), theirs.get(test, "")), {})
            cells = []
            for task, question in tasks.items():
                cell = _cell_or_none(question["matrix"], train, test)
                own = f"{cell['values']['auc']['mean']:.3f}" if cell else "–"
                cells.append(f"{own} [{printed.get(task, '–')}]")
            rows.append((train, test, *cells))
    header = ("trained on", "tested on", *(f"{task}, ours [published]" for task in tasks))
    return Table("AUC of DenseNet-121, trained × tested, beside PRIMIS Table 2", header, rows)


def segmentation(collected: Collected) -> Table:
    """Train × test, measures of ours, and the published Dice."""
    found = results_of(collected, "utility_segmentation")
    theirs = {ours: printed for printed, ours in published_tasks.OURS.items()}
    rows = []
    for cell in found["matrix"]:
        printed = published_tasks.SEGMENTATION.get((theirs.get(cell["train"], ""), theirs.get(cell["test"], "")), {})
        values = cell["values"]
        rows.append(
            (cell["train"], cell["test"], f"{_spread(values['dice'])} [{printed.get('dice', '–')}]",
             f"{_spread(values['jaccard'])} [{printed.get('jaccard', '–')}]",
             f"{values['false_negative_rate']['mean']:.3f} [{printed.get('false_negative_rate', '–')}]",
             f"{values['false_positive_rate']['mean']:.3f} [{printed.get('false_positive_rate', '–')}]",
             *(f"{values[name]['mean']:.2f}" for name in ("surface_mean", "surface_sd", "hausdorff", "hausdorff_95")),
             *_difference(cell))
        )  # fmt: skip
    header = (
        "trained on", "tested on", "Dice, mean ± SD [published]", "Jaccard [published]", "FN/true [published]",
        "FP/true [published]", "surface mean, px", "surface SD, px", "Hausdorff, px", "HD95, px",
        "less Dice of originals (95 %)", "lower bound", "within 0.02",
    )  # fmt: skip
    return Table("Lungs, U-Net, trained × tested, beside PRIMIS Table 3", header, rows)


def radiomics(collected: Collected) -> Table:
    """How many of the features come out the same."""
    rows = []
    for one in results_of(collected, "utility_radiomics")["sets"]:
        groups = one["groups"]
        rows.append(
            (f"{one['set']}, {one['bins']}", _percent(one["kept_icc31"]), _percent(one["kept_icc21"]),
             _percent(one["estimate_icc21"]), _percent(one["small_error"]),
             " / ".join(str(groups[name]) for name in ("excellent", "good", "fair", "poor", "undefined")),
             ", ".join(f"{worst['feature']} {worst['lower']:.2f}" for worst in one["worst"][:3]))
        )  # fmt: skip
    header = (
        "quality, grey levels", "ICC(3,1), lower bound > 0.75", "ICC(2,1), lower bound > 0.75",
        "ICC(2,1), estimate > 0.75", "mean error < 10 %", "excellent / good / fair / poor / undefined, ICC(3,1)",
        "least, lower bound of ICC(3,1)",
    )  # fmt: skip
    return Table("The 93 texture features of the lungs from opened images", header, rows)


def classification_bars(results: Results) -> Iterator[Bar]:
    """Raw AUC by network, and non-inferiority of both qualities."""
    for part in results["parts"]:
        network = _NETWORKS[part["network"]]
        for question in part["questions"]:
            area = _cell(question["matrix"], _ORIGINAL, _ORIGINAL)["values"]["auc"]
            limit = _RAW_BARS.get(question["name"])
            if limit is not None:
                yield Bar(f"raw images, {question['title']}, {network}", f"AUC ≥ {limit:.2f}", "", _estimate(area),
                          area["mean"] >= limit)  # fmt: skip
            elif question["name"].startswith("nih/"):
                view = [each for each in question["baselines"] if each["name"] == "view"]
                words = f"; view alone {_estimate(view[0])}" if view else ""
                yield Bar(f"raw images, {question['title']}, {network}", "told with the view alone", "",
                          f"{_estimate(area)}{words}", bool(view))  # fmt: skip
            for name in _PRIMARY:
                cell = _cell_or_none(question["matrix"], name, name)
                if cell is not None and question["name"] in (*_RAW_BARS, "kermany/all"):
                    yield _standing_bar(f"AUC, {question['title']}, {network}, trained and tested on {name}", cell)


def segmentation_bars(results: Results) -> Iterator[Bar]:
    """Raw Dice, and non-inferiority."""
    dice = _cell(results["matrix"], _ORIGINAL, _ORIGINAL)["values"]["dice"]
    yield Bar("lungs, kermany, raw", f"Dice ≥ {_DICE_BAR:.2f}", "", _estimate(dice), dice["mean"] >= _DICE_BAR)
    for name in _PRIMARY:
        yield _standing_bar(f"Dice, lungs, trained and tested on {name}", _cell(results["matrix"], name, name))


def radiomics_bars(results: Results) -> Iterator[Bar]:
    """Share of features, by both forms of the ICC."""
    for one in results["sets"]:
        if one["set"] in _PRIMARY:
            for form, key in (("ICC(3,1)", "kept_icc31"), ("ICC(2,1)", "kept_icc21")):
                yield Bar(f"features with {form} > 0.75 (lower bound), {one['set']}, {one['bins']}", "≥ 90 % of 93", "",
                          _percent(one[key]), one[key] >= _KEPT_BAR)  # fmt: skip


def _standing_bar(what: str, cell: Mapping[str, Any]) -> Bar:
    difference = cell["difference"]
    measured = f"{difference['difference']:+.3f}, lower bound {difference['lower']:+.3f}: {difference['standing']}"
    return Bar(what, "within 0.02 of raw", "", measured, difference["standing"] == _WITHIN)


def _questions(collected: Collected, network: str) -> list[Any]:
    parts = results_of(collected, "utility_classification")["parts"]
    return [question for part in parts if part["network"] == network for question in part["questions"]]


def _sets(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(cell["train"] for cell in cells))


def _cell_or_none(cells: Sequence[Mapping[str, Any]], train: str, test: str) -> Any:
    return next((cell for cell in cells if (cell["train"], cell["test"]) == (train, test)), None)


def _cell(cells: Sequence[Mapping[str, Any]], train: str, test: str) -> Any:
    found = _cell_or_none(cells, train, test)
    assert found is not None
    return found


def _difference(cell: Mapping[str, Any]) -> tuple[str, str, str]:
    one = cell["difference"]
    if one is None:
        return "–", "–", "–"
    low, high = one["ci"]
    return f"{one['difference']:+.3f} ({low:+.3f} to {high:+.3f})", f"{one['lower']:+.3f}", one["standing"]


def _estimate(one: Mapping[str, Any]) -> str:
    low, high = one["ci"]
    return f"{one['mean']:.3f} ({low:.3f}–{high:.3f})"


def _spread(one: Mapping[str, Any]) -> str:
    return f"{one['mean']:.3f} ± {one['sd']:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


BARS = {
    "utility_classification": classification_bars,
    "utility_segmentation": segmentation_bars,
    "utility_radiomics": radiomics_bars,
}
TABLES = {
    "utility-raw": (("utility_classification",), raw),
    "utility-losses": (("utility_classification",), losses),
    "utility-matrix": (("utility_classification",), matrix),
    "utility-segmentation": (("utility_segmentation",), segmentation),
    "utility-radiomics": (("utility_radiomics",), radiomics),
}
