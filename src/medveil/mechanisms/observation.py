"""Observation: everything that a stranger holds of one image. Case: an image, and what was published of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, CodeMap, SparseCode
from medveil.images.image import Image

Picture = NDArray[np.float32]
"""(S, S) grey values 0 … 255 at the working size of the audit; see `mechanisms.working_pictures.working_picture`."""


@dataclass(frozen=True)
class Shown:
    """One code map as everybody sees it.

    Attributes:
        cells: number of cells N.
        positions: (K,) int64, strictly increasing in [0, cells): which cells show an entry.
        values: (K,) int32, what they show: levels, or -1 and 1 where only a masked sign is shown.
    """

    cells: int
    positions: NDArray[np.int64]
    values: NDArray[np.int32]

    @classmethod
    def of(cls, code_map: CodeMap) -> Shown:
        """A map of a code as it stands."""
        return cls(code_map.cells, code_map.positions, code_map.levels)

    @property
    def as_map(self) -> CodeMap:
        """The map of a code that this would be, what it shows taken for levels."""
        return CodeMap(self.cells, self.positions, self.values)

    def kept(self, mask: NDArray[np.bool_]) -> Shown:
        """Some of the entries."""
        return Shown(self.cells, self.positions[mask], self.values[mask])

    def plane(self, values: NDArray[np.generic] | float, others: float = 0.0) -> NDArray[np.float32]:
        """(cells,): these values in the cells that show an entry, and another one in all that do not."""
        found = np.full(self.cells, others, np.float32)
        found[self.positions] = values
        return found


@dataclass(frozen=True)
class Observation:
    """What a stranger holds of one image.

    Attributes:
        bucket: public size class.
        maps: the public code as it stands; empty where the code is encrypted.
        stream: masked or encrypted bytes beside it.
        lengths: length in bytes of each section of the package, in file order.
        place: 0 … 1, where the package stands in the manifest.
        commitments: public commitments of the section keys, in file order; empty where a mechanism has none.
        identifiers: other values that stand in the open and are to be random: a package's id and salt. Checks of the
            form hold them against what a package was made of (`medveil.audit.checks.public_values`).
        encoding: (rows, columns) of a mechanism that encodes pixels and has no code maps.
        picture: the released picture at working size, of a mechanism that publishes pictures and has no codes.
        others: further publications of the same image, where an attacker can have them.
        revealed: cells of the true code that the attacker is told (controls); empty otherwise.
    """

    bucket: Bucket
    maps: tuple[Shown, ...] = ()
    stream: bytes = field(default=b"", repr=False)
    lengths: tuple[int, ...] = ()
    place: float = 0.0
    commitments: tuple[bytes, ...] = ()
    encoding: NDArray[np.float32] | None = None
    picture: Picture | None = None
    others: tuple[Observation, ...] = ()
    revealed: tuple[Shown, ...] = ()
    identifiers: tuple[bytes, ...] = ()

    @property
    def pixels(self) -> NDArray[np.float32] | None:
        """What there is instead of a code: a picture, or an encoding of one."""
        return self.encoding if self.picture is None else self.picture


@dataclass(frozen=True)
class Subject:
    """One image of a person, before anything is published of it.

    Attributes:
        number: #n of the image in the audit; nothing else names it.
        patient: number of the patient; 0, 1, 2 … in an order that says nothing.
        stratum: number of the data set and view that the image belongs to.
        image: the original.
        picture: the original at working size.
    """

    number: int
    patient: int
    stratum: int
    image: Image = field(repr=False)
    picture: Picture = field(repr=False)


@dataclass(frozen=True)
class Case:
    """An image with what was published of it. Of a case under test an attack sees the observation only.

    Attributes:
        subject: the image.
        observation: what everybody sees.
        code: the true code; None where a mechanism has none.
        key: the secret under which it was published; attackers know it of their own images only.
    """

    subject: Subject
    observation: Observation
    code: SparseCode | None = field(default=None, repr=False)
    key: bytes = field(default=b"", repr=False)
