"""What few patients allow to be said is known beforehand, and comes out so."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.scenes import subject

from medveil.audit.judging.possible_verdicts import Judged, possible_verdicts
from medveil.audit.judging.verdicts import Judging, judge
from medveil.audit.protocol import RoundPlan
from medveil.audit.results import Sample, Verdict
from medveil.report.findings import verdicts_told

_JUDGING = Judging(resamples=400)


def _round(*patients, strata=None, repeat=0):
    strata = strata or [0] * len(patients)
    tested = [
        subject(number, each, stratum) for number, (each, stratum) in enumerate(zip(patients, strata, strict=True))
    ]
    return RoundPlan("release-0", (), (), tuple(tested), 0, repeat)


def _sample(patients, attacks=1):
    """As clear an effect as there can be, by so many attacks."""
    generator = np.random.default_rng(0)
    found = np.stack([30 + generator.normal(size=patients), np.full(patients, 10.0)], axis=1)
    return [Sample(f"a{number}", "release", np.arange(patients), np.arange(patients), {"psnr": found})
            for number in range(attacks)]  # fmt: skip


@pytest.mark.parametrize("attacks", [1, 16])
def test_broken_takes_as_many_patients_as_is_foretold(attacks):
    (images, _) = possible_verdicts([_round(*range(8))], attacks, _JUDGING)
    for patients, verdict in ((images.broken_from - 1, Verdict.INCONCLUSIVE), (images.broken_from + 1, Verdict.BROKEN)):
        strongest, *weak = _sample(patients, attacks)
        quiet = [Sample(each.attack, "release", each.subjects, each.patients, {"psnr": each.values["psnr"][:, [1, 1]]})
                 for each in weak]  # fmt: skip
        found = judge([strongest, *quiet], {}, _JUDGING, np.random.default_rng(0))
        assert found[0].verdict is verdict


def test_linkage_rests_on_patients_whose_images_can_be_compared():
    rounds = [_round(0, 0, 1, 1, 2, 3, 3), _round(0, 0, repeat=1)]
    assert [one.patients for one in possible_verdicts(rounds, 3, _JUDGING)] == [4, 3]
    apart = _round(0, 0, 1, 1, 2, 2, strata=[0, 1, 0, 1, 2, 2])  # of two data sets, or with nobody to be mistaken for
    assert possible_verdicts([apart], 3, _JUDGING)[1].patients == 0
    assert possible_verdicts(rounds, 0, _JUDGING) == ()


def test_what_cannot_be_said_is_told_in_words():
    few = verdicts_told(possible_verdicts([_round(0, 1, 2, 3, 4, 5)], 16, _JUDGING))
    assert few[0] == ("Nothing can come out as broken in what an attack makes of an image: 6 patients under attack; it "
                      "takes 11.")  # fmt: skip
    assert few[1] == ("No verdict on whether two packages show one person: 0 patients with several images of one data "
                      "set, view and size; it takes 5.")  # fmt: skip
    (some,) = verdicts_told(possible_verdicts([_round(*sorted([*range(30)] * 2))], 16, _JUDGING))
    assert some.startswith("Likely inconclusive, whether two packages show one person: with 30 patients")
    assert verdicts_told(possible_verdicts([_round(*sorted([*range(80)] * 2))], 16, _JUDGING)) == []
    assert [one.of for one in possible_verdicts([_round(0)], 1, _JUDGING)] == [Judged.IMAGES, Judged.LINKAGE]
