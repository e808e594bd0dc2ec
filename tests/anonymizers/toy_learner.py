"""A method that learns in a few lines: it takes away what other people's pictures have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medveil import images
from medveil.anonymizers.anonymizer import Anonymizer, setting
from medveil.anonymizers.model import AnonymizerModel
from medveil.anonymizers.planes import averaged, unpadded, with_values

_SIDE = 8


@dataclass(frozen=True)
class Unmean(Anonymizer):
    name: ClassVar[str] = "unmean"
    title: ClassVar[str] = "the difference from the mean of others"
    promise: ClassVar[str] = "Nothing is promised."
    source: ClassVar[str] = "tests"
    learns: ClassVar[bool] = True

    weight: int = setting(1, "of the mean", low=0, high=9)
    bias: int = setting(0, "that is added", low=0, high=9)

    def learn(self, how):
        planes = [averaged(images.read(record.path).pixels, _SIDE, _SIDE) for record in how.training]
        how.begin(1)
        how.tick(1)
        mean = self.weight * np.mean(planes, axis=0, dtype=np.float32)
        facts = {"images": len(planes), "labels": "|".join(sorted({record.label for record in how.training}))}
        return AnonymizerModel(self.name, {"weight": self.weight}, {"mean": mean}, facts)

    def apply(self, given, key):
        (image,) = given
        mean = averaged(self.model.arrays["mean"], *image.pixels.shape)
        return with_values(image, np.abs(unpadded(image) - mean) + self.bias)
