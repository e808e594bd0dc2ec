"""OpenedImages: a torch data set whose images are opened in memory when they are asked for, in any worker process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import get_spawning_popen
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, Subset

from medveil.datasets.splits import held_out
from medveil.errors import UsageError
from medveil.images.image import Image
from medveil.images.intensity import unit_line
from medveil.training.pixel_cache import Kept, make_cache

_MOST_BYTES = 1 << 48
_LONGEST = 1 << 16
SCALINGS = ("range", "modality")
Known = TypeVar("Known")


class ImageSource(Protocol):
    """Where images come from, by number. It goes to the worker processes and holds what they need to open one."""

    def __len__(self) -> int: ...

    def open(self, number: int) -> Image: ...


@dataclass(frozen=True)
class Labels:
    """What a labels file says of the images of a data set, one entry an image, in its order.

    Attributes:
        targets: number of the image's class.
        classes: names of the classes, sorted.
        rows: the image's row, by column.
        patients: the image's patient; empty where the file has no such column.
        unlabelled: images of the release that were left out, since no row, or no label, is of them.
        unknown_rows: rows that are of no image which the key opens.
    """

    targets: tuple[int, ...]
    classes: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...] = field(repr=False)
    patients: tuple[str, ...] = field(repr=False, default=())
    unlabelled: int = 0
    unknown_rows: int = 0


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class OpenedImages(Dataset[Any]):
    """Images of a sealed release for training. `medveil.Release.dataset` makes one.

    Item i is `(image, target)` where the data set has labels, else `image` alone. `image` is float32 (1, height,
    width): 0 … 1 over the range of the image's depth (8 to 16 bits, signed or not), or in modality units, such as
    Hounsfield units, where it was asked for. It is what was stored: MONOCHROME1 is not inverted. `target` is the
    number of its class. `transform` is applied to `image`, in the process that opens it.

    An image is read, compared with the owner's signed digest, opened and decoded when it is asked for. Nothing is
    written to disk. Pixels are kept, as stored integers and up to `cache_bytes`, for the next epoch. On Linux all
    workers share one such memory; elsewhere each has its own of that size, which fills as it comes across the images
    and is lost when it ends: `persistent_workers=True` keeps it.

    The data set holds the keys of the release. They go to the worker processes that torch starts, as part of it, by
    memory (fork) or through a pipe (spawn, forkserver). All other pickling is refused, since it would write them out.

    Attributes:
        labels: what the labels file said, or None.
    """

    def __init__(
        self, source: ImageSource, names: Sequence[str], labels: Labels | None, *, size: tuple[int, int] | None,
        transform: Callable[[Tensor], Any] | None, scaling: str, cache_bytes: float,
    ) -> None:  # fmt: skip
        if scaling not in SCALINGS:
            raise UsageError(f"scaling {scaling!r} is unknown; possible are {', '.join(SCALINGS)}")
        most: Any = cache_bytes  # whoever calls may give anything
        if not isinstance(most, int | float) or not 0 <= most <= _MOST_BYTES:
            raise UsageError("cache_bytes is a number of bytes from 0, which keeps nothing", hint="such as 1 << 30")
        sides: Sequence[Any] | None = size  # whoever calls may give anything
        if sides is not None and (len(sides) != 2 or not all(_whole(side) and 1 <= side <= _LONGEST for side in sides)):
            raise UsageError(
                f"size is a number of pixels or (height, width), each from 1 to {_LONGEST}", hint="such as size=224"
            )
        self.labels = labels
        self._source = source
        self._names = tuple(names)
        self._size = size
        self._transform = transform
        self._scaling = scaling
        self._cache = make_cache(len(source), int(cache_bytes))

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Any:
        number = range(len(self))[index]
        image = _scaled(self._kept(number), self._size)
        found = image if self._transform is None else self._transform(image)
        return found if self.labels is None else (found, self.labels.targets[number])

    def __repr__(self) -> str:
        classes = f", {len(self.labels.classes)} classes" if self.labels else ""
        return f"{type(self).__name__}({len(self)} images{classes})"

    def __getstate__(self) -> dict[str, Any]:
        if get_spawning_popen() is None:
            raise UsageError(
                "a data set of a release holds its keys, and is not pickled or copied but for a worker process",
                hint="where a program of yours sends it to another one, make the data set there",
            )
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def packages(self) -> tuple[str, ...]:
        """Id of each image's package, in hexadecimal digits."""
        return self._names

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, sorted; the target of an image is the place of its class here."""
        return self._labels().classes

    @property
    def targets(self) -> tuple[int, ...]:
        """Target of each image, known without opening any: for class weights and stratified splits."""
        return self._labels().targets

    @property
    def rows(self) -> tuple[Mapping[str, str], ...]:
        """Row of the labels file of each image, by column."""
        return self._labels().rows

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient of each image: the `groups` of scikit-learn's GroupKFold. Raises UsageError where none are known."""
        if self.labels is None or not self.labels.patients:
            raise UsageError(
                "nobody said whose the images are, so a patient may be on both sides of a split",
                hint="a labels file with the column patient_id does",
            )
        return self.labels.patients

    @property
    def cached(self) -> tuple[int, int]:
        """Images kept in memory, and their bytes; of this process only where memory is not shared."""
        return self._cache.filling

    def image(self, index: int) -> Image:
        """The image as `Release.open` gives it, with spacing and rescale; neither scaled nor kept."""
        return self._source.open(range(len(self))[index])

    def where(self, column: str, value: str) -> Part:
        """The images whose row of the labels file has this value, such as `where("fold", "train")`.

        Raises:
            UsageError: there is no such column, or no such row.
        """
        rows = self.rows
        if not rows or column not in rows[0]:
            raise UsageError(f"the labels file has no column {column!r}")
        chosen = [number for number, row in enumerate(rows) if row[column] == value]
        if not chosen:
            raise UsageError(f"no row of the labels file has the value that was asked for in the column {column!r}")
        return Part(self, chosen)

    def split(self, share: float = 0.2, *, seed: int = 0) -> tuple[Part, Part]:
        """(training, validation) images, no patient on both sides.

        Args:
            share: of the patients to validate on; at least one is on either side.
            seed: another one draws other patients.

        Raises:
            UsageError: the patients are not known, are fewer than two, or the share is not between 0 and 1.
        """
        return _split(self, share, seed)

    def _labels(self) -> Labels:
        if self.labels is None:
            raise UsageError("this data set has no labels", hint='dataset(identity, labels="labels.csv")')
        return self.labels

    def _kept(self, number: int) -> Kept:
        kept = self._cache.get(number)
        if kept is None:
            image = self._source.open(number)
            kept = Kept(image.pixels, *_line(image, self._scaling))
            self._cache.put(number, kept)
        return kept


