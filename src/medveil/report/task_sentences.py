"""The report's sentences on tasks: what is lost at each quality, in plain words and no stronger than it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medveil.audit.record import excellent_share, leading, ranked, strict_share
from medveil.audit.results import Audit
from medveil.experiments.unit import Status
from medveil.metrics.inference import Compared, Standing
from medveil.report.sentences import METRIC_NAMES, NOT_MEASURED, VERDICT_WORDS, amount, plural
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.radiomics_compare import EXCELLENT_ABOVE
from medveil.tasks.results import Estimate, FeatureAgreement, Question, TaskResult

METRIC_WORDS = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "dice": "Dice",
    "jaccard": "Jaccard",
    "fnr": "false-negative rate",
    "fpr": "false-positive rate",
    "hd": "Hausdorff distance",
    "hd95": "95 % Hausdorff distance",
}
_MASKS = {
    "masks_of_another_size": "have another size than their image",
    "masks_unreadable": "cannot be read as a grey picture of 8 to 16 bits",
    "masks_without_area": "are empty",
}
_ENDED = {Status.DONE: "done", Status.REFUSED: "not possible", Status.FAILED: "failed"}
_STANDINGS = {
    Standing.NON_INFERIOR: "non-inferior within {margin:g}",
    Standing.INFERIOR: "worse, by more than {margin:g}",
    Standing.INCONCLUSIVE: "not decided with {patients}",
}


def metric_name(metric: str) -> str:
    """auc -> AUC; other names without underscores."""
    return METRIC_WORDS.get(metric, metric.replace("_", " "))


def number(value: float | None, *, signed: bool = False) -> str:
    """0.9312 -> "0.931"; large ones with fewer digits, with a sign where it is a difference."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    digits = 3 if abs(value) < 10 else 1
    text = f"{abs(value):.{digits}f}"
    negative = value < 0 and float(text) != 0
    return f"{'−' if negative else '+' if signed else ''}{text}"


def span(ends: Sequence[float | None], *, signed: bool = False) -> str:
    """ "0.91 to 0.95"."""
    if any(end is None or not math.isfinite(end) for end in ends):
        return NOT_MEASURED
    return " to ".join(number(end, signed=signed) for end in ends)


def percent(share: float | None) -> str:
    """0.946 -> "94.6 %"."""
    return NOT_MEASURED if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def standing_words(standing: str, margin: float, patients: int) -> str:
    """ "non-inferior within 0.02"."""
    return _STANDINGS[Standing(standing)].format(margin=margin, patients=plural(patients, "patient"))


def question_sentence(question: Question, name: str) -> str:
    """One question at one quality: trained and tested on images of that set, against originals."""
    cell = _find(question, name, name)
    if cell is None or question.metric not in cell[0]:
        return f"{question.title}: {NOT_MEASURED}"
    values, compared = cell
    metric = metric_name(question.metric)
    told = f"{question.title}: {metric} {number(values[question.metric].mean)}"
    if compared is None:
        return told
    words = standing_words(compared.standing.value, compared.margin, question.patients)
    gap = f"{number(compared.difference, signed=True)} ({span(compared.ci, signed=True)})"
    return f"{told}, {gap} against originals: {words}"


def agreement_sentence(agreement: FeatureAgreement) -> str:
    """How many texture features agree."""
    share = excellent_share(agreement)
    strict = strict_share(agreement)
    beside = "" if strict is None else f"; of ICC(2,1): {percent(strict)}"
    return (
        f"{percent(share)} of {plural(len(agreement.features), 'feature')} agree excellently ({agreement.bins}; lower "
        f"bound of ICC(3,1) above {EXCELLENT_ABOVE}{beside}; {plural(agreement.patients, 'patient')})"
    )


def image_sentences(found: Mapping[str, Any]) -> list[str]:
    """Which images tasks saw, and what of the manifest could not be used.

    Args:
        found: what stands in report.json under `data`, `tasks`.
    """
    if "images" not in found:
        return []
    counts = found.get("found", {})
    who = f"{plural(found['images'], 'image')} of {plural(found.get('patients', 0), 'patient')}"
    matched = plural(found.get("packages_with_original", 0), "package")
    told = [
        f"Tasks saw {who}: those that the manifest lists, of {matched} with an original; where there were more than "
        f"the preset allows, whole patients were drawn. {found.get('labelled', 0)} have a label, "
        f"{found.get('masked', 0)} a mask."
    ]
    for name, words in _MASKS.items():
        if counts.get(name):
            told.append(f"Masks that count as none, since they {words}: {counts[name]}.")
    if counts.get("folds_left_aside"):
        told.append("The manifest's folds were left aside: not every image has one, or none is there to train or test.")
    return told


