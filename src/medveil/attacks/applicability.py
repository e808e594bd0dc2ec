"""Which attack fits which target, and why one does not: each attack says what it needs, and it is looked up here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from medveil.attacks.attack import Knowledge
from medveil.mechanisms.mechanism import Mechanism

ENOUGH_OWN = 4
"""Images of her own from which an attacker can train something."""


class Need(StrEnum):
    """What an attack needs of a target or of the attacker; where it is missing, the code of the refusal."""

    CODE = "code"
    CODE_MAPS = "code-maps"
    ENCODING = "encoding"
    STREAM = "stream"
    DECODABLE = "decodable"
    DECOYS_OR_COMMITMENTS = "decoys-or-commitments"
    SEVERAL_PUBLICATIONS = "several-publications"
    OWN_CODES = "own-codes"
    OWN_KEYS = "own-keys"
    OWN_IMAGE = "own-image"
    OWN_IMAGES = "own-images"
    OWN_PATIENTS = "own-patients"

    @property
    def words(self) -> str:
        """Why the attack makes no sense without it."""
        return _MET[self][1]


ON_CODE_MAPS = (Need.CODE, Need.CODE_MAPS, Need.OWN_CODES)
"""What attacks on the code maps need."""


def unmet_need(requires: Iterable[Need], knowledge: Knowledge) -> Need | None:
    """The first of these that is not there; None where an attack that requires them fits."""
    return next((need for need in requires if not _MET[need][0](knowledge)), None)


def can_fit(requires: Iterable[Need], mechanism: Mechanism) -> bool:
    """Whether an attack that requires these can ever fit a mechanism: without a codec there is no code."""
    return mechanism.space is not None or not {Need.CODE, Need.CODE_MAPS} & set(requires)


def _decodable(knowledge: Knowledge) -> bool:
    seen = knowledge.seen
    if any(each.pixels is not None for each in seen):
        return True
    return knowledge.mechanism.space is not None and any(each.maps for each in seen)


def _repeated_patients(knowledge: Knowledge) -> bool:
    patients = [case.subject.patient for case in knowledge.own + knowledge.validation]
    return len(set(patients)) < len(patients)


_MET: dict[Need, tuple[Callable[[Knowledge], bool], str]] = {
    Need.CODE: (
        lambda it: it.mechanism.space is not None, "there is no code: pixels are encoded without a public codec"
    ),
    Need.CODE_MAPS: (
        lambda it: any(each.maps for each in it.seen), "no code map is public: the whole code is encrypted"
    ),
    Need.ENCODING: (
        lambda it: any(each.maps or each.stream or each.encoding is not None for each in it.seen),
        "there is no code: pictures are released",
    ),
    Need.STREAM: (lambda it: any(each.stream for each in it.seen), "there are no bytes beside the code"),
    Need.DECODABLE: (_decodable, "there is nothing to decode: the whole code is encrypted"),
    Need.DECOYS_OR_COMMITMENTS: (
        lambda it: it.mechanism.in_place or any(each.commitments for each in it.seen),
        "there are neither decoys nor key commitments to test a guess with",
    ),
    Need.SEVERAL_PUBLICATIONS: (
        lambda it: any(each.others for each in it.seen), "no image is published more than once"
    ),
    Need.OWN_CODES: (
        lambda it: any(case.code is not None for case in it.own),
        "the attacker has no codes of her own to learn from",
    ),
    Need.OWN_KEYS: (
        lambda it: any(case.key for case in it.own), "the attacker has no keys of her own to try"
    ),
    Need.OWN_IMAGE: (lambda it: bool(it.own), "the attacker has no images of her own to learn from"),
    Need.OWN_IMAGES: (
        lambda it: len(it.own) >= ENOUGH_OWN,
        f"the attacker has too few images of her own to learn from: it takes {ENOUGH_OWN} at least",
    ),
    Need.OWN_PATIENTS: (
        _repeated_patients,
        "no patient among the attacker's own images has two, so that there is nothing to learn from",
    ),
}  # fmt: skip
