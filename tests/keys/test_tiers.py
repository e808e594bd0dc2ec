import secrets
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.errors import IntegrityError
from medveil.keys.tiers import EpochKeys, KeyRing, Section, SectionPlace, Tier, follow_link, hkdf, make_link

RELEASE = b"r" * 16
PLACE = SectionPlace(RELEASE, 0, b"p" * 16, Section.CODE, b"s" * 16)
OPENED_BY = {
    Tier.PREVIEW: {Section.PREVIEW, Section.IMAGE},
    Tier.DIAGNOSTIC: {Section.PREVIEW, Section.IMAGE, Section.CODE, Section.SUPPORT},
    Tier.EXACT: {Section.PREVIEW, Section.IMAGE, Section.CODE, Section.SUPPORT, Section.EXACT},
}


def place(section):
    return replace(PLACE, section=section)


def ring_of(keys, epoch=0):
    return KeyRing.whole({epoch: keys})


def opened_by(ring):
    return {section for section in Section if ring.find(place(section)) is not None}


def test_hkdf_matches_rfc_5869_case_3():
    okm = hkdf(bytes([0x0B] * 22), b"", 42)
    assert okm.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"


@pytest.mark.parametrize("tier", list(Tier))
def test_a_tier_opens_its_own_sections_and_lower_ones_and_no_others(tier):
    keys = EpochKeys.fresh()
    assert opened_by(ring_of(keys.lowered(tier, identity=False))) == OPENED_BY[tier]
    seen = OPENED_BY[tier] | {Section.IDENTITY, Section.ATTACHMENT}
    assert opened_by(ring_of(keys.lowered(tier))) == (seen | {Section.FILE} if tier is Tier.EXACT else seen)


def test_what_several_tiers_open_they_open_with_one_key():
    keys = EpochKeys.fresh()
    for tier in Tier:
        ring = ring_of(keys.lowered(tier))
        assert all(ring.find(place(section)) == ring_of(keys).find(place(section)) for section in opened_by(ring))
    assert len({ring_of(keys).key(place(section)) for section in Section}) == len(Section)


def test_the_chain_of_tiers_is_one_way():
    exact = EpochKeys.fresh()
    diagnostic, preview = exact.lowered(Tier.DIAGNOSTIC), exact.lowered(Tier.PREVIEW)
    assert diagnostic.lowered(Tier.PREVIEW) == preview
    assert len({exact.tier_key, diagnostic.tier_key, preview.tier_key}) == 3
    assert diagnostic.tier_key_of(Tier.EXACT) is preview.tier_key_of(Tier.EXACT) is None
    assert preview.tier_key_of(Tier.DIAGNOSTIC) is None
    assert preview.lowered(Tier.EXACT) == preview  # nobody is raised by asking for it
    for keys in (diagnostic, preview):
        with pytest.raises(ValueError, match="do not open"):
            ring_of(keys).key(place(Section.EXACT))


def test_each_step_of_the_chain_is_hkdf_of_the_step_before():
    keys = EpochKeys(Tier.EXACT, bytes(range(32)))
    diagnostic = hkdf(keys.tier_key, b"medveil/v1/tier/diagnostic")
    assert keys.tier_key_of(Tier.DIAGNOSTIC) == diagnostic
    assert keys.tier_key_of(Tier.PREVIEW) == hkdf(diagnostic, b"medveil/v1/tier/preview")


def test_identity_has_a_root_of_its_own():
    keys = EpochKeys.fresh()
    with pytest.raises(ValueError, match="do not open"):
        ring_of(keys.lowered(Tier.EXACT, identity=False)).key(place(Section.IDENTITY))
    other = EpochKeys(Tier.PREVIEW, secrets.token_bytes(32), keys.identity_key)
    assert ring_of(other).key(place(Section.IDENTITY)) == ring_of(keys).key(place(Section.IDENTITY))
    assert ring_of(other).key(place(Section.IMAGE)) != ring_of(keys).key(place(Section.IMAGE))


def test_the_original_file_needs_both_roots():
    keys = EpochKeys.fresh()
    whole = ring_of(keys).key(place(Section.FILE))
    assert ring_of(keys.lowered(Tier.EXACT, identity=False)).find(place(Section.FILE)) is None
    assert ring_of(keys.lowered(Tier.DIAGNOSTIC)).find(place(Section.FILE)) is None
    for other in (replace(keys, identity_key=bytes(32)), replace(keys, tier_key=bytes(32))):
        assert ring_of(other).key(place(Section.FILE)) != whole


@given(
    st.sampled_from(
        [
            {"release": b"R" * 16},
            {"epoch": 1},
            {"package": b"P" * 16},
            {"section": Section.SUPPORT},
            {"salt": b"S" * 16},
        ]
    )
)
def test_every_part_of_the_place_changes_the_key(change):
    keys = EpochKeys(Tier.EXACT, bytes(32), bytes(32))
    ring = KeyRing.whole({0: keys, 1: keys})
    assert ring.key(PLACE) != ring.key(replace(PLACE, **change))


def test_epochs_have_fresh_keys_and_a_ring_opens_those_it_has():
    keys = EpochKeys.fresh()
    assert keys != EpochKeys.fresh()
    assert ring_of(keys, 3).find(PLACE) is None
    assert ring_of(keys, 3).find(replace(PLACE, epoch=3)) is not None


