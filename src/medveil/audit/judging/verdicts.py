"""From what an attack reached, image by image, to a verdict: advantage, chance by patient, many tests at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.audit.results import AttackResult, Measured, Sample, Verdict
from medveil.experiments.unit import Status
from medveil.metrics.image_quality import MOST_DB
from medveil.metrics.inference import (
    LEAST,
    LeastPatients,
    holm_adjusted,
    holm_levels,
    interval,
    patient_draws,
    sign_flip_p,
    upper_bound,
    weighted_means,
)
from medveil.metrics.ranking import auc, bootstrap_auc, permuted_auc_p, share_below

_PER_IMAGE = ("psnr", "ssim", "support_auc")
_NO_SPREAD = 1e-12  # below what rounding makes of equal numbers
_DRAWS_KEPT = 1 << 23
_PAIR_DRAWS = 1 << 25

_Floats = NDArray[np.float64]


def _margins() -> Mapping[str, float]:
    return {"psnr": 0.3, "ssim": 0.01, "support_auc": 0.05, "linkage_auc": 0.05}


@dataclass(frozen=True)
class Judging:
    """What verdicts rest on.

    Attributes:
        margins: metric to the largest advantage that counts as none (dB, SSIM, AUC).
        alpha_broken: a metric is broken when its Holm-adjusted p is below.
        alpha_bound: one less the level of the Holm-corrected upper bounds.
        power: with which the smallest visible effect would have been found.
        coverage: share of the images that must have a value before anything is ruled out: no attack passes by keeping
            silent on the images where it would show.
        resamples: bootstrap draws and sign flips at least; more are made where the number of tests needs them.
        least: patients that a verdict rests on.
    """

    margins: Mapping[str, float] = field(default_factory=_margins)
    alpha_broken: float = 0.01
    alpha_bound: float = 0.05
    power: float = 0.8
    coverage: float = 0.9
    resamples: int = 2000
    least: LeastPatients = LEAST


@dataclass(frozen=True)
class _Test:
    """One metric of one sample before correction.

    Attributes:
        draws: bootstrap draws of the advantage.
        patients: those that carry the advantage.
        effective: how many patients with equally many images (pairs) these are worth (Kish): where one patient brings
            nearly all there is, it is little more than one.
    """

    metric: str
    attacker: float
    baseline: float
    draws: _Floats = field(repr=False)
    p: float
    worst: float
    patients: int
    effective: float
    images: int
    covered: bool
    least: LeastPatients

    @property
    def advantage(self) -> float:
        return self.attacker - self.baseline

    @property
    def error(self) -> float:
        """Standard error: SD of the bootstrap, of whose variance one part in as many patients is missing."""
        return float(self.draws.std()) * math.sqrt((self.freedom + 1) / self.freedom)

    @property
    def few(self) -> bool:
        """Whether so few patients carry it that nothing is ruled out, whatever the spread says."""
        return self.patients < (self.least.verdict if self.error > _NO_SPREAD else self.least.alike)

    @property
    def freedom(self) -> float:
        """Degrees of freedom; a half where there is hardly more than one patient, which rules out next to nothing."""
        return max(self.effective - 1, 0.5)

    def upper(self, level: float) -> float:
        """One-sided upper bound of the advantage: the greater of bootstrap percentile and Student's t.

        The percentile sees skewness, but never beyond the patients there are; the t bound knows that few are few.
        """
        if self.few:
            return math.inf
        from scipy.stats import t

        return max(
            upper_bound(self.draws, 1 - level),
            self.advantage + float(t.isf(level, self.freedom)) * self.error,
        )

    def p_beyond(self, margin: float) -> float:
        """p of "the advantage is above the margin", matching `upper`: at most a level where that bound is within."""
        if self.few:
            return 1.0
        from scipy.stats import t

        share = float(np.mean(self.draws > margin))
        if self.error <= _NO_SPREAD:
            return share
        return max(share, float(t.cdf((self.advantage - margin) / self.error, self.freedom)))

    def visible(self, level: float, power: float) -> float:
        """Smallest advantage found with this power at this level; infinite where none could have been.

        None could where all sign flips together are too few for the level, where the attacker answered the same to
        every package and so had no way of showing anything, or where it would be more than an AUC or SSIM can have.
        """
        if self.error <= _NO_SPREAD or self.patients < self.least.verdict or 0.5**self.patients > level:
            return math.inf
        from scipy.stats import t

        least = float(t.isf(level, self.freedom) + t.ppf(power, self.freedom)) * self.error
        return least if self.metric == "psnr" or least <= 1 - self.baseline else math.inf


def judge(
    samples: Sequence[Sample], titles: Mapping[str, str], settings: Judging, generator: np.random.Generator
) -> tuple[AttackResult, ...]:
    """Judge every metric of every sample, corrected over all of them together: they are one family of tests.

    *broken*: Holm-adjusted one-sided p (sign flips of whole patients) below `alpha_broken`. Else *no-evidence*: the
    one-sided upper bound of the advantage at Holm's level is within the margin, at least 5 patients carry it, 20 where
    all differences are equal, at least the share `coverage` of the images has a value, and, for an AUC, it does not lie
    below ½ by more than the margin either (whoever turns such a score round wins). Else *inconclusive*. An attack is
    broken if any metric is, no-evidence if all are, else inconclusive; None where it was refused.

    The advantage is a mean over images. An advantage that only a few patients have is beyond any such bound where none
    of them is in the sample, and within the margin where they are few enough.

    Args:
        samples: of one question: all attacks on the release, or on one control.
        titles: attack name to title; its name where there is none.
        settings: margins and levels.
        generator: of all draws; the same one gives the same result.

    Returns:
        One result a sample, in order. Recovered bits are not judged: their means go into `extra`.
    """
    wanted = [(number, metric) for number, sample in enumerate(samples) for metric in _metrics(sample)]
    bootstrap = _Bootstrap(settings, len(wanted), generator)
    tests = [bootstrap.test(samples[number], metric) for number, metric in wanted]
    raw = [test.p for test in tests]
    adjusted = holm_adjusted(raw)
    broken = holm_levels(raw, settings.alpha_broken)
    beyond = [test.p_beyond(settings.margins[test.metric]) for test in tests]
    bounds = holm_levels(beyond, settings.alpha_bound)
    measured: list[list[Measured]] = [[] for _ in samples]
    for (number, _), test, p, level, bound in zip(wanted, tests, adjusted, broken, bounds, strict=True):
        measured[number].append(_measured(test, float(p), float(level), float(bound), settings))
    return tuple(
        AttackResult(
            sample.attack, titles.get(sample.attack, sample.attack), sample.mechanism, tuple(found),
            _of_attack(found) if sample.status is Status.DONE else None, _extra(sample), tuple(sample.examples),
            sample.status, sample.refusal, sample.seconds, sample.pairs,
        )
        for sample, found in zip(samples, measured, strict=True)
    )  # fmt: skip


class _Bootstrap:
    """Draws for all tests of a family: as many as their number needs, shared by tests with as many patients."""

    def __init__(self, settings: Judging, tests: int, generator: np.random.Generator) -> None:
        # The least p after Holm is tests/(flips + 1): a quarter of what has to be passed. Ten draws beyond each bound.
        self._flips = max(settings.resamples, math.ceil(4 * tests / settings.alpha_broken))
        self._resamples = max(settings.resamples, math.ceil(10 * tests / settings.alpha_bound))
        self._settings, self._generator = settings, generator
        self._draws: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def test(self, sample: Sample, metric: str) -> _Test:
        return self._linkage(sample) if metric == "linkage_auc" else self._per_image(sample, metric)

    def _per_image(self, sample: Sample, metric: str) -> _Test:
        values, kept = _finite(sample, metric)
        patients = sample.patients[kept]
        difference = values[:, 0] - values[:, 1]
        count = len(np.unique(patients))
        if self._draws.shape[1] != count:
            self._draws = patient_draws(count, self._affordable(_DRAWS_KEPT // count), self._generator)
        return _Test(
            metric, float(values[:, 0].mean()), float(values[:, 1].mean()),
            draws=weighted_means(difference, patients, self._draws),
            p=sign_flip_p(difference, patients, self._flips, self._generator),
            worst=_worst(values[:, 0], patients), patients=count, effective=_effective(patients), images=len(values),
            covered=len(values) >= self._settings.coverage * len(kept), least=self._settings.least,
        )  # fmt: skip

    def _linkage(self, sample: Sample) -> _Test:
        pairs = sample.pairs
        if pairs is None:
            raise ValueError("this sample has no pairs")
        owners = pairs.patients[pairs.same, 0]
        arguments = (pairs.score, pairs.same, pairs.patients)
        draws = bootstrap_auc(*arguments, self._affordable(_PAIR_DRAWS // len(pairs.score)), self._generator)
        return _Test(
            "linkage_auc", auc(pairs.score, pairs.same), 0.5, draws=draws - 0.5,
            p=permuted_auc_p(*arguments, self._flips, self._generator),
            worst=_worst(share_below(pairs.score[pairs.same], pairs.score[~pairs.same]), owners),
            patients=len(np.unique(owners)), effective=_effective(owners), images=len(sample.subjects), covered=True,
            least=self._settings.least,
        )  # fmt: skip

    def _affordable(self, limit: int) -> int:
        """With very many patients or pairs fewer draws are kept, and the t bound carries the far tail."""
        return max(self._settings.resamples, min(self._resamples, limit))


def _metrics(sample: Sample) -> Iterator[str]:
    """What there is to judge: metrics with a value for at least one image, linkage with pairs of both kinds."""
    if sample.status is not Status.DONE:
        return
    for metric in _PER_IMAGE:
        if metric in sample.values and _finite(sample, metric)[1].any():
            yield metric
    if sample.pairs is not None and 0 < np.count_nonzero(sample.pairs.same) < len(sample.pairs.same):
        yield "linkage_auc"


def _finite(sample: Sample, metric: str) -> tuple[_Floats, NDArray[np.bool_]]:
    """(k, 2) values of the images that have both, and (n,) which those are."""
    values = np.asarray(sample.values[metric], dtype=np.float64)
    if metric == "psnr":
        values = np.minimum(values, MOST_DB)
    kept: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1), np.bool_)
    return values[kept], kept


def _worst(values: _Floats, patients: NDArray[np.int64]) -> float:
    _, whose = np.unique(patients, return_inverse=True)
    return float(np.max(np.bincount(whose, values) / np.bincount(whose)))


def _effective(patients: NDArray[np.int64]) -> float:
    shares = np.unique(patients, return_counts=True)[1] / len(patients)
    return float(1 / np.sum(shares**2))


def _measured(test: _Test, p: float, level: float, bound: float, settings: Judging) -> Measured:
    margin = settings.margins[test.metric]
    upper = test.upper(bound)
    ci = interval(test.draws, 0.95)
    reversed_ = test.metric.endswith("_auc") and ci[1] < -margin
    verdict = Verdict.INCONCLUSIVE
    if test.patients >= settings.least.verdict and p < settings.alpha_broken and test.advantage > 0:
        verdict = Verdict.BROKEN
    elif test.patients >= settings.least.verdict and upper <= margin and test.covered and not reversed_:
        verdict = Verdict.NO_EVIDENCE
    return Measured(
        test.metric, test.attacker, test.baseline, test.advantage, ci, upper, p, margin,
        test.visible(level, settings.power), test.worst, test.patients, test.images, verdict,
    )  # fmt: skip


def _of_attack(measured: Sequence[Measured]) -> Verdict:
    verdicts = {one.verdict for one in measured}
    if Verdict.BROKEN in verdicts:
        return Verdict.BROKEN
    return Verdict.NO_EVIDENCE if verdicts == {Verdict.NO_EVIDENCE} else Verdict.INCONCLUSIVE


def _extra(sample: Sample) -> dict[str, float]:
    extra = dict(sample.extra)
    if "recovered_bits" in sample.values:
        values, kept = _finite(sample, "recovered_bits")
        if kept.any():
            extra.setdefault("recovered_bits", float(values[:, 0].mean()))
            extra.setdefault("recovered_bits_baseline", float(values[:, 1].mean()))
    return extra
