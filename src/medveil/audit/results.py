"""What an audit finds, as plain values: measured metrics, attacks, controls, and the whole report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.experiments.unit import Status
from medveil.mechanisms.observation import Picture
from medveil.tasks.results import TaskResult

METRICS = ("psnr", "ssim", "support_auc", "linkage_auc")
RAW_LINKED, SHUFFLED_AT_NULL = "raw_linked", "shuffled_at_null"
"""Controls of recognizers: images as they were taken are linked, and shuffled identities are not."""
NULL_LEVEL = 0.975
"""Share of the shuffles that stay at or below a null of the maximum."""
PAIRED_DRAWS = 400
"""Resamples of the patients that are kept, to compare releases of the same images."""
ROUNDS_REFUSED, ROUNDS_FAILED = "rounds_refused", "rounds_failed"
"""Extra figures that count the rounds and repetitions in which an attack could not be run, or failed."""


class Verdict(StrEnum):
    """What one attack shows, or the whole audit."""

    BROKEN = "broken"
    NO_EVIDENCE = "no-evidence"
    INCONCLUSIVE = "inconclusive"
    TOO_WEAK = "too-weak"
    MEASURED = "measured"


@dataclass(frozen=True)
class Pairs:
    """Pairs of images for linkage, all within one stratum and one visible header.

    Attributes:
        score: (P,) likeness that the attacker sees.
        same: (P,) bool, whether both are of one patient.
        patients: (P, 2) int, whose images they are.
    """

    score: NDArray[np.float32]
    same: NDArray[np.bool_]
    patients: NDArray[np.int64]


@dataclass(frozen=True)
class Example:
    """One image of the report: as it is, and as the attacker sees it with this package and with another one."""

    number: int
    original: Picture
    attacker: Picture
    baseline: Picture


@dataclass(frozen=True)
class Sample:
    """One attack on one mechanism, image by image. What an interrupted audit keeps.

    Attributes:
        attack, mechanism: names.
        subjects, patients: (n,) numbers of the images under attack and of whose they are.
        values: psnr, ssim, support_auc, and recovered_bits where they apply: (n, 2) float64, the attacker's value and
            that of the same attacker given another package with the same visible header; NaN where there is none.
        pairs: of linkage, or None.
        extra: further figures, name to number (top-1, gallery size …).
        examples: a few images for the report.
        status: whether it was done. Where the attack makes no sense here, or failed while it ran, all else is empty.
        refusal: why it was not done, in words; of one that was done in a part of its rounds, why the first one failed.
        seconds: that it took.
    """

    attack: str
    mechanism: str
    subjects: NDArray[np.int64]
    patients: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    pairs: Pairs | None = None
    extra: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    status: Status = Status.DONE
    refusal: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Measured:
    """One metric of one attack.

    Attributes:
        metric: psnr (dB), ssim, support_auc or linkage_auc.
        attacker, baseline: means over the images: with the package, and with another package (linkage: 0.5).
        advantage: attacker less baseline.
        ci: two-sided 95 % interval of the advantage, patient bootstrap.
        upper: one-sided 95 % upper bound of the advantage, Holm-corrected over all tests on the release, or on one
            control: each of them is a family of its own.
        p: one-sided, against no advantage, by permutation, Holm-corrected likewise.
        margin: the largest advantage that counts as none.
        smallest_visible: the smallest advantage that this audit would have seen with 80 % power.
        worst: mean of the attacker's metric for the patient for whom the attacker does best.
        patients, images: how many it rests on.
        verdict: of this metric.
    """

    metric: str
    attacker: float
    baseline: float
    advantage: float
    ci: tuple[float, float]
    upper: float
    p: float
    margin: float
    smallest_visible: float
    worst: float
    patients: int
    images: int
    verdict: Verdict


@dataclass(frozen=True)
class AttackResult:
    """One attack on one mechanism, judged.

    Attributes:
        verdict: None where the attack was not done.
        pairs: of linkage, for its curve; or None.
        Others as in `Sample`.
    """

    name: str
    title: str
    mechanism: str
    measured: tuple[Measured, ...]
    verdict: Verdict | None
    extra: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    status: Status = Status.DONE
    refusal: str = ""
    seconds: float = 0.0
    pairs: Pairs | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended with an error, in one round at least: that is no answer, where a refusal is one."""
        return self.status is Status.FAILED or self.extra.get(ROUNDS_FAILED, 0.0) > 0

    @property
    def partial(self) -> bool:
        """Whether it ran, but not in every round, so that some images were not attacked."""
        return self.status is Status.DONE and self.extra.get(ROUNDS_REFUSED, 0.0) > 0