@pytest.mark.parametrize("wrong", [{"salt": b"s" * 15}, {"package": b""}, {"release": b"r" * 17}])
def test_a_place_of_other_lengths_has_no_key(wrong):
    with pytest.raises(ValueError, match="16 bytes"):
        ring_of(EpochKeys.fresh()).find(replace(PLACE, **wrong))


@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("identity", [True, False])
def test_a_link_leads_back_to_the_same_tier_and_identity(tier, identity):
    newer, older = EpochKeys.fresh(), EpochKeys.fresh()
    link = make_link(newer, older, RELEASE, 5)
    found = follow_link(newer.lowered(tier, identity=identity), link, RELEASE, 5)
    assert found == older.lowered(tier, identity=identity)


def test_a_link_never_leads_forward():
    newer, older = EpochKeys.fresh(), EpochKeys.fresh()
    link = make_link(newer, older, RELEASE, 5)
    for tier in Tier:
        with pytest.raises(IntegrityError, match="link"):
            follow_link(older.lowered(tier), link, RELEASE, 5)


def test_a_link_lifts_nobody_to_another_tier():
    newer, older = EpochKeys.fresh(), EpochKeys.fresh()
    link = make_link(newer, older, RELEASE, 5)
    preview = newer.lowered(Tier.PREVIEW, identity=False)
    for claimed in (Tier.EXACT, Tier.DIAGNOSTIC):
        with pytest.raises(IntegrityError, match="link"):
            follow_link(replace(preview, tier=claimed), link, RELEASE, 5)
    with pytest.raises(IntegrityError, match="link"):
        follow_link(replace(preview, identity_key=preview.tier_key), link, RELEASE, 5)


@given(part=st.integers(0, 3), position=st.integers(0, 47))
def test_a_changed_link_is_refused(part, position):
    newer = EpochKeys(Tier.EXACT, b"\x01" * 32, b"\x02" * 32)
    parts = list(make_link(newer, EpochKeys(Tier.EXACT, b"\x03" * 32, b"\x04" * 32), RELEASE, 5))
    flipped = bytearray(parts[part])
    flipped[position] ^= 1
    parts[part] = bytes(flipped)
    keys = newer.lowered(list(Tier)[part]) if part < 3 else newer
    with pytest.raises(IntegrityError, match="link"):
        follow_link(keys, tuple(parts), RELEASE, 5)


def test_a_link_belongs_to_one_release_and_epoch():
    newer = EpochKeys.fresh()
    link = make_link(newer, EpochKeys.fresh(), RELEASE, 5)
    for release, epoch, parts in ((b"R" * 16, 5, link), (RELEASE, 6, link), (RELEASE, 5, link[1:]), (RELEASE, 5, ())):
        with pytest.raises(IntegrityError, match="link"):
            follow_link(newer, parts, release, epoch)


def limited(*sections, package=PLACE.package):
    keys = {(package, section): bytes([number]) * 32 for number, section in enumerate(sections, start=1)}
    return KeyRing(Tier.EXACT, Section.IDENTITY in sections, sections=keys, shared={"identity.0.dict": b"d" * 32})


def test_a_ring_of_single_sections_opens_those_and_no_others():
    ring = limited(Section.CODE, Section.EXACT, Section.IDENTITY)
    assert opened_by(ring) == {Section.CODE, Section.EXACT, Section.IDENTITY}
    assert ring.find(replace(PLACE, package=b"q" * 16)) is None
    assert ring.packages == {PLACE.package}
    assert ring_of(EpochKeys.fresh()).packages is None
    with pytest.raises(ValueError, match="do not open"):
        ring.key(place(Section.SUPPORT))


def test_a_lowered_ring_of_single_sections_keeps_the_lower_ones():
    ring = limited(Section.PREVIEW, Section.CODE, Section.EXACT, Section.FILE, Section.IDENTITY)
    assert opened_by(ring.lowered(Tier.DIAGNOSTIC)) == {Section.PREVIEW, Section.CODE, Section.IDENTITY}
    assert opened_by(ring.lowered(Tier.PREVIEW)) == {Section.PREVIEW, Section.IDENTITY}
    assert ring.lowered(Tier.PREVIEW).tier is Tier.PREVIEW


def test_sealed_files_open_for_whoever_may_see_them():
    keys = EpochKeys.fresh()
    stranger = ring_of(keys.lowered(Tier.PREVIEW, identity=False))
    for ring in (ring_of(keys), stranger):
        assert ring.shared_key(RELEASE, 0, "weights/ab.0.sealed") == ring_of(keys).shared_key(
            RELEASE, 0, "weights/ab.0.sealed"
        )
    assert ring_of(keys).shared_key(RELEASE, 0, "identity.0.dict") is not None
    assert stranger.shared_key(RELEASE, 0, "identity.0.dict") is None
    assert ring_of(keys).shared_key(RELEASE, 1, "identity.1.dict") is None
    only = limited(Section.CODE)
    assert only.shared_key(RELEASE, 0, "identity.0.dict") == b"d" * 32
    assert only.shared_key(RELEASE, 0, "weights/ab.0.sealed") is None


def test_no_key_shows_in_a_repr():
    keys = EpochKeys(Tier.EXACT, b"\x5a" * 32, b"\x5b" * 32)
    for shown in (keys, ring_of(keys), limited(Section.CODE)):
        text = repr(shown)
        assert not any(part in text for part in ("ZZZZ", "[[[[", "\\x01\\x01", "dddd"))
