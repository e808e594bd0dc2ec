"""A method of open release in one file: fewer grey values. Entry point: medveil.anonymizers."""

from dataclasses import dataclass
from typing import ClassVar

from medveil.anonymizers.anonymizer import Anonymizer, setting
from medveil.anonymizers.planes import unpadded, with_values


@dataclass(frozen=True)
class Posterize(Anonymizer):
    name: ClassVar[str] = "posterize"
    title: ClassVar[str] = "fewer grey values"
    promise: ClassVar[str] = "Nothing is promised."
    source: ClassVar[str] = "docs/extend.md"

    bits: int = setting(3, "bits that are left of a value", low=1, high=8)  # given as --set bits=3

    def apply(self, images, key):
        """One picture of a group, which is one image here; all that is random would come from the key."""
        step = 2 ** (images[0].bits_stored - self.bits)
        return with_values(images[0], unpadded(images[0]) // step * step)