@dataclass(frozen=True)
class ControlResult:
    """One control: a mechanism that must be broken (positive), or in which nothing must be found (negative).

    Attributes:
        attacks: every attack that was run on it.
        by: names of those that broke it.
        ok: whether it came out as expected.
        on: what it was run on: `images` and `patients` under attack, and how many of these patients were `invented`.
    """

    name: str
    title: str
    positive: bool
    attacks: tuple[AttackResult, ...]
    by: tuple[str, ...]
    ok: bool
    on: Mapping[str, int] = field(default_factory=dict)

    @property
    def tried(self) -> bool:
        """Whether any attack was run on it. Where none was, it has not come out in any way, whatever `ok` says."""
        return any(attack.verdict is not None for attack in self.attacks)


@dataclass(frozen=True)
class FidelityRow:
    """One metric of what recipients open at one tier: mean, SD, and 95 % interval by patient bootstrap."""

    metric: str
    mean: float
    sd: float
    ci: tuple[float, float]
    images: int
    worst: tuple[int, ...] = ()


@dataclass(frozen=True)
class TierFidelity:
    """What recipients of a tier open, against the originals.

    Attributes:
        tier: name of the tier.
        rows: me, mae, rmse (grey values of 0 … 255), psnr, ssim, ms_ssim.
        histogram: (256, 256) joint histogram of original (rows) and opened (columns), pooled over all pixels.
        r_squared: squared Pearson correlation over the same pooled pixels.
        examples: worst images: original, opened, and their difference.
    """

    tier: str
    rows: tuple[FidelityRow, ...]
    histogram: NDArray[np.int64]
    r_squared: float
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class FormCheck:
    """One check of the form of a release.

    Attributes:
        name, title: of the check.
        found: what was found, in numbers; no name of an image, a file or a patient.
        ok: whether nothing is wrong. Where it was not tried, that says nothing.
        of_copy: it tells of this copy of the folder and not of the release: worth a look, and no leak by itself.
        tried: whether there was anything to look at.
    """

    name: str
    title: str
    found: str
    ok: bool
    of_copy: bool = False
    tried: bool = True


def failed_checks(checks: Iterable[FormCheck]) -> list[FormCheck]:
    """Those that break a release; what tells of this copy of the folder alone does not."""
    return [check for check in checks if not (check.ok or check.of_copy)]


@dataclass(frozen=True)
class Identification:
    """How well one attacker finds people among released pictures. NaN for what could not be measured.

    Attributes:
        auc: of pairs of one person against pairs of two within one data set, 0 … 1.
        auc_ci: its 95 % interval by patient.
        tpr_at_1: share of the pairs of one person above all but 1 % of the others.
        matched_auc, matched_auc_ci, matched_tpr_at_1: the same against pairs that are alike in source, label, view and
            sex.
        patient_auc: mean over people of the AUC of their own pairs.
        top: number of guesses to the share of queries whose person is among them; chance: the same without looking.
        patient_top, patient_chance: the same, each person weighing the same.
        top_1_ci: 95 % interval by patient of the share of people who are found first, `patient_top[1]`.
        map: mean average precision over the whole ranking; map_at_r: over as many guesses as there are right ones.
        pairs, negatives, matched_negatives: ordered pairs of one person, of two, and those of them that are matched.
        queries: that have a pair of one person; ranked: those of them whose whole gallery was looked at.
        patients: who have a pair of their own.
        gallery: mean number of pictures that a ranked query is held against.
    """

    auc: float
    auc_ci: tuple[float, float]
    tpr_at_1: float
    matched_auc: float
    matched_auc_ci: tuple[float, float]
    matched_tpr_at_1: float
    patient_auc: float
    top: Mapping[int, float]
    patient_top: Mapping[int, float]
    chance: Mapping[int, float]
    patient_chance: Mapping[int, float]
    top_1_ci: tuple[float, float]
    map: float
    map_at_r: float
    pairs: int
    negatives: int
    matched_negatives: int
    queries: int
    ranked: int
    patients: int
    gallery: float


@dataclass(frozen=True)
class RecognizerRow:
    """One attacker, one question.

    Attributes:
        recognizer, title: who.
        learned: real, released or both; what it was learned from.
        query: real, anonymized or released; what was held against the gallery.
        question: see `medveil.audit.recognition.Question`.
        found: how well.
    """

    recognizer: str
    title: str
    learned: str
    query: str
    question: str
    found: Identification

    @property
    def who(self) -> dict[str, str]:
        """Which attacker it is."""
        return {"recognizer": self.recognizer, "learned": self.learned, "query": self.query, "question": self.question}


