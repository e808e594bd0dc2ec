"""The stranger's picture: what somebody without any key sees who makes a picture of what is public."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.views import magnified, size_of
from medveil.errors import IntegrityError
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Picture
from medveil.mechanisms.public_codec import PublicCodec, smoothness
from medveil.mechanisms.working_pictures import resized

_GREY = 128.0
_MUCH_SMOOTHER = 0.25  # in correlation of neighbouring pixels
_QUARTILES_TO_DEVIATION = 0.7413  # of a normal law
_LEVELS_A_DEVIATION = 32.0


def stranger_picture(
    observation: Observation, mechanism: Mechanism, side: int | None = None, size: tuple[int, int] | None = None
) -> Picture:
    """The picture that what is public gives when it is taken at face value.

    Cells that were told (controls) are decoded alone, since they are true. Else the maps are decoded as they stand;
    where they show no more than masked signs, with magnitudes read from the masked stream, as in
    `medveil.protection.rendering`. The size that gives the smoothest picture is looked for only where entries are in
    their own cells; elsewhere no size is likelier than another and the largest is taken. An encoding of pixels is
    laid out as a picture, without its signs where that is much smoother (random signs hide little), and brought to a
    common range, since its own has no meaning. Encrypted bytes are grey values. A released picture is what it is.

    Args:
        observation: what is seen.
        mechanism: how it was published; its codec decodes.
        side: S of the picture; None for that of the mechanism's working pictures (128 for one without a codec).
        size: at which to decode, where it is known: looking for it takes a number of decodings.

    Returns:
        (S, S) float32, 0 … 255. Even grey where there is nothing to make a picture of.
    """
    space = mechanism.space
    wanted = side or (space.working if space is not None else 128)
    if observation.picture is not None:
        return resized(observation.picture, wanted, wanted)
    if observation.encoding is not None:
        return resized(_in_range(_signed(_laid_out(observation.encoding))), wanted, wanted)
    if space is not None and (observation.maps or observation.revealed):
        return resized(_decoded(observation, mechanism, space, size), wanted, wanted)
    if observation.stream:
        data = np.frombuffer(observation.stream, np.uint8)
        return np.resize(data, (wanted, wanted)).astype(np.float32)
    return np.full((wanted, wanted), _GREY, np.float32)


def _decoded(
    observation: Observation, mechanism: Mechanism, space: PublicCodec, size: tuple[int, int] | None
) -> Picture:
    bucket = observation.bucket
    if observation.revealed:
        maps, size = observation.revealed, size or space.likely_size(observation.revealed, bucket)
    else:
        # In their own cells bare signs stay 1: all entries then weigh the same, which shows where there are any.
        maps = observation.maps if mechanism.in_place else magnified(observation)
        size = size or size_of(mechanism, observation)
    try:
        return space.picture(maps, bucket, size)
    except IntegrityError:  # no code that the codec knows: there is nothing to see
        return np.full((space.working, space.working), _GREY, np.float32)


def _laid_out(encoding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of an encoding that are as many as a square grid of patches has, each as long as a square patch, as that
    grid; every other encoding as it stands."""
    rows, columns = encoding.shape
    grid, patch = math.isqrt(rows), math.isqrt(columns)
    if rows == columns or grid**2 != rows or patch**2 != columns or grid < 2:
        return encoding
    return encoding.reshape(grid, grid, patch, patch).transpose(0, 2, 1, 3).reshape(grid * patch, grid * patch)


def _signed(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """A plane without its signs, if they are what makes it rough."""
    scaled = plane / (float(plane.std()) or 1.0)
    return np.abs(plane) if smoothness(np.abs(scaled)) > smoothness(scaled) + _MUCH_SMOOTHER else plane


def _in_range(plane: NDArray[np.float32]) -> Picture:
    """Median to middle grey, and 32 grey levels for each standard deviation as the quartiles tell it."""
    low, middle, high = np.percentile(plane, (25, 50, 75))
    deviation = (high - low) * _QUARTILES_TO_DEVIATION or float(plane.std()) or 1.0
    scaled = _GREY + _LEVELS_A_DEVIATION * (plane - middle) / deviation
    return np.asarray(np.clip(scaled, 0.0, 255.0), np.float32)
