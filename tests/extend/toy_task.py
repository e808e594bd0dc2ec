"""A task in one file: does the brightness of a picture tell who is ill? Entry point: medveil.tasks."""

import numpy as np

from medveil.metrics.ranking import auc
from medveil.tasks.results import Estimate, MatrixCell, Question, TaskResult


class Brightness:
    name = "brightness"
    title = "Telling who is ill by the brightness"
    needs = "a manifest with two labels"
    measures = "AUC of the mean grey value, on every set"
    cost = "one look at each image"

    def parts(self, assignment):
        return 0  # nothing that takes long enough to be kept

    def run(self, assignment):
        """What these images don't allow is a result that says why, and no error."""
        gallery = assignment.gallery
        labels = sorted({image.label for image in gallery.images} - {""})
        if len(labels) != 2:
            return TaskResult(self.name, self.title, refusal="the manifest has no two labels to tell apart")
        images = [image for image in gallery.images if image.label]
        ill = np.array([image.label == labels[0] for image in images])
        cells = []
        for name in gallery.sets:
            grey = np.array([gallery.picture(name, image.number).mean() for image in images])
            area = auc(grey, ill)
            area = max(area, 1 - area)
            cells.append(MatrixCell(name, name, {"auc": Estimate(area, 0.0, (area, area))}))
        question = Question(
            f"{labels[0]}-vs-{labels[1]}", f"{labels[0]} against {labels[1]}",
            {label: int(np.sum(ill == (label == labels[0]))) for label in labels},
            len(images), len({image.patient for image in images}), "auc", tuple(cells),
        )  # fmt: skip
        return TaskResult(self.name, self.title, questions=(question,))
