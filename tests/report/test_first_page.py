"""The first page says what was released, to whom, and what was tried; nothing that was not tried counts as passed."""

from __future__ import annotations

import pytest
from tests.audit.invented import attack, audit, control, measured

from medveil.audit.results import FormCheck, Verdict
from medveil.experiments.unit import Status
from medveil.report.first_page import gets, recipients, released, tried

_FACTS = {
    "id": "3f9a07c1", "head": "ab" * 32, "entry": 2, "created": "2026-11-29", "day": "2026-11-30", "packages": 64,
    "protection": "sealed", "codec": "lapped", "quality": 40.0, "tiers": ["preview", "diagnostic"], "grants": 2,
    "owners": ["eawv-ijsn", "k2xo-3vbn"], "owner_known": True,
    "recipients": [
        {"name": "eawv-ijsn", "tier": "exact", "identity": True, "packages": None, "until": "", "owner": True},
        {"name": "p9fs-a0vq", "tier": "preview", "identity": False, "packages": 12, "until": "2027-06-30",
         "owner": False},
    ],
}  # fmt: skip


def test_what_was_released():
    rows = dict(released(_FACTS))
    assert rows["Ledger head"] == f"{'ab' * 32} (entry 2, 2026-11-30)"
    assert rows["Day"] == "made on 2026-11-29; last changed on 2026-11-30"
    assert (rows["Owner"], rows["Deputies"]) == ("eawv-ijsn", "k2xo-3vbn")
    assert rows["Images"] == (
        "64 packages, protection level sealed, codec lapped at 40 dB; tiers: preview and diagnostic"
    )
    doubted = dict(released(_FACTS | {"owner_known": False, "day": "2026-11-29"}))
    assert "nobody vouches for this key here" in doubted["Owner"]
    assert doubted["Day"] == "made on 2026-11-29"
    assert dict(released({}))["Release"] == "not known"


def test_who_may_open_it():
    assert recipients(_FACTS) == [
        "eawv-ijsn: tier exact, with names and dates (owner)",
        "p9fs-a0vq: tier preview, 12 packages only, meant to end on 2027-06-30",
    ]
    named = {**_FACTS["recipients"][1], "fingerprint": "p9fs-a0vq", "name": "alice"}
    both = recipients(_FACTS | {"recipients": [named, named | {"name": ""}]})
    assert [line.partition(":")[0] for line in both] == ["alice (p9fs-a0vq)", "p9fs-a0vq"]
    assert recipients(_FACTS, most=1)[-1] == "and 1 more, in section Release"
    assert recipients(_FACTS | {"recipients": None})[0].startswith("2 grants; whom they are for is told to the owners")


def test_what_a_stranger_gets_is_what_broke_it():
    told = gets(audit())
    assert told[0].startswith("Code decoder gets +1.24 dB over no information")
    assert told[-1].startswith("By design, everybody who holds the folder sees the number of images")
    five = tuple(attack(f"a{n}", measured("psnr", 2.0 + n, verdict=Verdict.BROKEN)) for n in range(5))
    assert "2 more attacks got something: see the table of attacks." in gets(audit(attacks=five))


@pytest.mark.parametrize(
    ("conclusion", "words"),
    [
        (Verdict.NO_EVIDENCE, "Nothing that these attacks could tell from chance."),
        (Verdict.INCONCLUSIVE, "Nothing was found, and nothing was ruled out."),
        (Verdict.TOO_WEAK, "Not known: what was found"),
    ],
)
def test_where_nothing_was_found_it_says_no_more(conclusion, words):
    told = gets(audit(conclusion, attacks=(attack("unet", measured()),)))
    assert told[0].startswith(words)
    assert told[1].startswith("The strongest attack: Unet gets +0.05 dB")


def test_a_fault_of_the_form_is_what_a_stranger_gets():
    fault = FormCheck("nothing-repeats", "Nothing repeats", "Not unique: 4 of 4 salts.", False)
    assert "A fault of its form, nothing-repeats: Nothing repeats. Not unique: 4 of 4 salts." in gets(
        audit(checks=(fault,))
    )


def test_what_was_not_tried_counts_for_nothing():
    checks = (
        FormCheck("nothing-repeats", "", "", True),
        FormCheck("file-times", "", "", False, of_copy=True),
        FormCheck("link-the-wrong-way", "", "", True, tried=False),
    )
    failed = attack("vnet", refusal="MemoryError", status=Status.FAILED)
    told = tried(audit(attacks=(attack("unet", measured()), failed), checks=checks, settings={"left_out": ["cgan"]}))
    assert told[0] == "1 attack without a key on up to 64 images of 31 patients: 1 no evidence."
    assert "Not tried, attacks that were not asked for: cgan." in told
    assert "Failed while running, and so rule out nothing: vnet." in told
    assert any(line.startswith("Checks of the form of this release: 1 of 2 passed; not file-times") for line in told)
    assert any("1 more had nothing to check and count for nothing" in line for line in told)
    assert "No check of the form was made." in tried(audit(checks=checks[2:]))
    assert "No attack was run." in tried(audit(attacks=()))
    for controls in ((), (control("random-codes", positive=False),)):
        assert any(line.startswith("No control was run") for line in tried(audit(controls=controls)))


def test_how_much_of_the_release_was_attacked_is_told():
    data = {"packages": 100, "images": 44, "packages_with_original": 100, "patients_known": False,
            "found": {"packages_without_original": 3, "packages_closed_to_key": 2}}  # fmt: skip
    told = " ".join(tried(audit(data=data)))
    assert "Only 44 of 100 packages of images were attacked." in told
    assert "No manifest said who is who" in told
    assert "3 packages were not attacked, since their originals are not among" in told
    assert "this key does not say whose they are: 2 packages." in told
