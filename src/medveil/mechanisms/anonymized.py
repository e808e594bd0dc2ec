"""Anonymized: a method of open release as anybody can apply it to images of her own, to learn from what it does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.anonymizer import Anonymizer
from medveil.codecs.code import Bucket
from medveil.images.image import Image
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Subject
from medveil.mechanisms.working_pictures import Window, working_picture
from medveil.protection.keystream import Keystream, derive


class Anonymized(Mechanism):
    """A method, its settings known; its secret randomness is the attacker's own on her own images.

    A method that makes one picture of several images gets partners for an image from a pool: those that are nearest by
    its features where it groups pictures that look alike, else random ones. Features of the pool are found once.

    Args:
        method: with the settings that the release states.
        pool: images to mix others with; nobody's under attack.
        window, working: of the working pictures.
        size: of how many images a picture is made.
        fitted: whether the method has seen images already; else it sees those of the pool.
    """

    def __init__(
        self, method: Anonymizer, pool: Sequence[Image], window: Window, working: int, size: int = 1, *,
        fitted: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.size = method.name, size
        self._method = method if fitted or not method.fitted_on else method.fit(pool[: method.fitted_on])
        self._fitted = fitted or bool(pool)
        self._window, self._working = window, working
        self._pool = tuple(pool) if size > 1 else ()
        features = [self._method.feature(image) for image in self._pool]
        known = [feature for feature in features if feature is not None]
        self._features = np.stack(known) if known and len(known) == len(features) else None

    @property
    def method(self) -> Anonymizer:
        """The method, fitted."""
        return self._method

    @property
    def varies(self) -> bool:
        """Whether two publications of an image differ: not where all that is drawn is who stands first in a group."""
        return self._method.draws and not self._method.nearest

    def among(self, pool: Sequence[Image]) -> Anonymized:
        """The same with another pool, as of an attacker who has other images. A method that saw none sees these."""
        return Anonymized(self._method, pool, self._window, self._working, self.size, fitted=self._fitted)

    def publish(self, subject: Subject, key: bytes) -> Observation:
        return self.seen(self.released(subject.image, key)[0])

    def released(self, image: Image, key: bytes) -> tuple[Image, tuple[Image, ...]]:
        """The picture that the method makes of an image under a key, and all images that went into it."""
        own = self._method.feature(image) if self._features is not None else None
        places = self._partners(image, own, key)
        images = (image, *(self._pool[place] for place in places))
        drawn = derive(key, b"medveil/audit/anonymized")
        if own is None or self._features is None:
            return self._method.apply(images, drawn), images
        return self._method.merged(images, [own, *self._features[places]], drawn), images

    def seen(self, released: Image) -> Observation:
        """What everybody has of a released picture."""
        bucket = Bucket.of(*released.pixels.shape)
        window = Window() if self._method.redraws else self._window
        return Observation(bucket, picture=working_picture(released.pixels, bucket, window, self._working))

    def _partners(self, image: Image, own: NDArray[np.float32] | None, key: bytes) -> list[int]:
        """Places in the pool; of methods that have features none of them is of the image itself."""
        if own is None or self._features is None:
            order = Keystream(key, "audit/partners").permutation(len(self._pool))
            return [int(place) for place in order[: self.size - 1]]
        if self._method.nearest:
            order = np.argsort(((self._features - own) ** 2).sum(axis=1), kind="stable")
        else:
            order = Keystream(key, "audit/partners").permutation(len(self._pool))
        return [int(place) for place in order if self._pool[int(place)] is not image][: self.size - 1]
