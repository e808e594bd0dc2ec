"""Reports of open releases, as read from report.json, with figures of re-identification that are made up."""

from __future__ import annotations

import numpy as np

ORIGINALS = 0.95


def best(auc: float, *, null: float = 0.6, top_1: float = 0.1, chance: float = 0.02, seed: int = 0) -> dict:
    """The maximum over attackers of one question."""
    draws = auc + 0.02 * np.random.default_rng(seed).standard_normal(400)
    return {
        "recognizer": "hog", "learned": "both", "query": "anonymized", "matched_auc": auc,
        "ci": [auc - 0.04, auc + 0.04], "null": null, "above_null": auc > null, "top_1": top_1,
        "top_1_ci": [top_1 / 2, 2 * top_1], "people": 30, "top_1_chance": chance, "draws": draws.tolist(),
    }  # fmt: skip


def cell(train: str, test: str, auc: float, seed: int) -> dict:
    draws = auc + 0.01 * np.random.default_rng(seed).standard_normal(400)
    value = {"mean": auc, "sd": 0.0, "ci": [auc - 0.02, auc + 0.02]}
    return {"train": train, "test": test, "values": {"auc": value}, "difference": None, "draws": draws.tolist()}


def row(recognizer: str = "hog", question: str = "released-real", auc: float = 0.8, **changed: object) -> dict:
    """One attacker in one mode."""
    told = {
        "recognizer": recognizer, "title": "a few words", "learned": "both", "query": "anonymized",
        "question": question, "auc": auc + 0.05, "auc_ci": [auc, auc + 0.1], "tpr_at_1": 0.3, "matched_auc": auc,
        "matched_auc_ci": [auc - 0.05, auc + 0.05], "matched_tpr_at_1": 0.2, "patient_auc": auc,
        "top": {"1": 0.25, "5": 0.4, "15": 0.6}, "chance": {"1": 0.02}, "map": 0.3, "pairs": 60, "patients": 30,
    }  # fmt: skip
    return told | changed


def report(
    method: str = "pixelate", auc: float = 0.8, population: float | None = 0.9, digest: str = "ab", **settings: object
) -> dict:
    """What read_record gives of an audit; without `population` no task was done."""
    cells = [cell("original", "original", ORIGINALS, 1)]
    cells += [cell("anonymized", "original", population or 0.0, 2), cell("original", "anonymized", 0.8, 3)]
    question = {"name": "k/a-vs-b", "title": "k: a against b", "metric": "auc", "matrix": cells, "patients": 40}
    return {
        "release": {"kind": "open", "protection": method, "settings": settings}, "conclusion": "measured",
        "tasks": [{"name": "classification", "questions": [question]}] if population is not None else [],
        "identification": {
            "people": 40, "people_digest": digest, "raw": best(0.97), "recognizers": ["hog", "thumbnails"],
            "rows": [row("thumbnails", auc=0.6), row(auc=auc)], "raw_rows": [row(question="raw", auc=0.97)],
            "metadata": {}, "undone": [], "controls": {"raw_linked": True, "shuffled_at_null": True},
            "maximum": {"any": best(auc), "released-real": best(auc, top_1=0.3), "same-record": best(0.9, top_1=1.0)},
        },
    }  # fmt: skip
