"""Registration: the affine map that lays one picture over another."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.planes import Plane, averaged, sampled, square
from medveil.experiments.cache import ByteCache
from medveil.images.image import Image

Affine = NDArray[np.float64]
"""(2, 3): from (row, column, 1) of the template to (row, column) of the picture, each from -1 to 1 over the side."""
IDENTITY: Affine = np.eye(2, 3)
_SIDES = (16, 32, 64)  # coarse to fine
_STEPS = 12  # a size, at most
_STILL = 5e-4  # a step that changes no more is the last one of its size: a sixtieth of a pixel of 64
_RIDGE = 1e-3
_KEPT_BYTES = 1 << 28
_MOST_SCALE, _MOST_SHIFT = 1.4, 0.35  # beyond these the pictures show other things; they are left as they lie
_Over = tuple[Plane, Image, Plane]
"""A picture over a template, and what it was made of, so that no other image or template gets their numbers."""
_KEPT: ByteCache[tuple[int, int, int], _Over] = ByteCache(
    _KEPT_BYTES, lambda over: over[0].nbytes + over[1].frames.nbytes
)


def over(template: Plane, image: Image, side: int) -> Plane:
    """(side, side): the grey picture of an image over a template.

    An audit mixes one image many times; so what was made last is kept in memory, up to 256 MiB with its images.
    """

    def make() -> _Over:
        small = square(image, template.shape[0])
        picture = small if side == template.shape[0] else square(image, side)
        return laid(picture, registered(small, template)), image, template

    return _KEPT.get((id(image), id(template), side), make)[0]


def registered(picture: Plane, template: Plane) -> Affine:
    """The affine map after which a picture is most like a template, whatever its brightness and contrast.

    Gauss-Newton on the difference of both, each of mean 0 and deviation 1, from coarse to fine (Lucas and Kanade 1981,
    composing the steps).

    Args:
        picture, template: (S, S) grey values, S at least 64.

    Returns:
        The identity where none is found that is near it.
    """
    found = IDENTITY
    for side in _SIDES:
        small, wanted = averaged(picture, side, side), _even(averaged(template, side, side))
        for _ in range(_STEPS):
            step = _step(_even(laid(small, found)), wanted)
            found = _composed(found, step)
            if np.abs(step - IDENTITY).max() < _STILL:
                break
    stretched = np.linalg.svd(found[:, :2], compute_uv=False)
    fits = stretched.max() <= _MOST_SCALE and stretched.min() >= 1 / _MOST_SCALE
    return found if fits and np.abs(found[:, 2]).max() <= _MOST_SHIFT else IDENTITY


def laid(picture: Plane, affine: Affine, side: int = 0) -> Plane:
    """(side, side): a picture over the template; of its own size where none is given."""
    here = picture.shape[0]
    down, right = _places(side or here)
    rows, columns = (row[0] * down + row[1] * right + row[2] for row in affine)
    places = [((place + 1) / 2 * (here - 1)).astype(np.float32) for place in (rows, columns)]
    return sampled(picture, places[0], places[1])


@lru_cache(8)
def _places(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the pixels of a square, -1 … 1."""
    down, right = np.meshgrid(*(np.linspace(-1, 1, side),) * 2, indexing="ij")
    down.flags.writeable = right.flags.writeable = False
    return down, right


def _even(plane: Plane) -> Plane:
    return np.asarray((plane - plane.mean()) / max(float(plane.std()), 1e-6), np.float32)


def _step(moved: Plane, wanted: Plane) -> Affine:
    """The small affine map that brings what was moved nearer to what is wanted."""
    side = len(moved)
    down, right = _places(side)
    slopes = [slope * (side - 1) / 2 for slope in np.gradient(moved)]
    columns = [slope * place for slope in slopes for place in (down, right, np.ones_like(down))]
    system = np.stack([column.ravel() for column in columns], axis=1)
    normal = system.T @ system
    normal[np.diag_indices(6)] *= 1 + _RIDGE
    normal[np.diag_indices(6)] += 1e-9
    change = np.linalg.solve(normal, system.T @ (wanted - moved).ravel())
    return np.asarray(IDENTITY + np.clip(change, -0.1, 0.1).reshape(2, 3))


def _composed(first: Affine, second: Affine) -> Affine:
    """The map that goes through `second`, and then through `first`."""
    whole = first[:, :2] @ second
    whole[:, 2] += first[:, 2]
    return whole
