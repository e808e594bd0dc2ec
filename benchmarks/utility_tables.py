"""Tables of what can still be done with opened images, and of training from a sealed release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.published_values import AUC, OURS, SEGMENTATION, TASKS
from benchmarks.table import NOTHING, Layout, Row, cell

ORIGINAL = "original"
NETWORKS = {"densenet121": "DenseNet-121", "efficientnet-lite0-imagenet": "EfficientNet-lite0 (ImageNet)"}
_REGIMES = {"first": "first epoch, opens every package", "later": "later epochs, from memory", "training": "{} epochs"}
_THEIRS = {ours: printed for printed, ours in OURS.items()}
_SEGMENTED = {
    "Dice, mean ± SD [published]": ("{values[dice]:.3±}", "dice"),
    "Jaccard [published]": ("{values[jaccard]:.3±}", "jaccard"),
    "FN/true [published]": ("{values[false_negative_rate][mean]:.3f}", "false_negative_rate"),
    "FP/true [published]": ("{values[false_positive_rate][mean]:.3f}", "false_positive_rate"),
}


def of(cells: Sequence[Row], train: str, test: str) -> Row | None:
    """The cell of a matrix."""
    return next((one for one in cells if (one["train"], one["test"]) == (train, test)), None)


def sets(cells: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(one["train"] for one in cells))


def questions(results: Row) -> Iterator[tuple[str, Row]]:
    """(network, question) of all parts."""
    for part in results["parts"]:
        yield from ((NETWORKS[part["network"]], question) for question in part["questions"])


def regime(name: str, results: Row) -> str:
    """A way of reading in words."""
    return _REGIMES[name].format(results["training_epochs"])


def _raw(results: Row) -> Iterator[Row]:
    for network, question in questions(results):
        without = "; ".join(cell("{title} {value:.3–}", {**each, "value": each}) for each in question["baselines"])
        raw = of(question["matrix"], ORIGINAL, ORIGINAL)
        assert raw is not None
        yield {**question, **raw["values"], "network": network, "without": without or "none"}


def _losses(results: Row) -> Iterator[Row]:
    for network, question in questions(results):
        for name in sets(question["matrix"]):
            if name != ORIGINAL:
                both, tested = (of(question["matrix"], train, name) for train in (name, ORIGINAL))
                yield {"title": question["title"], "network": network, "set": name, "both": both, "tested": tested}


def _matrix_columns(results: Row) -> dict[str, str]:
    asked = {question["name"] for _, question in questions(results)}
    tasks = {f"{task}, ours [published]": f"{{{task}}}" for task, name in TASKS.items() if name in asked}
    return {"trained on": "{train}", "tested on": "{test}", **tasks}


def _matrix(results: Row) -> Iterator[Row]:
    by_name = {question["name"]: question["matrix"] for network, question in questions(results)
               if network == NETWORKS["densenet121"]}  # fmt: skip
    tasks = {task: by_name[name] for task, name in TASKS.items() if name in by_name}
    names = sets(by_name[TASKS["T1"]])
    for train in names:
        for test in names:
            printed = AUC.get((_THEIRS.get(train, ""), _THEIRS.get(test, "")), {})
            row = {"train": train, "test": test}
            for task, cells in tasks.items():
                ours = cell("{values[auc][mean]:.3f}", of(cells, train, test) or {})
                row[task] = f"{ours} [{printed.get(task, NOTHING)}]"
            yield row


def _segmentation(results: Row) -> Iterator[Row]:
    for one in results["matrix"]:
        printed = SEGMENTATION.get((_THEIRS.get(one["train"], ""), _THEIRS.get(one["test"], "")), {})
        beside = {head: f"{cell(form, one)} [{printed.get(key, NOTHING)}]" for head, (form, key) in _SEGMENTED.items()}
        yield {**one, "beside": list(beside.values())}


def _radiomics(results: Row) -> Iterator[Row]:
    for one in results["sets"]:
        groups = " / ".join(str(one["groups"][name]) for name in ("excellent", "good", "fair", "poor", "undefined"))
        least = ", ".join(f"{worst['feature']} {worst['lower']:.2f}" for worst in one["worst"][:3])
        yield {**one, "groups": groups, "least": least}


def _throughput(results: Row) -> Iterator[Row]:
    for row in results["rows"]:
        for name, one in row["regimes"].items():
            yield {**row, **one, "regime": regime(name, results)}


def _difference(what: str, at: str) -> list[tuple[str, str]]:
    """Columns of a difference: itself with its interval, the lower bound, and what that says."""
    return [
        (what, f"{{{at}[difference]:+.3f}} ({{{at}[ci][0]:+.3f}} to {{{at}[ci][1]:+.3f}})"),
        ("lower bound", f"{{{at}[lower]:+.3f}}"), ("within 0.02", f"{{{at}[standing]}}"),
    ]  # fmt: skip


TABLES: dict[str, Layout] = {
    "utility-raw": Layout(
        ("utility_classification",), "Classification of original images",
        {"question": "{title}", "network": "{network}", "images of patients": "{images} of {patients}",
         "AUC (95 %), SD of seeds": "{auc:.3–}, SD {auc[sd]:.3f}", "accuracy": "{accuracy:.3–}",
         "sensitivity": "{sensitivity:.3–}", "specificity": "{specificity:.3–}", "AUC without a picture": "{without}"},
        _raw,
    ),
    "utility-losses": Layout(
        ("utility_classification",), "AUC lost by opening",
        [("question", "{title}"), ("network", "{network}"), ("quality", "{set}"),
         ("AUC, trained and tested on opened", "{both[values][auc][mean]:.3f}"),
         *_difference("less AUC of originals (95 %)", "both[difference]"),
         *_difference("tested only: less AUC of originals (95 %)", "tested[difference]")],
        _losses,
    ),
    "utility-matrix": Layout(
        ("utility_classification",), "AUC of DenseNet-121, trained × tested, beside PRIMIS Table 2",
        _matrix_columns, _matrix,
    ),
    "utility-segmentation": Layout(
        ("utility_segmentation",), "Lungs, U-Net, trained × tested, beside PRIMIS Table 3",
        {"trained on": "{train}", "tested on": "{test}",
         **{head: f"{{beside[{place}]}}" for place, head in enumerate(_SEGMENTED)},
         "surface mean, px": "{values[surface_mean][mean]:.2f}", "surface SD, px": "{values[surface_sd][mean]:.2f}",
         "Hausdorff, px": "{values[hausdorff][mean]:.2f}", "HD95, px": "{values[hausdorff_95][mean]:.2f}",
         **dict(_difference("less Dice of originals (95 %)", "difference"))},
        _segmentation,
    ),
    "utility-radiomics": Layout(
        ("utility_radiomics",), "The 93 texture features of the lungs from opened images",
        {"quality, grey levels": "{set}, {bins}", "ICC(3,1), lower bound > 0.75": "{kept_icc31:.0%}",
         "ICC(2,1), lower bound > 0.75": "{kept_icc21:.0%}", "ICC(2,1), estimate > 0.75": "{estimate_icc21:.0%}",
         "mean error < 10 %": "{small_error:.0%}",
         "excellent / good / fair / poor / undefined, ICC(3,1)": "{groups}",
         "least, lower bound of ICC(3,1)": "{least}"},
        _radiomics,
    ),
    "training-throughput": Layout(
        ("training_throughput",),
        "Training with {workers} workers, batches of {batch}; one image alone takes {seconds_an_image[sealed]:.3f} s "
        "to open, {seconds_an_image[png]:.3f} s to read as PNG",
        {"network and epoch": "{network}, {side} px, {regime}", "sealed, images/s": "{sealed_images_a_second:.1f}",
         "PNG, images/s": "{png_images_a_second:.1f}",
         "ratio (lowest–highest round)": "{ratio:.2f} ({ratio_lowest:.2f}–{ratio_highest:.2f})"},
        _throughput,
    ),
}  # fmt: skip