class Part(Subset[Any]):
    """Some of the images of a data set, as `where` and `split` give them, with what is known of each.

    Attributes:
        dataset: what they are of.
        indices: which of them.
    """

    dataset: OpenedImages | Part

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} of {self.dataset!r})"

    @property
    def packages(self) -> tuple[str, ...]:
        """As of `OpenedImages`, of these images; so are the others."""
        return self._of(self.dataset.packages)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the whole data set, by which targets are counted."""
        return self.dataset.classes

    @property
    def targets(self) -> tuple[int, ...]:
        return self._of(self.dataset.targets)

    @property
    def rows(self) -> tuple[Mapping[str, str], ...]:
        return self._of(self.dataset.rows)

    @property
    def patients(self) -> tuple[str, ...]:
        return self._of(self.dataset.patients)

    def split(self, share: float = 0.2, *, seed: int = 0) -> tuple[Part, Part]:
        """As of `OpenedImages`, of these images."""
        return _split(self, share, seed)

    def _of(self, known: Sequence[Known]) -> tuple[Known, ...]:
        return tuple(known[number] for number in self.indices)


def _split(images: OpenedImages | Part, share: float, seed: int) -> tuple[Part, Part]:
    patients = images.patients
    if not 0 < share < 1:
        raise UsageError(f"a share of {share:g} cannot be split off; it is between 0 and 1")
    if len(set(patients)) < 2:
        raise UsageError("images of one patient cannot be split by patient")
    held = held_out(patients, share, seed)
    sides: tuple[list[int], list[int]] = ([], [])
    for number, patient in enumerate(patients):
        sides[patient in held].append(number)
    return Part(images, sides[0]), Part(images, sides[1])


def _line(image: Image, scaling: str) -> tuple[float, float]:
    """Gain and offset from stored values to what training sees."""
    return image.rescale if scaling == "modality" else unit_line(image)


def _scaled(kept: Kept, size: tuple[int, int] | None) -> Tensor:
    image = torch.from_numpy(kept.pixels.astype(np.float32))[None]
    if size is not None and image.shape[1:] != size:
        image = functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    return image.mul_(kept.gain).add_(kept.offset)
