from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.keys.tiers import ReleaseKeys, Section, SectionPlace, Tier, hkdf, section_key

PLACE = SectionPlace(b"r" * 16, 0, b"p" * 16, Tier.DIAGNOSTIC, Section.CODE, b"s" * 16)


def test_hkdf_matches_rfc_5869_case_3():
    okm = hkdf(bytes([0x0B] * 22), b"", 42)
    assert okm.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"


def test_a_higher_tier_opens_the_lower_ones_only():
    exact = ReleaseKeys.fresh()
    diagnostic = exact.lowered(Tier.DIAGNOSTIC)
    assert section_key(exact, PLACE) == section_key(diagnostic, PLACE)
    preview = exact.lowered(Tier.PREVIEW)
    assert diagnostic.lowered(Tier.PREVIEW) == preview
    assert len({exact.tier_key, diagnostic.tier_key, preview.tier_key}) == 3
    with pytest.raises(ValueError, match="do not open"):
        section_key(ReleaseKeys(Tier.PREVIEW, b""), PLACE)


def test_identity_has_a_root_of_its_own():
    keys = ReleaseKeys.fresh()
    identity = replace(PLACE, section=Section.IDENTITY)
    with pytest.raises(ValueError, match="do not open"):
        section_key(keys.without_identity(), identity)
    other = ReleaseKeys(Tier.EXACT, bytes(32), keys.identity_key)
    assert section_key(other, identity) == section_key(keys, identity)


@given(
    st.sampled_from(
        [
            {"release": b"R" * 16},
            {"epoch": 1},
            {"package": b"P" * 16},
            {"tier": Tier.PREVIEW},
            {"section": Section.IMAGE},
            {"salt": b"S" * 16},
        ]
    )
)
def test_every_part_of_the_place_changes_the_key(change):
    keys = ReleaseKeys(Tier.EXACT, bytes(32), bytes(32))
    assert section_key(keys, PLACE) != section_key(keys, replace(PLACE, **change))
