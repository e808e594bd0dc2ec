"""seed-enumeration: every seed of so many bits, and keys that bad software would use, tried on a few packages."""

from __future__ import annotations

from collections.abc import Sequence

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Goal, Guess, Knowledge
from medveil.attacks.keys.guessable_keys import guessed
from medveil.attacks.keys.seeded_decoys import DecoyTable, find_seed, first_probes, recover
from medveil.attacks.keys.wrong_keys import Fallback, opened, support_scores
from medveil.attacks.support.decoding import Correction, decoded
from medveil.attacks.views import own_size
from medveil.codecs.code import SparseCode
from medveil.errors import MedveilError
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Picture, Shown
from medveil.mechanisms.public_codec import PublicCodec
from medveil.protection.sealing import PublicCode, PublicMap, unseal

_LEAST_KEYS = 1 << 16
_MOST_KEYS = 1 << 22
_LEARNING = 24  # own images by which pictures without side bytes are corrected


class SeedAttacker:
    """A learned `SeedEnumeration`; see there."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._mechanism = knowledge.mechanism
        self._bits = knowledge.effort.seed_bits
        self._targets = {_name(observation) for observation in knowledge.seen[: knowledge.effort.targets]}
        self._fallback = Fallback(knowledge)
        self._keys = _guessed_keys(knowledge)
        cases = [case for case in knowledge.own if case.code is not None]
        self._table = _table(knowledge.mechanism, cases)
        self._correction = _correction(knowledge.mechanism, cases) if self._table is not None else None

    def predict(self, observation: Observation) -> Guess:
        if _name(observation) not in self._targets:
            return Guess()
        return self._by_key(observation) or self._by_seed(observation) or self._fallback(observation)

    def _by_key(self, observation: Observation) -> Guess | None:
        """What guessed section keys open, if there are any of this package."""
        space = self._mechanism.space
        keys = [self._keys[each] for each in observation.commitments if each in self._keys]
        if space is None:
            return None
        for key in keys:
            for found in (opened(self._mechanism, observation, key), _unsealed(space, observation, key)):
                if found is not None:
                    code, picture = found
                    return Guess(picture, support_scores(code.maps))
        return None

    def _by_seed(self, observation: Observation) -> Guess | None:
        space, table = self._mechanism.space, self._table
        if space is None or table is None or self._correction is None:
            return None
        probes = first_probes(table, observation.maps)
        seed = find_seed(probes, self._bits) if probes is not None else None
        if seed is None:
            return None
        maps = recover(observation, seed, table)
        true = [each.true for each in maps]
        picture = decoded(space, true, observation, space.likely_size(true, observation.bucket))
        return Guess(self._correction(picture), tuple(each.scores for each in maps))


def _name(observation: Observation) -> tuple[float, tuple[int, ...], bytes]:
    return observation.place, observation.lengths, observation.stream


def _guessed_keys(knowledge: Knowledge) -> dict[bytes, bytes]:
    """Guessable keys that some commitment fits, by the commitment."""
    commitments = {each for observation in knowledge.seen for each in observation.commitments}
    count = min(max(_LEAST_KEYS, 1 << min(knowledge.effort.seed_bits, 22)), _MOST_KEYS)
    return {commitment: key for commitment, (_, key) in guessed(count, commitments).items()}


def _table(mechanism: Mechanism, cases: Sequence[Case]) -> DecoyTable | None:
    """What own publications say of decoys; None where entries are not shown in their places, or there are none."""
    if mechanism.space is None or not mechanism.in_place or not cases or not cases[0].observation.maps:
        return None
    return DecoyTable.fit(cases, mechanism.space.vector_length)


def _correction(mechanism: Mechanism, cases: Sequence[Case]) -> Correction | None:
    """How pictures of true codes without their side bytes differ from the originals."""
    space = mechanism.space
    if space is None:
        return None
    guesses, originals = [], []
    for case in cases[:_LEARNING]:
        code, observation = case.code, case.observation
        if code is None:
            continue
        picture = decoded(space, list(map(Shown.of, code.maps)), observation, own_size(mechanism, case))
        if picture is not None:
            guesses.append(picture)
            originals.append(case.subject.picture)
    return Correction.fit(guesses, originals) if guesses else None


def _unsealed(space: PublicCodec, observation: Observation, key: bytes) -> tuple[SparseCode, Picture] | None:
    """What a section key opens of a sealed package with one code section; None where it isn't of that form."""
    shapes = space.compositions(observation.bucket) if space.fixed else ()
    if len(shapes) != 1:
        return None
    maps = tuple(PublicMap(each.cells, each.positions, each.values < 0) for each in observation.maps)
    try:
        code = unseal(PublicCode(maps, observation.stream), shapes[0], key)
        return code, space.true_picture(code, observation.bucket)
    except (MedveilError, ValueError, ArithmeticError, LookupError):
        return None  # the key fits another section of the package


class SeedEnumeration:
    """Tries everything that a guessable generator can have been started with.

    Seeds: decoys that were drawn from the stream of a seed of `Effort.seed_bits` bits give the seed away, and with it
    the true entries (`medveil.attacks.keys.seeded_decoys`). Keys: at least 65536 keys that bad software would use
    (`medveil.attacks.keys.guessable_keys`) are compared with the public commitments of all packages.

    What this cannot show: that a generator is good. Finding nothing says that these seeds of this expansion, and these
    keys, were not used; a longer seed, another expansion, or a generator with a weak state would pass.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(SeedEnumeration())[0], str(SeedEnumeration.goal)
    ('seeded-decoys', 'keys')
    """

    name = "seed-enumeration"
    title = "all seeds of a guessable generator"
    goal = Goal.KEYS
    knows = "the public code, the commitments, and how programs draw random numbers"
    needs = "decoys in their places, or key commitments"
    requires = (Need.DECOYS_OR_COMMITMENTS,)
    cost = "seconds; some minutes a package at 32 bits"
    trains = False

    def fit(self, knowledge: Knowledge) -> SeedAttacker:
        return SeedAttacker(knowledge)
