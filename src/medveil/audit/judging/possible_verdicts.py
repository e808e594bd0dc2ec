"""Which verdicts so many patients allow, known before anything is attacked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from medveil.audit.judging.verdicts import Judging
from medveil.audit.protocol import RoundPlan
from medveil.codecs.code import Bucket
from medveil.mechanisms.observation import Subject

_SPREAD = 0.2  # of the linkage AUC from patient to patient, standard deviation; in evidence/audit_*.json 0.18 to 0.2
_ERRORS = 2.0  # standard errors between what an attack reached and its upper bound, there


class Judged(StrEnum):
    """What verdicts are about."""

    IMAGES = "images"  # what an attack makes of single packages
    LINKAGE = "linkage"  # whether two packages show one person


@dataclass(frozen=True)
class PossibleVerdicts:
    """What can be said of one kind of question.

    Attributes:
        of: images or linkage.
        patients: that verdicts rest on: of linkage those with several images that can be compared.
        verdict_from, broken_from: how many it takes for any verdict, and for *broken*.
        alike_from: how many for *no evidence* where an attack answers the same to every package.
        open_below: a linkage AUC that is this much above one half will likely not be ruled out; 0 for images.
        margin: what counts as nothing, of the same; *no evidence* is unlikely where `open_below` is above it.
    """

    of: Judged
    patients: int
    verdict_from: int
    broken_from: int
    alike_from: int
    open_below: float = 0.0
    margin: float = 0.0


def possible_verdicts(rounds: Sequence[RoundPlan], attacks: int, judging: Judging) -> tuple[PossibleVerdicts, ...]:
    """What the patients under attack allow to be said.

    Args:
        rounds: on the release.
        attacks: how many are run: many tests at once ask more of each.
        judging: what verdicts rest on.
    """
    first = [each for each in rounds if each.repeat == 0]
    if not first or not attacks:
        return ()
    least = judging.least
    # Fewer patients have too few sign flips for a p-value that is small enough, whatever an attack finds; each attack
    # is one test at least. Linkage is judged by permutations, of which there are more.
    flips = math.ceil(math.log2(attacks / judging.alpha_broken))
    patients = len({subject.patient for each in first for subject in each.tested})
    linked = len(set[int]().union(*(_comparable(each.tested) for each in first)))
    open_below = min(_ERRORS * _SPREAD / math.sqrt(linked), 0.5) if linked else 0.5
    return (
        PossibleVerdicts(Judged.IMAGES, patients, least.verdict, max(flips, least.verdict), least.alike),
        PossibleVerdicts(
            Judged.LINKAGE,
            linked,
            least.verdict,
            least.verdict,
            least.alike,
            open_below,
            judging.margins["linkage_auc"],
        ),
    )


def _comparable(subjects: Sequence[Subject]) -> set[int]:
    """Patients with two images of one stratum and visible size, where somebody else has one like it too."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for subject in subjects:
        groups[subject.stratum, Bucket.of(*subject.image.pixels.shape)].append(subject.patient)
    return {each for group in groups.values() if len(set(group)) > 1 for each in group if group.count(each) > 1}