def task_lines(audit: Audit) -> list[str]:
    """For the terminal: a line a question for each tier of the release."""
    lines = []
    for result in audit.tasks:
        if result.status is not Status.DONE:
            lines.append(f"{result.name}: {_ENDED[result.status]}: {result.refusal}")
            continue
        for tier in _tiers(audit):
            lines += [f"{tier:13}{question_sentence(question, tier)}" for question in result.questions]
            found = [each for each in result.agreements if each.set_name == tier]
            lines += [f"{tier:13}{result.title}: {agreement_sentence(each)}" for each in found]
    return lines


def failed_names(audit: Audit) -> tuple[str, ...]:
    """Tasks that were begun and ended with an error."""
    return tuple(result.name for result in audit.tasks if result.status is Status.FAILED)


def task_results(audit: Audit) -> list[dict[str, Any]]:
    """The same as plain values."""
    told = []
    for result in audit.tasks:
        tiers = {
            tier: {
                "questions": {
                    question.name: cell[1].standing.value
                    for question in result.questions
                    if (cell := _find(question, tier, tier)) is not None and cell[1] is not None
                },
                "excellent_share": {
                    each.bins: round(excellent_share(each), 6) for each in result.agreements if each.set_name == tier
                },
            }
            for tier in _tiers(audit)
        }
        told.append({"name": result.name, "refused": result.refusal, "tiers": tiers})
    return told


def loss_table(audit: Audit, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is lost at each quality beside what an attacker gains: head and one row a set, in words.

    Args:
        audit: what was found.
        record: the same as report.json holds it.
    """
    sets = record["data"].get("tasks", {}).get("sets", [])
    results = [result for result in audit.tasks if not result.refusal]
    if not sets or not results:
        return None
    questions = [question for result in results for question in result.questions]
    bins = list(dict.fromkeys(each.bins for result in results for each in result.agreements))
    head = ["images", "what an attacker gains", "PSNR, SSIM"]
    head += [f"{metric_name(question.metric)}: {question.title}" for question in questions]
    head += [f"texture features with ICC above 0.75, {kind}" for kind in bins]
    rows = []
    for one in sets:
        cells = [one["name"], _gain(audit, one["kind"]), _near(one)]
        cells += [_loss(question, one["name"]) for question in questions]
        cells += [_texture(results, one["name"], kind) for kind in bins]
        rows.append({"cells": cells, "title": one["title"], "kind": one["kind"]})
    return {"head": head, "rows": rows}


def _gain(audit: Audit, kind: str) -> str:
    if kind != "tier":
        return "all of it" if kind == "original" else "not this release"
    if not audit.attacked:
        return "not attacked"
    lead = next(((a, found) for a in ranked(audit.attacks) if (found := leading(a)) is not None), None)
    if lead is None:
        return NOT_MEASURED
    result, measured = lead
    gain = amount(measured.metric, measured.advantage, signed=True)
    name = METRIC_NAMES.get(measured.metric, measured.metric)
    return f"{gain} by the strongest, {result.name} ({name}). In all: {VERDICT_WORDS[audit.conclusion]}"


def _near(one: dict[str, Any]) -> str:
    if one["kind"] == "original":
        return "equal"
    return f"{amount('psnr', one.get('psnr'))}, {amount('ssim', one.get('ssim'))}"


def _loss(question: Question, name: str) -> str:
    found = _find(question, name, name)
    if found is None or question.metric not in found[0]:
        return NOT_MEASURED
    values, compared = found
    if compared is None:
        return number(values[question.metric].mean)
    words = standing_words(compared.standing.value, compared.margin, question.patients)
    return f"{number(compared.difference, signed=True)}: {words}"


def _texture(results: Sequence[TaskResult], name: str, bins: str) -> str:
    if name == ORIGINAL:
        return "all"
    for result in results:
        for agreement in result.agreements:
            if (agreement.set_name, agreement.bins) == (name, bins):
                return percent(excellent_share(agreement))
    return NOT_MEASURED


def _tiers(audit: Audit) -> list[str]:
    return [str(tier) for tier in audit.release.get("tiers", [])]


def _find(question: Question, train: str, test: str) -> tuple[dict[str, Estimate], Compared | None] | None:
    try:
        cell = question.cell(train, test)
    except KeyError:
        return None
    return dict(cell.values), cell.compared
