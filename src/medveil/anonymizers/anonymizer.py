"""Anonymizer: a way of changing pictures so that everybody may have them, and how its settings are given."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.model import AnonymizerModel
from medveil.errors import UsageError
from medveil.images.image import Image
from medveil.protection.keystream import Stream
from medveil.registry import unknown

if TYPE_CHECKING:
    from medveil.anonymizers.learning import Learning


class Labels(StrEnum):
    """What becomes of the labels of the images that one released picture is made of."""

    KEPT = "kept"  # it is made of one image
    MIXED = "mixed"  # each with its share: "a:0.5|b:0.5"
    MERGED = "merged"  # all that occur, without how often: "a|b"
    COMMON = "common"  # the one that all have, else none


@dataclass(frozen=True)
class Setting:
    """One setting of a method, given as `--set name=value`.

    Attributes:
        name: as on the command line.
        default: its value where none is given.
        low, high: inclusive bounds of a number.
        words: the words that are allowed instead of a number.
        about: what it is, with its unit.
    """

    name: str
    default: int | Fraction | str
    low: Fraction
    high: Fraction
    words: tuple[str, ...]
    about: str

    @property
    def allowed(self) -> str:
        """The values that it takes, in words."""
        if self.words:
            return " or ".join(self.words)
        whole = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{whole} from {float(self.low):.9g} to {float(self.high):.9g}"

    def read(self, word: str) -> int | Fraction | str:
        """The value that a word of the command line stands for.

        Raises:
            UsageError: it is none that is allowed.
        """
        wrong = UsageError(f"{self.name} is {self.allowed}, not {word!r}", hint=f"{self.name}: {self.about}")
        if self.words:
            if word not in self.words:
                raise wrong
            return word
        if not _NUMBER.fullmatch(word):
            raise wrong
        value = Fraction(word)
        if not self.low <= value <= self.high or (isinstance(self.default, int) and value.denominator != 1):
            raise wrong
        return int(value) if isinstance(self.default, int) else value


_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")  # neither a power of ten nor a quotient, which may be of any size


def setting(
    default: int | Fraction | str, about: str, *, low: int | str = 0, high: int | str = 0, words: tuple[str, ...] = ()
) -> Any:  # fmt: skip
    """A field of an anonymizer that is one of its settings; see `Setting`."""
    kept = {"low": Fraction(low), "high": Fraction(high), "words": words, "about": about}
    return field(default=default, metadata=kept)


@dataclass(frozen=True)
class Candidate:
    """An image that is to be released, as far as the choice of groups sees it.

    Attributes:
        patient: whose it is; equal words are one patient.
        classes: values that only images of one group may share, such as its source.
        feature: what `Anonymizer.feature` gave of it.
        label: its class in the manifest, which groups of some methods have in common.
    """

    patient: str = field(repr=False)
    classes: tuple[str, ...] = ()
    feature: NDArray[np.float32] | None = field(default=None, repr=False)
    label: str = field(default="", repr=False)


@dataclass(frozen=True)
class Anonymizer(ABC):
    """A method of open release. Its settings are its fields, each made by `setting`.

    What is released of a group of images is one picture; a group is one image unless a method makes larger ones.

    Attributes:
        name: as on the command line.
        title: a few words: what it does.
        promise: what it promises, and what it does not, in a sentence.
        source: the publication.
        measured: what its risk was measured to be, in a sentence with numbers and where they stand; empty where it was
            not.
        cost: about how long, in words.
        needs_patients: whether it has to know whose an image is.
        secret: whether it draws secret randomness with its settings as they are by default, see `draws`.
        redraws: whether its pictures are drawn anew, as 8-bit grey pictures of one size.
        labels: what becomes of labels.
        undone_by_key: whether whoever has the key of a picture gets the image back, so that its owner keeps it.
        nearest: whether groups are of images that look alike, by their features.
        fitted_on: of how many images `fit` wants to see the pixels; drawn from those that are released.
        learns: whether it needs a model, which `learn` makes of images of other people.
        model: what it learned; None where it needs none or has none yet.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    promise: ClassVar[str]
    source: ClassVar[str]
    measured: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    needs_patients: ClassVar[bool] = False
    secret: ClassVar[bool] = False
    redraws: ClassVar[bool] = False
    labels: ClassVar[Labels] = Labels.KEPT
    undone_by_key: ClassVar[bool] = False
    nearest: ClassVar[bool] = False
    fitted_on: ClassVar[int] = 0
    learns: ClassVar[bool] = False

    model: AnonymizerModel | None = field(default=None, repr=False, compare=False, kw_only=True)

    @classmethod
    def settings(cls) -> tuple[Setting, ...]:
        """Its settings, in their order."""
        fields = [each for each in dataclasses.fields(cls) if "about" in each.metadata]
        return tuple(Setting(each.name, cast("Any", each.default), **each.metadata) for each in fields)

    @classmethod
    def of_words(cls, words: Mapping[str, str]) -> Self:
        """The method with settings as the command line gives them.

        Raises:
            UsageError: a setting is not one of its own, or has a value that is not allowed.
        """
        known = {each.name: each for each in cls.settings()}
        for name in words:
            if name not in known:
                raise unknown(f"setting of {cls.name}", name, known)
        given: dict[str, Any] = {name: known[name].read(word) for name, word in words.items()}
        return cls(**given)

    @property
    def stated(self) -> dict[str, int | float | str]:
        """Its settings as a record states them."""
        values = {each.name: getattr(self, each.name) for each in self.settings()}
        return {name: float(value) if isinstance(value, Fraction) else value for name, value in values.items()}

    @property
    def draws(self) -> bool:
        """Whether it draws secret randomness, so that a second release of one image would help to undo the first."""
        return self.secret

    @property
    def spends(self) -> Fraction:
        """ε of differential privacy that one release spends on an image, for what its settings name; 0: none."""
        return Fraction(0)

    def epsilon_of(self, image: Image) -> Fraction:
        """ε of the whole picture; 0 where there is none."""
        return Fraction(0)

    def learn(self, how: Learning) -> AnonymizerModel:
        """A model of what these images show, for the settings of this method; of a method that learns.

        Raises:
            UsageError: the images don't do, or the method does not learn.
        """
        raise UsageError(f"the method {self.name} has nothing to learn", hint="see medveil anonymizers")

    @classmethod
    def shipped_models(cls) -> tuple[AnonymizerModel, ...]:
        """Models that come with medveil, learned from public images; the first is used where none is named."""
        return ()

    def with_model(self, model: AnonymizerModel) -> Self:
        """The method with what it learned.

        Raises:
            UsageError: the model is of another method or was learned with other settings, or the method does not learn.
        """
        if not self.learns:
            raise UsageError(f"the method {self.name} uses no model", hint="leave --model out")
        if model.method != self.name:
            raise UsageError(f"the model is not one of the method {self.name}", hint=self.how_to_learn())
        stated = self.stated
        wrong = sorted(name for name, value in model.settings.items() if stated.get(name) != value)
        if wrong:
            raise UsageError(
                f"the model was learned with another {', '.join(wrong)}",
                hint="leave these settings out, or train a model with them",
            )
        return dataclasses.replace(self, model=model)

    @property
    def model_digest(self) -> bytes:
        """SHA-256 of its model's file; empty where it has none."""
        return self.model.digest if self.model is not None else b""

    @classmethod
    def how_to_learn(cls) -> str:
        """The command that makes a model for it."""
        return f"medveil train --anonymizer {cls.name} IMAGES --manifest CSV -o model/, then --model model/"

    @classmethod
    def lacks_model(cls) -> UsageError:
        """What is said where it learns and has no model."""
        return UsageError(f"the method {cls.name} needs a model, and none is named", hint=cls.how_to_learn())

    def fit(self, images: Iterable[Image]) -> Self:
        """The method after it has seen images; what it learns is in what is given back."""
        return self

    def check(self, image: Image) -> None:
        """Look whether the method is made for such a picture.

        Raises:
            UnsupportedInputError: it is not; the message says by which measure.
        """
        return

    def feature(self, image: Image) -> NDArray[np.float32] | None:
        """What the choice of groups, or `merged`, has to know of a picture; None where nothing has."""
        return None

    def groups(self, candidates: Sequence[Candidate], stream: Stream) -> list[tuple[int, ...]]:
        """Which images become one picture: numbers of candidates, each in one group at most.

        Args:
            candidates: images, in an order of no meaning.
            stream: secret randomness.

        Raises:
            UsageError: these images don't do; it says what is missing.
        """
        return [(number,) for number in range(len(candidates))]

    def merged(self, images: Sequence[Image], features: Sequence[NDArray[np.float32]], key: bytes) -> Image:
        """As `apply`, where the features of the images are known already: some methods need no more."""
        return self.apply(images, key)

    @abstractmethod
    def apply(self, images: Sequence[Image], key: bytes) -> Image:
        """The released picture of a group.

        Args:
            images: of the group; one where it makes no groups.
            key: 32 bytes from the operating system, for this picture alone; all that is random comes from it.

        Returns:
            The first image with other pixels and no padding; its size is kept unless the method `redraws`.
        """
