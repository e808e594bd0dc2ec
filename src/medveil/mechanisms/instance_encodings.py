"""Controls that encode pixels instead of a code: linear random encoding of patches, and weighted mixing of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Picture, Subject
from medveil.protection.keystream import derive

PATCH = 16


class LinearEncoding(Mechanism):
    """A secret random linear map of 16 x 16 patches, and patches in an order of their own for every image.

    Stands for: NeuraCrypt (Yala et al., arXiv:2106.02484), private encoding by a random network with patches in random
    order, of which Carlini et al. (arXiv:2108.07256) showed that it doesn't hide whose image it is. The map is one
    random orthogonal matrix of the hospital's; `encoding` is (patches, 256), in grey values over 255, centred.

    Deviations: no non-linearity and no positional term, which leaves the weakest member of the family (a control has to
    fall); the attacker's own images go through the hospital's map, as in the published challenge; with `each_image`,
    every image has a map of its own, which still keeps all angles between its patches.

    Args:
        secret: 32 bytes, from which the hospital's map is drawn.
        each_image: draw the map from the key of the image instead.
    """

    name = "linear-encoding"

    def __init__(self, secret: bytes, *, each_image: bool = False) -> None:
        self._secret = secret
        self._matrix = None if each_image else _orthogonal(secret)

    def publish(self, subject: Subject, key: bytes) -> Observation:
        patches = _patches(subject.picture)
        matrix = _orthogonal(key) if self._matrix is None else self._matrix
        order = _generator(key, b"order").permutation(len(patches))
        encoded = (patches @ matrix)[order].astype(np.float32)
        return _seen(subject.picture, encoded, key)


class WeightedMixing(Mechanism):
    """A weighted mean with other pictures, and then a random sign for every pixel.

    Stands for: InstaHide (Huang et al., ICML 2020, arXiv:2010.02772), of which Carlini et al. (IEEE S&P 2021,
    arXiv:2011.05315) and Chen et al. (arXiv:2011.11181) recovered the private images. Pixels are centred and scaled to
    -1 … 1, `count` pictures are added with random weights that make one, and every pixel's sign is flipped at random.
    `encoding` is (S, S).

    Deviations: the other pictures come from a pool that the attacker knows, all of them (InstaHide mixes private with
    public ones), the picture of interest has the largest weight, 0.5 to 0.7, and no class label is mixed or shown.

    Args:
        pool: pictures to mix with.
        count: pictures in a mixture, the private one included.
    """

    name = "weighted-mixing"

    def __init__(self, pool: Sequence[Picture], count: int = 2) -> None:
        if len(pool) < count - 1:
            raise ValueError(f"a mixture of {count} pictures needs a pool of {count - 1} at least")
        self._pool = tuple(pool)
        self._count = count

    def publish(self, subject: Subject, key: bytes) -> Observation:
        generator = _generator(key, b"mixture")
        largest = generator.uniform(0.5, 0.7)
        rest = generator.dirichlet(np.ones(self._count - 1)) * (1 - largest)
        mixture = largest * _centred(subject.picture)
        for number, weight in zip(generator.permutation(len(self._pool)), rest, strict=False):
            mixture = mixture + weight * _centred(self._pool[number])
        signs = 1 - 2 * generator.integers(0, 2, mixture.shape)
        return _seen(subject.picture, (mixture * signs).astype(np.float32), key)


def _seen(picture: Picture, encoding: NDArray[np.float32], key: bytes) -> Observation:
    place = int.from_bytes(derive(key, b"medveil/audit/place")[:4], "big") / (1 << 32)
    return Observation(Bucket.of(*picture.shape), lengths=(encoding.nbytes,), place=place, encoding=encoding)


def _centred(picture: Picture) -> NDArray[np.float64]:
    return picture.astype(np.float64) / 127.5 - 1


def _patches(picture: Picture) -> NDArray[np.float64]:
    """(patches, 256): whole patches of the picture, row by row, centred."""
    rows, columns = picture.shape[0] // PATCH, picture.shape[1] // PATCH
    whole = _centred(picture)[: rows * PATCH, : columns * PATCH] / 2
    return whole.reshape(rows, PATCH, columns, PATCH).transpose(0, 2, 1, 3).reshape(rows * columns, PATCH * PATCH)


def _orthogonal(secret: bytes) -> NDArray[np.float64]:
    """A uniformly random orthogonal matrix (256, 256): the QR factor of Gaussian noise, signs put right."""
    noise = _generator(secret, b"matrix").standard_normal((PATCH * PATCH, PATCH * PATCH))
    factor, triangle = np.linalg.qr(noise)
    found: NDArray[np.float64] = factor * np.sign(np.diag(triangle))
    return found


def _generator(key: bytes, purpose: bytes) -> np.random.Generator:
    """A generator of its own for each purpose; enough where nothing has to be secret."""
    return np.random.default_rng(int.from_bytes(derive(key, b"medveil/audit/" + purpose), "big"))
