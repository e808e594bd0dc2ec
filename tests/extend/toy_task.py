"""A task in one file: does the brightness of a picture tell who is ill? Entry point: medveil.tasks."""

import numpy as np

from medveil.errors import UsageError
from medveil.experiments.unit import Product, Unit
from medveil.metrics.ranking import auc
from medveil.tasks.results import Estimate, MatrixCell, Question, TaskResult


class Brightness:
    name = "brightness"
    title = "Telling who is ill by the brightness"
    needs = "a manifest with two labels"
    measures = "AUC of the mean grey value, on every set"
    cost = "one look at each image"

    def units(self, assignment):
        """What takes long, a piece each: it is done once, kept, and found again when an audit goes on."""
        images = self._images(assignment)
        return tuple(
            Unit((self.name, name), "task", f"brightness: {name}", lambda tick, name=name: self._grey(
                assignment.gallery, name, images, tick)) for name in assignment.gallery.sets
        )  # fmt: skip

    def result(self, assignment, products):
        images = self._images(assignment)
        labels = sorted({image.label for image in images})
        ill = np.array([image.label == labels[0] for image in images])
        cells = []
        for name in assignment.gallery.sets:
            area = auc(products[self.name, name].arrays["grey"], ill)
            area = max(area, 1 - area)
            cells.append(MatrixCell(name, name, {"auc": Estimate(area, 0.0, (area, area))}))
        question = Question(
            f"{labels[0]}-vs-{labels[1]}", f"{labels[0]} against {labels[1]}",
            {label: int(np.sum(ill == (label == labels[0]))) for label in labels},
            len(images), len({image.patient for image in images}), "auc", tuple(cells),
        )  # fmt: skip
        return TaskResult(self.name, self.title, questions=(question,))

    def _images(self, assignment):
        images = [image for image in assignment.gallery.images if image.label]
        if len({image.label for image in images}) != 2:
            raise UsageError("the manifest has no two labels to tell apart", hint="see its column label")
        return images

    def _grey(self, gallery, name, images, tick):
        values = []
        for image in images:
            values.append(gallery.picture(name, image.number).mean())
            tick()
        return Product({"grey": np.array(values)})
