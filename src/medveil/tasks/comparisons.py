"""Questions: which classes can be told apart within which images.

Labels are tied to data sets in most collections, so a network learns one data set, and its questions stay within it. A
label that stands alone in its data set, as COVID-19 does in many, can only be compared with those of another data set:
such a question is asked too, in a group of its own, and what confounds it is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from medveil.metrics.inference import LEAST
from medveil.tasks.image_sets import TaskImage

_NORMAL = "normal"
_MOST_CLASSES = 8
"""Of a data set; of more than that, those of most patients, and `normal`."""


@dataclass(frozen=True)
class Asked:
    """One question within a group: positive classes against negative ones, or all classes against each other.

    Attributes:
        name: such as `bacterial_pneumonia-vs-viral_pneumonia`, `normal-vs-rest`, or `all`.
        title: for readers.
        negative, positive: classes; both empty for all against each other.
        caution: what confounds it, or empty.
    """

    name: str
    title: str
    negative: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    caution: str = ""


@dataclass(frozen=True)
class ClassGroup:
    """Images that one network learns.

    Attributes:
        name: of the data set, or `across` for several.
        members: indices into the images.
        classes: labels, sorted, `normal` first.
        asked: questions.
    """

    name: str
    members: tuple[int, ...]
    classes: tuple[str, ...]
    asked: tuple[Asked, ...]


def groups(images: Sequence[TaskImage], least: int = LEAST.of_class) -> tuple[ClassGroup, ...]:
    """All groups that these images allow, data sets by name, comparisons across data sets last.

    Args:
        images: with labels and sources, as far as the manifest has them.
        least: patients that a class needs.
    """
    found = []
    for source in sorted({image.source for image in images}):
        classes = _classes([image for image in images if image.source == source], least)
        if len(classes) >= 2:
            members = tuple(i for i, image in enumerate(images) if image.source == source and image.label in classes)
            found.append(ClassGroup(source or "all images", members, classes, _within(classes)))
    across = _across(images, found, least)
    return (*found, *across)


def _classes(images: Sequence[TaskImage], least: int) -> tuple[str, ...]:
    patients: dict[str, set[int]] = {}
    for image in images:
        if image.label:
            patients.setdefault(image.label, set()).add(image.patient)
    kept = [label for label, whose in patients.items() if len(whose) >= least]
    most = sorted(kept, key=lambda label: (label.casefold() != _NORMAL, -len(patients[label]), label))[:_MOST_CLASSES]
    return tuple(sorted(most, key=_normal_first))


def _normal_first(label: str) -> tuple[bool, str]:
    return label.casefold() != _NORMAL, label


def _within(classes: tuple[str, ...]) -> tuple[Asked, ...]:
    pairs = [
        Asked(f"{first}-vs-{second}", f"{_said(first)} against {_said(second)}", (first,), (second,))
        for first, second in itertools.combinations(classes, 2)
    ]
    if len(classes) == 2:
        return tuple(pairs)
    several = [Asked("all", f"{len(classes)} classes: {', '.join(_said(name) for name in classes)}"), *pairs]
    if classes[0].casefold() == _NORMAL:
        rest = classes[1:]
        title = f"{_said(classes[0])} against {' or '.join(_said(name) for name in rest)}"
        several.append(Asked(f"{classes[0]}-vs-rest", title, classes[:1], rest))
    return tuple(several)


def _across(images: Sequence[TaskImage], found: Sequence[ClassGroup], least: int) -> tuple[ClassGroup, ...]:
    """Each label that no data set lets be compared, against the classes of the data set with most images."""
    if not found:
        return ()
    largest = max(found, key=lambda group: len(group.members))
    compared = {label for group in found for label in group.classes}
    alone = [label for label in _classes(images, least) if label not in compared]
    groups_across = []
    for label in alone:
        members = (*largest.members, *(i for i, image in enumerate(images) if image.label == label))
        sources = _told_sources([images[i] for i in members if images[i].label == label], least)
        caution = (
            f"Confounded: {_said(label)} comes from {sources} and the rest from {largest.name}, so that a "
            "network may tell the data sets apart and not the disease. Read it beside the baselines of source and view."
        )
        asked = [
            Asked(f"{name}-vs-{label}", f"{_said(name)} against {_said(label)}", (name,), (label,), caution)
            for name in largest.classes
        ]
        ill = tuple(name for name in largest.classes if name.casefold() != _NORMAL)
        if len(ill) > 1 and len(ill) < len(largest.classes):
            asked.append(
                Asked(f"others-vs-{label}", f"{' or '.join(_said(name) for name in ill)} against {_said(label)}",
                      ill, (label,), caution)
            )  # fmt: skip
        classes = tuple(sorted((*largest.classes, label), key=_normal_first))
        groups_across.append(
            ClassGroup(f"across data sets, {_said(label)}", tuple(sorted(members)), classes, tuple(asked))
        )
    return tuple(groups_across)


def _told_sources(images: Sequence[TaskImage], least: int) -> str:
    """Names of the data sets with enough patients; a smaller one may be named after somebody."""
    whose: dict[str, set[int]] = {}
    for image in images:
        whose.setdefault(image.source, set()).add(image.patient)
    named = sorted(name for name, patients in whose.items() if name and len(patients) >= least)
    return ", ".join([*named, *(["others"] if len(named) < len(whose) else [])])


def _said(label: str) -> str:
    return label.replace("_", " ")
