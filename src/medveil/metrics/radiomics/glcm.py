"""The 24 features of the grey level co-occurrence matrix (Haralick et al., IEEE Trans. SMC 3(6), 1973)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.radiomics.directions import DIRECTIONS, pairs
from medveil.metrics.radiomics.first_order import EPSILON, entropy_bits

NAMES = (
    "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation",
    "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2",
    "InverseVariance", "JointAverage", "JointEnergy", "JointEntropy", "MCC", "MaximumProbability", "SumAverage",
    "SumEntropy", "SumSquares",
)  # fmt: skip

_Floats = NDArray[np.float64]
_Levels = NDArray[np.int64]


def glcm_features(levels: _Levels) -> dict[str, float]:
    """Mean over the four directions of the features of the symmetric matrix at distance 1.

    Directions without any pair are left out of the mean. Deviations of PyRadiomics from IBSI that are followed: a
    picture of one level has correlation 1 and MCC 1; 2^-52 in every logarithm and in the denominator of MCC. One that
    is not: where rounding makes the root in Imc2 or MCC one of a number just below 0, PyRadiomics leaves the direction
    out; here it counts as 0.

    Args:
        levels: (H, W) grey levels, 0 outside the mask; at least one pair of neighbours lies in the mask.
    """
    present, compact = np.unique(levels, return_inverse=True)
    # 0 stays 0 also where the mask fills the picture and no 0 is present.
    shift = 0 if present[0] == 0 else 1
    places = compact.reshape(levels.shape) + shift
    values = present[present > 0].astype(np.float64)
    found = []
    for direction in DIRECTIONS:
        first, second = pairs(places, direction)
        if len(first):
            count = len(values)
            joint = np.bincount((first - 1) * count + second - 1, minlength=count**2).reshape(count, count)
            found.append(_of_one((joint + joint.T) / (2 * len(first)), values))
    return {name: float(np.mean([each[name] for each in found])) for name in NAMES}


def _of_one(joint: _Floats, values: _Floats) -> dict[str, float]:
    """Features of one normalised symmetric matrix (L, L), whose rows and columns are the levels `values` (L,)."""
    most = values[-1]
    i, j = values[:, None], values[None, :]
    share = joint.sum(axis=1)
    mean = float(share @ values)
    variance = float(share @ (values - mean) ** 2)
    sums: _Floats = np.bincount((i + j).astype(np.int64).ravel(), joint.ravel()).astype(np.float64)
    apart: _Floats = np.bincount(np.abs(i - j).astype(np.int64).ravel(), joint.ravel()).astype(np.float64)
    total, distance = np.arange(len(sums), dtype=np.float64), np.arange(len(apart), dtype=np.float64)
    away = total - 2 * mean
    mean_distance = float(apart @ distance)
    return {
        "Autocorrelation": float(values @ joint @ values),
        "ClusterProminence": float(sums @ away**4),
        "ClusterShade": float(sums @ away**3),
        "ClusterTendency": float(sums @ away**2),
        "Contrast": float(apart @ distance**2),
        "Correlation": _correlation(joint, values - mean, variance),
        "DifferenceAverage": mean_distance,
        "DifferenceEntropy": entropy_bits(apart),
        "DifferenceVariance": float(apart @ (distance - mean_distance) ** 2),
        "Id": float(np.sum(apart / (1 + distance))),
        "Idm": float(np.sum(apart / (1 + distance**2))),
        "Idmn": float(np.sum(apart / (1 + distance**2 / most**2))),
        "Idn": float(np.sum(apart / (1 + distance / most))),
        **_information(joint, share),
        "InverseVariance": float(np.sum(apart[1:] / distance[1:] ** 2)),
        "JointAverage": mean,
        "JointEnergy": float(np.sum(joint**2)),
        "MCC": _maximal_correlation(joint, share),
        "MaximumProbability": float(joint.max()),
        "SumAverage": float(sums @ total),
        "SumEntropy": entropy_bits(sums),
        "SumSquares": variance,
    }


def _correlation(joint: _Floats, away: _Floats, variance: float) -> float:
    return float(away @ joint @ away) / (variance + EPSILON) if variance else 1.0


def _information(joint: _Floats, share: _Floats) -> dict[str, float]:
    """Joint entropy and the two informational measures of correlation."""
    entropy, own = entropy_bits(joint), entropy_bits(share)
    independent = np.outer(share, share)
    logarithm = np.log2(independent + EPSILON)
    crossed = -float(np.sum(joint * logarithm))
    gained = -float(np.sum(independent * logarithm)) - entropy
    return {
        "Imc1": (entropy - crossed) / own if own else 0.0,
        # The entropies are in bits and the exponential is natural: so has PyRadiomics, and IBSI's figures.
        "Imc2": float(np.sqrt(max(0.0, 1 - np.exp(-2 * gained)))),
        "JointEntropy": entropy,
    }


def _maximal_correlation(joint: _Floats, share: _Floats) -> float:
    """Root of the second largest eigenvalue of Q, Q_ij = Σ_k p_ik·p_jk/(p_i·p_k + 2^-52)."""
    if len(share) < 2:
        return 1.0
    weighed = joint / (np.outer(share, share) + EPSILON)
    eigenvalues = np.sort(np.linalg.eigvals(weighed @ joint.T))
    return float(np.sqrt(max(0.0, float(eigenvalues[-2].real))))
