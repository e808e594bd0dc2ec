"""From what an attacker thinks is true to a picture: which entries to decode, and what to make of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medveil.mechanisms.observation import Observation, Picture, Shown
from medveil.mechanisms.public_codec import PublicCodec

LogOdds = NDArray[np.float32]
"""(K,) of the shown entries of one map: how likely each is true."""
Rule = Callable[[Shown, LogOdds], Shown]
"""What of a map is decoded."""

_BANDS = 14
_RIDGE = 0.02


def likeliest(vector_length: int, count: float) -> Rule:
    """A rule: the likeliest entries of a vector, `count` of them on average; or, without vectors, the likelier half.

    Args:
        vector_length: cells of a vector, 0 where there are none.
        count: of true entries a vector.
    """

    def rule(shown: Shown, odds: LogOdds) -> Shown:
        if not vector_length:
            return shown.kept(odds > 0)
        vectors = shown.positions // vector_length
        order = np.lexsort((-odds, vectors))
        starts = np.searchsorted(vectors, vectors)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order)) - starts[order]
        return shown.kept(ranks < round(count))

    return rule


def expected(shown: Shown, odds: LogOdds) -> Shown:
    """A rule: each value times the probability that it is true, rounded to a level."""
    values = np.round(shown.values / (1 + np.exp(-np.clip(odds, -30, 30)))).astype(np.int32)
    return replace(shown, values=values).kept(values != 0)


def told(observation: Observation) -> tuple[Shown, ...]:
    """The maps with nothing in them but what the attacker is told."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int32)
    return observation.revealed or tuple(Shown(shown.cells, *nothing) for shown in observation.maps)


def with_revealed(maps: Sequence[Shown], revealed: Sequence[Shown]) -> tuple[Shown, ...]:
    """Maps in which the told cells hold what was told."""
    if not revealed:
        return tuple(maps)
    found = []
    for shown, known in zip(maps, revealed, strict=True):
        other = ~np.isin(shown.positions, known.positions)
        positions = np.concatenate([shown.positions[other], known.positions])
        ranks = np.argsort(positions, kind="stable")
        values = np.concatenate([shown.values[other], known.values])
        found.append(Shown(shown.cells, positions[ranks], values[ranks]))
    return tuple(found)


def decoded(
    space: PublicCodec, maps: Sequence[Shown], observation: Observation, size: tuple[int, int] | None
) -> Picture | None:
    """The picture of maps at a size; None where they are those of no image."""
    from medveil.errors import IntegrityError

    try:
        return space.picture(maps, observation.bucket, size)
    except IntegrityError:
        return None


@dataclass(frozen=True)
class Correction:
    """What is known of a kind of picture by comparison with the originals: a Wiener filter about both means.

    Attributes:
        centre: mean of the attacker's pictures.
        mean: mean of the originals.
        gains: (S, S) factor of each DCT coefficient.
    """

    centre: Picture
    mean: Picture
    gains: NDArray[np.float32]

    @classmethod
    def fit(cls, guesses: Sequence[Picture], originals: Sequence[Picture]) -> Correction:
        """From pictures of one's own. A band without use (of another phase than the original) gets a gain of 0."""
        from scipy import fft

        guessed, true = np.stack(guesses), np.stack(originals)
        centre, mean = guessed.mean(0), true.mean(0)
        ours = fft.dctn(guessed - centre, axes=(1, 2), norm="ortho")
        theirs = fft.dctn(true - mean, axes=(1, 2), norm="ortho")
        bands = _bands(guessed.shape[1])
        shared = np.bincount(bands.ravel(), weights=(ours * theirs).sum(0).ravel(), minlength=_BANDS)
        power = np.bincount(bands.ravel(), weights=(ours**2).sum(0).ravel(), minlength=_BANDS)
        gains = np.maximum(shared, 0) / (power * (1 + _RIDGE) + 1.0)
        return cls(centre, mean, gains[bands].astype(np.float32))

    def __call__(self, guess: Picture | None) -> Picture:
        """The corrected picture; the mean where there is none."""
        from scipy import fft

        if guess is None:
            return self.mean
        spectrum = fft.dctn(guess - self.centre, norm="ortho") * self.gains
        return np.asarray(np.clip(fft.idctn(spectrum, norm="ortho") + self.mean, 0, 255), np.float32)


def error(guesses: Sequence[Picture], originals: Sequence[Picture]) -> float:
    """Mean of the logarithms of the mean squared differences: minus the mean PSNR, but for factors."""
    return float(
        np.mean([np.log(np.mean((one - two) ** 2) + 1e-3) for one, two in zip(guesses, originals, strict=True)])
    )


def _bands(side: int) -> NDArray[np.int64]:
    """Number of the band of each DCT coefficient: octaves cut in halves."""
    rows, columns = np.mgrid[:side, :side]
    radius = np.hypot(rows, columns)
    return np.asarray(np.minimum(np.round(2 * np.log2(1 + radius)), _BANDS - 1), np.int64)