@dataclass(frozen=True)
class Best:
    """The maximum over attackers, beside what the maximum is where identities are shuffled.

    Attributes:
        row: of the attacker with the largest matched AUC.
        null: share `NULL_LEVEL` of the shuffles stay at or below it; NaN where nothing could be shuffled.
        first: of the attacker who finds the largest share of people first, each person weighing the same; None where
            no whole gallery was looked at.
        top_1_null: as `null`.
        sharp: of the attacker with the largest share of pairs above all but 1 % of the others; None where not known.
        draws: bootstrap of the matched AUC of `row`, with the same people for two audits of the same ones.
    """

    row: RecognizerRow
    null: float
    first: RecognizerRow | None
    top_1_null: float
    sharp: RecognizerRow | None
    draws: NDArray[np.float64] = field(repr=False)

    @property
    def above_null(self) -> bool:
        """Whether more was found than luck explains."""
        return bool(self.row.found.matched_auc > self.null)

    @property
    def top_1_above_null(self) -> bool:
        """Likewise, of who is found first."""
        return self.first is not None and bool(self.first.found.patient_top[1] > self.top_1_null)


@dataclass(frozen=True)
class Undone:
    """What a recognizer did not do.

    Attributes:
        recognizer, learned, round: which part of it; the latter two are empty where it cannot be used at all.
        status: refused, failed or unavailable.
        reason: why.
    """

    recognizer: str
    learned: str
    round: str
    status: str
    reason: str


@dataclass(frozen=True)
class Recognized:
    """Whom recognizers find in a release.

    Attributes:
        people, images, pictures: under attack; images as they were taken, and released pictures.
        own_people, own_images: of the attacker, in each round.
        recognizers: names of those that were asked for.
        rows: of all attackers and questions on the release; raw_rows: on the untouched images.
        maximum: question to the best attacker; `any` is over all questions about a person.
        raw: the best on the untouched images: what these attackers can do at all.
        metadata: question to the best row of the attacker who sees only what stands beside the pixels.
        shuffles: how often identities were shuffled within source, label, view and sex.
        controls: raw_linked and shuffled_at_null; None for what could not be tried.
        undone: what was not done.
        people_digest: the same for two audits of the same images of the same people.
    """

    people: int
    images: int
    pictures: int
    own_people: tuple[int, ...]
    own_images: tuple[int, ...]
    recognizers: tuple[str, ...]
    rows: tuple[RecognizerRow, ...]
    raw_rows: tuple[RecognizerRow, ...]
    maximum: Mapping[str, Best]
    raw: Best | None
    metadata: Mapping[str, RecognizerRow]
    shuffles: int
    controls: Mapping[str, bool | None]
    undone: tuple[Undone, ...]
    people_digest: str

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of recognizers that ended with an error."""
        return tuple(dict.fromkeys(each.recognizer for each in self.undone if each.status == Status.FAILED.value))


@dataclass(frozen=True)
class Audit:
    """Everything that a report says.

    Attributes:
        release: what everybody can read of the release: id, protection, codec, quality, tiers, packages, bytes.
        settings: preset, seed, attacks, those left out, effort, versions, threads.
        data: counts of images, patients, strata, folds, own images.
        fidelity: of each tier.
        attacks, controls: judged.
        tasks: what they found, with what figures need beside.
        conclusion: of the whole.
        seconds: of the whole audit.
        checks: of the form of the release.
        grounds: what led to the conclusion, code to names; see `decision.Ground`.
        target: what was under test, `kind` (keyed or open) and `mechanism`.
        identification: whom recognizers find; None where none was run.
    """

    release: Mapping[str, Any]
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    fidelity: tuple[TierFidelity, ...]
    attacks: tuple[AttackResult, ...]
    controls: tuple[ControlResult, ...]
    tasks: tuple[TaskResult, ...]
    conclusion: Verdict
    seconds: float
    checks: tuple[FormCheck, ...] = ()
    grounds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    target: Mapping[str, str] = field(default_factory=dict)
    identification: Recognized | None = None

    @property
    def attacked(self) -> bool:
        """Whether any attack was asked for; of an open release, whether anybody was to look for people."""
        if self.identification is not None and self.target.get("kind") == "open":
            return True
        return bool(self.settings.get("attacks", True))
