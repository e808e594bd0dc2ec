"""Images of more than 8 bits in a release: which depths it holds, and the error that its budget is chosen for.

All images of a release have one profile, and so one budget a size class. Above 8 bits that budget is generous, since
noise of sixteen bits needs it; so depths are not mixed unless somebody asks for it, and the budget is one of a few
classes, the smallest at which images of the release come back within an error that is stated in modality units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from medveil.codecs.code import Bucket, Codec
from medveil.codecs.coding import Coding
from medveil.errors import MedveilError, UsageError
from medveil.images.image import Image
from medveil.protection.levels import CODE, Level

QUALITY_CLASSES = tuple(range(2000, 4801, 400))
"""Budgets that a release above 8 bits may be given, by their quality in 1/100 dB. Which one is public."""
DEFAULT_ERRORS = {"HU": 3.0}
"""Error that is aimed at where nobody says, by modality unit."""
_TRIED = 4
"""Images that a budget is tried on."""


class Depth(StrEnum):
    """Which images of mixed ones are meant."""

    SHALLOW = "8"
    DEEP = "above-8"


@dataclass(frozen=True)
class Form:
    """What an image asks of its release: bits stored, size class, modality unit (empty where it is not known)."""

    bits: int
    bucket: Bucket
    unit: str

    @classmethod
    def of(cls, image: Image) -> Form:
        from medveil import images

        return cls(image.bits_stored, Bucket.of(*image.pixels.shape), images.unit(image))

    @property
    def depth(self) -> Depth:
        return Depth.DEEP if self.bits > 8 else Depth.SHALLOW


@dataclass(frozen=True)
class Forms:
    """The forms of the images of a request, by path."""

    by_path: Mapping[Path, Form] = field(repr=False, default_factory=dict)

    def of_depth(self, depth: Depth) -> list[Path]:
        """The images of a depth, in the order of the request."""
        return [path for path, form in self.by_path.items() if form.depth is depth]

    @property
    def deep(self) -> bool:
        """Whether an image has more than 8 bits."""
        return bool(self.of_depth(Depth.DEEP))

    @property
    def unit(self) -> str:
        """The modality unit of all images above 8 bits."""
        units = {self.by_path[path].unit for path in self.of_depth(Depth.DEEP)}
        return (units.pop() if len(units) == 1 else "") or "modality units"

    @property
    def default_error(self) -> float | None:
        """The error that is aimed at where nobody says: for images above 8 bits of one known unit."""
        return DEFAULT_ERRORS.get(self.unit)

    def refuse_mixed(self, level: Level, shallow: Coding, deep: Coding) -> None:
        """Raise UsageError where a new release would hold images of 8 bits and of more.

        Args:
            level: protection level of the release.
            shallow, deep: how it would be coded with images of one depth alone, and with these.
        """
        few, more = self.of_depth(Depth.SHALLOW), self.of_depth(Depth.DEEP)
        if not few or not more:
            return
        alone, together = (
            sum(level.length(CODE, coding, self.by_path[path].bucket) or 0 for path in few)
            for coding in (shallow, deep)
        )
        cost = f", so that those of 8 bits would take up to {together / alone:.0f} times the bytes" if alone else ""
        raise UsageError(
            f"{len(few)} of the images are of 8 bits and {len(more)} of more; one release gives all of them the room "
            f"that the deeper ones need{cost}",
            hint="make two: `medveil share IMAGES --depth 8 -o RELEASE-8` and `medveil share IMAGES --depth above-8 -o "
            "RELEASE-16`, with your other options; or accept the cost with --mixed-depth",
        )

    def refuse_other(self, deep: bool) -> None:
        """Raise UsageError where images are of another depth than those that a release was made for."""
        others = self.of_depth(Depth.SHALLOW if deep else Depth.DEEP)
        if not others:
            return
        made, effect = ("more than 8", "up to ten times the bytes") if deep else ("8", "a coarse picture")
        own, other = (Depth.DEEP, Depth.SHALLOW) if deep else (Depth.SHALLOW, Depth.DEEP)
        raise UsageError(
            f"the release was made for images of {made} bits, and {len(others)} of these are not: in it they would get "
            f"{effect}",
            hint=f"add the others with --add --depth {own}, and share these with --depth {other} -o ANOTHER-RELEASE; "
            "or accept it with --mixed-depth",
        )


def chosen_quality(paths: list[Path], level: Level, codec: Codec, error: float) -> int:
    """The smallest of QUALITY_CLASSES at which some of these images come back within an error in the mean; the largest
    where none does.

    What is tried is a few images spread over the request, so that the class says a little of the release as a whole.

    Args:
        paths: images of more than 8 bits.
        level, codec: of the release.
        error: RMSE in modality units.
    """
    from medveil import images

    tried = []
    for index in sorted({int(index) for index in np.linspace(0, len(paths) - 1, min(len(paths), _TRIED))}):
        try:
            tried.append(images.read_apart(paths[index]))
        except MedveilError:
            continue
    low, high = 0, len(QUALITY_CLASSES) - 1
    while low < high:
        middle = (low + high) // 2
        profile = codec.profile(quality_centidb=QUALITY_CLASSES[middle], sparsity=None, deep=1)
        found = float(np.mean([_error(image, level, Coding(codec, profile)) for image in tried])) if tried else 0.0
        low, high = (low, middle) if found <= error else (middle + 1, high)
    return QUALITY_CLASSES[low]


def _error(image: Image, level: Level, coding: Coding) -> float:
    """RMSE in modality units of an image that is coded at a level."""
    from medveil.releases.packages.packing import fidelity

    bucket = Bucket.of(*image.pixels.shape)
    try:
        code = coding.encode(image, level.budget(coding, bucket))
    except MedveilError:
        return float("inf")
    return fidelity(image, coding.decode(code, bucket)).rmse_modality
