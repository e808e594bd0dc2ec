"""grant and revoke: who opens what afterwards, and that nothing is touched that need not be."""

import dataclasses
import datetime
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from PIL import Image as Picture
from tests.keys.conftest import certificate_of
from tests.pictures import picture
from tests.reader import identities
from tests.reader import release as reader
from tests.releases.looks import image_ids, readable, ring_of, snapshot

from medveil.errors import IntegrityError, NoFittingKeyError, RefusedError, TargetExistsError, UsageError
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Section, Tier, follow_link
from medveil.releases.deputies import founder_of, owned_state, read_book
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.listing import list_originals
from medveil.releases.opening import open_release
from medveil.releases.records import state as states
from medveil.releases.records.ledger import Action
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify
from medveil.releases.writing import staging

PIXELS = {
    Tier.PREVIEW: {Section.PREVIEW, Section.IMAGE},
    Tier.DIAGNOSTIC: {Section.PREVIEW, Section.IMAGE, Section.CODE},
    Tier.EXACT: {Section.PREVIEW, Section.IMAGE, Section.CODE, Section.EXACT},
}


def ask(*identities, tier=None, **more):
    to = tuple(identity.recipient for identity in identities)
    return Request(to=to, at=dict.fromkeys(to, tier) if tier else {}, **more)


def notes_of(folder, owner):
    state = owned_state(folder, owner, repair=False)
    return {note.recipient.text: note for note in read_book(folder, state, owner).grants}


def added(release, tmp_path, owner, number=7):
    """Add a picture to a release, and give the ids that are new."""
    before = set(image_ids(release))
    Picture.fromarray(picture(number)).save(tmp_path / f"added{number}.png")
    share([tmp_path / f"added{number}.png"], release, ShareSettings(add=True, jobs=1), owner=owner)
    return set(image_ids(release)) - before


def test_a_grant_adds_one_grant_and_one_entry_and_touches_nothing_else(tiered, people):
    before = snapshot(tiered)
    done = grant(tiered, ask(people["mallory"], tier=Tier.DIAGNOSTIC), people["owner"])
    after = snapshot(tiered)
    assert {name: after[name] for name in before} == before
    new = set(after) - set(before)
    assert new == {"ledger/00000001.cbor", f"grants/{done.notes[0].grant_id.hex()}.pqage"}
    assert {after[name][1] for name in new} == {time for _, time in before.values()}
    assert not (tiered.parent / "tiered.partial").exists()
    assert verify(tiered).head == done.head
    opened = readable(tiered, ring_of(tiered, people["mallory"]))
    assert opened == dict.fromkeys(image_ids(tiered), PIXELS[Tier.DIAGNOSTIC])


def test_the_same_grant_twice_changes_nothing(tiered, people):
    first = grant(tiered, ask(people["mallory"], tier=Tier.DIAGNOSTIC), people["owner"])
    before = snapshot(tiered)
    again = grant(tiered, ask(people["mallory"], tier=Tier.DIAGNOSTIC), people["owner"])
    assert (again.notes, again.unchanged, again.head) == ((), 1, first.head)
    assert snapshot(tiered) == before


def test_a_grant_opens_images_as_a_first_one_does(tmp_path, tiered, people):
    grant(tiered, ask(people["mallory"], tier=Tier.EXACT), people["owner"])
    result = open_release(tiered, tmp_path / "opened", identity=people["mallory"], jobs=1)
    assert (result.done, result.withheld, result.failed, result.tiers) == (2, 1, [], {Tier.EXACT: 2})


@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("identity", [True, False])
def test_a_grant_opens_its_tier_and_no_more(tiered, people, tier, identity):
    mallory = people["mallory"]
    seen = (mallory.recipient,) if identity else ()
    grant(tiered, ask(mallory, tier=tier, identity=seen), people["owner"])
    wanted = PIXELS[tier] | ({Section.IDENTITY} if identity else set())
    wanted |= {Section.FILE} if identity and tier is Tier.EXACT else set()
    opened = readable(tiered, ring_of(tiered, mallory))
    assert {package: opened[package] for package in image_ids(tiered)} == dict.fromkeys(image_ids(tiered), wanted)
    assert len(opened) == (3 if identity else 2)  # the attachment


def test_a_better_grant_replaces_the_former(tiered, people):
    former = notes_of(tiered, people["owner"])[people["alice"].recipient.text]
    done = grant(tiered, ask(people["alice"], tier=Tier.EXACT), people["owner"])
    assert (len(done.notes), done.withdrawn) == (1, 1)
    assert not (tiered / f"grants/{former.grant_id.hex()}.pqage").exists()
    assert verify(tiered).packages == 3
    assert readable(tiered, ring_of(tiered, people["alice"]))[image_ids(tiered)[0]] == PIXELS[Tier.EXACT]
    assert states.load(tiered).ledger.head.withdrawn == (former.grant_id,)
    assert len(notes_of(tiered, people["owner"])) == 4


def test_names_can_be_granted_later(tiered, people):
    alice = people["alice"]
    with pytest.raises(NoFittingKeyError):
        list_originals(tiered, alice)
    grant(tiered, ask(alice, tier=Tier.PREVIEW, identity=(alice.recipient,)), people["owner"])
    assert len(list_originals(tiered, alice)) == 3


def test_a_grant_is_never_made_smaller(tiered, people):
    before, ida = snapshot(tiered), people["ida"]
    with pytest.raises(UsageError, match="smaller"):
        grant(tiered, ask(ida, tier=Tier.EXACT), people["owner"])  # she sees names now
    with pytest.raises(UsageError, match="smaller"):
        grant(tiered, ask(ida, tier=Tier.PREVIEW, identity=(ida.recipient,)), people["owner"])
    assert snapshot(tiered) == before
    kept = ask(ida, tier=Tier.PREVIEW, only=(image_ids(tiered)[0].hex(),))  # she has it already, and more
    assert grant(tiered, kept, people["owner"]).unchanged == 1


def test_a_grant_of_one_package_opens_that_one_alone(tmp_path, tiered, people):
    one, two = image_ids(tiered)
    done = grant(tiered, ask(people["mallory"], tier=Tier.DIAGNOSTIC, only=(one.hex()[:12],)), people["owner"])
    assert done.notes[0].only == (one,)
    ring = ring_of(tiered, people["mallory"])
    assert ring.packages == {one}
    assert ring.epochs == {}
    assert readable(tiered, ring) == {one: PIXELS[Tier.DIAGNOSTIC]}
    result = open_release(tiered, tmp_path / "opened", identity=people["mallory"], jobs=1)
    assert (result.done, result.withheld, result.failed) == (1, 2, [])
    new = added(tiered, tmp_path, people["owner"])
    assert readable(tiered, ring_of(tiered, people["mallory"])).keys() == {one}
    assert readable(tiered, ring_of(tiered, people["alice"])).keys() == {one, two, *new}


def test_a_grant_of_one_package_with_names_shows_that_name_alone(tmp_path, tiered, people):
    mallory, (one, two) = people["mallory"], image_ids(tiered)
    grant(tiered, ask(mallory, only=(one.hex(),), identity=(mallory.recipient,)), people["owner"])
    grant(tiered, ask(mallory, only=(two.hex(),)), people["owner"])
    assert readable(tiered, ring_of(tiered, mallory)) == {
        one: PIXELS[Tier.EXACT] | {Section.IDENTITY, Section.FILE},
        two: PIXELS[Tier.EXACT],
    }
    assert [row.package for row in list_originals(tiered, mallory)] == [one.hex()]
    result = open_release(tiered, tmp_path / "opened", identity=mallory, jobs=1)
    assert (result.done, result.failed) == (2, [])
    assert (tmp_path / "opened" / f"{two.hex()}.png").is_file()


def test_grants_of_packages_and_of_the_whole_add_up(tmp_path, tiered, people):
    alice, (one, two) = people["alice"], image_ids(tiered)
    grant(tiered, ask(alice, tier=Tier.EXACT, only=(one.hex(),)), people["owner"])
    (tmp_path / "alice.key").write_text(alice.to_text())
    (tmp_path / "alice.key").chmod(0o600)
    owner = people["owner"].recipient.verify_key
    read = reader.open_release(tiered, identities.load(tmp_path / "alice.key"), owner)  # so does the second reader
    assert {package: seen.tier for package, seen in read.items()} == {one: "exact", two: "preview"}
    assert readable(tiered, ring_of(tiered, alice)) == {one: PIXELS[Tier.EXACT], two: PIXELS[Tier.PREVIEW]}
    lowered = readable(tiered, ring_of(tiered, alice).lowered(Tier.DIAGNOSTIC))
    assert lowered == {one: PIXELS[Tier.DIAGNOSTIC], two: PIXELS[Tier.PREVIEW]}
    grant(tiered, ask(alice, tier=Tier.DIAGNOSTIC), people["owner"])  # the better grant of the one stays
    assert readable(tiered, ring_of(tiered, alice)) == {one: PIXELS[Tier.EXACT], two: PIXELS[Tier.DIAGNOSTIC]}
    done = grant(tiered, ask(alice, tier=Tier.EXACT), people["owner"])
    assert done.withdrawn == 2
    assert readable(tiered, ring_of(tiered, alice)) == dict.fromkeys((one, two), PIXELS[Tier.EXACT])


def test_a_grant_of_packages_adds_names_to_a_whole_one(tiered, people):
    alice, one = people["alice"], image_ids(tiered)[0]
    wanted = ask(alice, tier=Tier.PREVIEW, only=(one.hex(),), identity=(alice.recipient,))
    assert grant(tiered, wanted, people["owner"]).unchanged == 0
    assert [row.package for row in list_originals(tiered, alice)] == [one.hex()]


def test_an_attachment_alone_is_granted_with_names_only(tmp_path, tiered, people):
    mallory, before = people["mallory"], snapshot(tiered)
    (labels,) = {entry.package for entry in Release(tiered, pin=False).manifest.packages} - set(image_ids(tiered))
    with pytest.raises(UsageError, match="attachments"):
        grant(tiered, ask(mallory, only=(labels.hex(),)), people["owner"])
    assert snapshot(tiered) == before
    grant(tiered, ask(mallory, only=(labels.hex(),), identity=(mallory.recipient,)), people["owner"])
    result = open_release(tiered, tmp_path / "opened", identity=mallory, jobs=1)
    assert (result.done, result.withheld, result.failed) == (1, 2, [])
    assert (tmp_path / "opened" / "labels.csv").is_file()


def test_who_is_named_twice_has_one_grant(tiered, people):
    assert len(grant(tiered, ask(people["mallory"], people["mallory"]), people["owner"]).notes) == 1


def test_a_day_is_advisory_and_told(tmp_path, tiered, people):
    day = (datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30)).isoformat()
    grant(tiered, ask(people["mallory"], tier=Tier.PREVIEW, until=day), people["owner"])
    assert Release(tiered).access_of(people["mallory"]).until == day
    assert open_release(tiered, tmp_path / "opened", identity=people["mallory"], jobs=1).until == day
    note = notes_of(tiered, people["owner"])[people["mallory"].recipient.text]
    assert (note.until, note.has_ended()) == (day, False)
    assert dataclasses.replace(note, until="2020-01-01").has_ended()
    later = grant(tiered, ask(people["mallory"], tier=Tier.PREVIEW), people["owner"])  # without an end
    assert (len(later.notes), later.withdrawn) == (1, 1)


@pytest.mark.parametrize("day", ["tomorrow", "2020-01-01", "2030-13-01", "20300101", "2030-1-1", "٢٠٣٠-01-01"])
def test_days_that_make_no_sense_are_refused(tiered, people, day):
    before = snapshot(tiered)
    with pytest.raises(UsageError, match="--until"):
        grant(tiered, ask(people["mallory"], until=day), people["owner"])
    assert snapshot(tiered) == before


def test_requests_that_make_no_sense_are_refused(tiered, release, people):
    before, mallory, ida = snapshot(tiered), people["mallory"], people["ida"]
    for wrong in (
        ask(),
        ask(mallory, only=("ffff",)),
        ask(mallory, only=("",)),
        ask(mallory, identity=(ida.recipient,)),
    ):
        with pytest.raises(UsageError):
            grant(tiered, wrong, people["owner"])
    for tier in (Tier.EXACT, Tier.PREVIEW):
        with pytest.raises(UsageError, match="has no tier"):
            grant(release, ask(mallory, tier=tier), people["owner"])
    assert snapshot(tiered) == before


def test_classical_keys_and_certificates_need_to_be_allowed(tiered, people, tmp_path):
    classical = Identity.fresh(classical=True)
    (tmp_path / "card.pem").write_bytes(certificate_of(rsa.generate_private_key(65537, 3072)))
    card = Recipient.load(tmp_path / "card.pem")
    before = snapshot(tiered)
    with pytest.raises(UsageError, match="is classical"):
        grant(tiered, ask(classical), people["owner"])
    with pytest.raises(UsageError, match="--allow-certificates"):
        grant(tiered, Request((card,), {}, allow_classical=True), people["owner"])
    assert snapshot(tiered) == before
    grant(tiered, ask(classical, tier=Tier.PREVIEW, allow_classical=True), people["owner"])
    assert len(readable(tiered, ring_of(tiered, classical))) == 2
    assert states.load(tiered).ledger.head.granted[0].path.endswith(".age")


def test_only_owners_grant_revoke_and_read_the_book(tiered, people):
    before = snapshot(tiered)
    for stranger in (people["mallory"], people["ida"]):
        for attempt in (
            lambda who: grant(tiered, ask(who), who),
            lambda who: revoke(tiered, [people["alice"].recipient], who),
            lambda who: owned_state(tiered, who),
            lambda who: read_book(tiered, states.load(tiered), who),
        ):
            with pytest.raises(NoFittingKeyError):
                attempt(stranger)
    assert snapshot(tiered) == before


def test_a_deputy_does_what_the_founder_does(tmp_path, tiered, people):
    deputy = people["deputy"]
    grant(tiered, ask(people["mallory"], tier=Tier.PREVIEW), deputy, founder=people["owner"].recipient)
    assert set(notes_of(tiered, deputy)) == set(notes_of(tiered, people["owner"]))
    new = added(tiered, tmp_path, deputy)
    assert new <= readable(tiered, ring_of(tiered, people["mallory"])).keys()
    revoke(tiered, [people["mallory"].recipient], deputy)
    assert [entry.action for entry in states.load(tiered).ledger.entries] == [
        Action.SHARE, Action.GRANT, Action.ADD, Action.REVOKE,
    ]  # fmt: skip
    assert verify(tiered, owner=people["owner"].recipient).words == "verified"
    assert grant(tiered, ask(people["mallory"], tier=Tier.EXACT), people["owner"]).epoch == 1


def test_a_deputy_of_somebody_unknown_changes_nothing(tmp_path, people):
    """Else who founds a release and names her a deputy could put it in place of hers, and read what she adds."""
    owner, mallory = people["owner"], people["mallory"]
    Picture.fromarray(picture(1)).save(tmp_path / "bait.png")
    wanted = ShareSettings(to=(people["alice"].recipient,), also_owners=(owner.recipient,), jobs=1)
    release = tmp_path / "release"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path / "hers"))
        share([tmp_path / "bait.png"], release, wanted, owner=mallory)
    before = snapshot(release)
    Picture.fromarray(picture(2)).save(tmp_path / "patient.png")
    add = ShareSettings(add=True, jobs=1)
    for attempt in (
        lambda: share([tmp_path / "patient.png"], release, add, owner=owner),
        lambda: grant(release, ask(people["ida"]), owner),
        lambda: revoke(release, [people["alice"].recipient], owner),
        lambda: rotate(release, owner, jobs=1),
        lambda: owned_state(release, owner, repair=False),
    ):
        with pytest.raises(RefusedError, match="deputy") as caught:
            attempt()
        assert "--owner" in caught.value.hint
        assert mallory.fingerprint in caught.value.message
    for wrong in (owner, people["ida"]):
        with pytest.raises(IntegrityError, match="another owner"):
            grant(release, ask(people["ida"]), owner, founder=wrong.recipient)
    assert snapshot(release) == before
    assert founder_of(release, owner) == mallory.fingerprint
    assert founder_of(release, mallory) == ""
    known = {"founder": mallory.recipient, "first_look": True}
    assert share([tmp_path / "patient.png"], release, add, owner=owner, **known).done == 1
    assert grant(release, ask(people["ida"]), owner).notes  # known by now


def test_who_names_a_founder_founds_nothing(tmp_path, people):
    Picture.fromarray(picture(1)).save(tmp_path / "one.png")
    with pytest.raises(UsageError, match="named owner"):
        share([tmp_path / "one.png"], tmp_path / "r", ShareSettings(jobs=1), owner=people["deputy"],
              founder=people["owner"].recipient)  # fmt: skip
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("way", ["revoke", "rotate"])
def test_grants_whose_day_is_over_are_not_made_anew(tiered, people, way, monkeypatch):
    grant(tiered, ask(people["mallory"], tier=Tier.PREVIEW, until="2999-12-31"), people["owner"])
    monkeypatch.setattr("medveil.releases.records.owner_records.today", lambda: "3000-01-01")
    if way == "revoke":
        done = revoke(tiered, [people["ida"].recipient], people["owner"])
        assert (done.revoked, done.withdrawn) == (1, 2)
    else:
        done = rotate(tiered, people["owner"], jobs=1)
        assert done.grants == 4
    assert done.ended == 1
    with pytest.raises(NoFittingKeyError):
        ring_of(tiered, people["mallory"])
    ring_of(tiered, people["alice"])


def test_a_request_takes_tiers_by_their_names(people):
    mallory = people["mallory"].recipient
    assert Request((mallory,)).at == {}
    assert Request((mallory,), {mallory: "preview"}).at == {mallory: Tier.PREVIEW}
    with pytest.raises(UsageError, match="there are exact"):
        Request((mallory,), {mallory: "best"})


def test_an_owner_cannot_be_taken_out(tiered, people):
    before = snapshot(tiered)
    for one in ("owner", "deputy"):
        with pytest.raises(UsageError, match="owner cannot"):
            revoke(tiered, [people["alice"].recipient, people[one].recipient], people["owner"])
    with pytest.raises(UsageError, match="granted nothing"):
        revoke(tiered, [people["mallory"].recipient], people["owner"])
    assert snapshot(tiered) == before
    assert grant(tiered, ask(people["deputy"], tier=Tier.PREVIEW), people["owner"]).unchanged == 1


def test_what_is_added_after_a_revoke_stays_closed_to_who_was_taken_out(tmp_path, tiered, people):
    old = shutil.copytree(tiered, tmp_path / "copy")
    kept = ring_of(old, people["ida"])  # her keys of the whole release, exact and with names
    packages = {name: value for name, value in snapshot(tiered).items() if name.startswith("packages/")}
    done = revoke(tiered, [people["ida"].recipient], people["owner"])
    assert (done.epoch, done.withdrawn) == (1, 1)
    assert packages.items() <= snapshot(tiered).items()
    new = added(tiered, tmp_path, people["owner"])
    with pytest.raises(NoFittingKeyError):
        ring_of(tiered, people["ida"])
    still = readable(tiered, kept)
    assert not new & still.keys()
    assert len(still) == 3  # what she could open before, she can open still
    (link,) = states.load(tiered).manifest.links
    for tier in Tier:
        with pytest.raises(IntegrityError):
            follow_link(kept.epochs[0].lowered(tier), link[1], states.load(tiered).manifest.release, 1)
    for name in ("owner", "deputy", "alice"):  # those who stayed open old and new alike, at their own tier
        opened = readable(tiered, ring_of(tiered, people[name]))
        assert opened.keys() >= set(image_ids(tiered))
        if name == "alice":
            assert set(map(frozenset, opened.values())) == {frozenset(PIXELS[Tier.PREVIEW])}
    assert open_release(tiered, tmp_path / "opened", identity=people["alice"], jobs=1).done == 3
    assert [row.path for row in list_originals(tiered, people["owner"])] == [
        "added7.png", "labels.csv", "originals/one.png", "originals/two.png",
    ]  # fmt: skip


def test_links_lead_those_who_come_later_through_all_epochs(tmp_path, tiered, people):
    added(tiered, tmp_path, people["owner"], 5)
    revoke(tiered, [people["ida"].recipient], people["owner"])
    added(tiered, tmp_path, people["owner"], 6)
    done = revoke(tiered, [people["alice"].recipient], people["deputy"])
    added(tiered, tmp_path, people["owner"], 7)
    assert done.epoch == 2
    mallory = people["mallory"]
    grant(tiered, ask(mallory, tier=Tier.DIAGNOSTIC), people["owner"])
    ring = ring_of(tiered, mallory)
    assert sorted(ring.epochs) == [0, 1, 2]
    assert readable(tiered, ring) == dict.fromkeys(image_ids(tiered), PIXELS[Tier.DIAGNOSTIC])
    assert len(image_ids(tiered)) == 5
    assert verify(tiered).leftovers == 0


def test_all_grants_of_those_who_stay_are_new_after_a_revoke(tiered, people):
    before = {grant.grant_id for grant in states.load(tiered).ledger.grants}
    revoke(tiered, [people["ida"].recipient], people["owner"])
    after = states.load(tiered).ledger.grants
    assert not before & {grant.grant_id for grant in after}
    assert len(after) == 3
    assert len(list((tiered / "grants").iterdir())) == 3


def test_taking_out_a_grant_of_packages_begins_no_epoch(tmp_path, tiered, people):
    mallory, one = people["mallory"], image_ids(tiered)[0]
    grant(tiered, ask(mallory, only=(one.hex(),)), people["owner"])
    before = snapshot(tiered)
    done = revoke(tiered, [mallory.recipient], people["owner"])
    assert (done.epoch, done.withdrawn) == (0, 1)
    after = snapshot(tiered)
    assert len(set(before) - set(after)) == len(set(after) - set(before)) == 1
    with pytest.raises(NoFittingKeyError):
        ring_of(tiered, mallory)


def test_a_grant_of_packages_survives_the_revoke_of_somebody_else(tiered, people):
    mallory, one = people["mallory"], image_ids(tiered)[0]
    done = grant(tiered, ask(mallory, tier=Tier.DIAGNOSTIC, only=(one.hex(),)), people["owner"])
    revoke(tiered, [people["ida"].recipient], people["owner"])
    assert readable(tiered, ring_of(tiered, mallory)) == {one: PIXELS[Tier.DIAGNOSTIC]}
    assert done.notes[0].grant_id in {grant.grant_id for grant in states.load(tiered).ledger.grants}


def test_who_was_taken_out_can_be_granted_again(tmp_path, tiered, people):
    revoke(tiered, [people["ida"].recipient], people["owner"])
    new = added(tiered, tmp_path, people["owner"])
    grant(tiered, ask(people["ida"], tier=Tier.PREVIEW), people["owner"])
    opened = readable(tiered, ring_of(tiered, people["ida"]))
    assert new <= opened.keys()
    assert set(map(frozenset, opened.values())) == {frozenset(PIXELS[Tier.PREVIEW])}


def test_one_works_on_a_release_at_a_time(tiered, people):
    with staging.held(staging.staging_of(tiered)), pytest.raises(TargetExistsError, match="another command"):
        grant(tiered, ask(people["mallory"]), people["owner"])


def test_an_older_copy_is_not_granted_from(tmp_path, tiered, people):
    old = shutil.copytree(tiered, tmp_path / "old")
    grant(tiered, ask(people["mallory"], tier=Tier.PREVIEW), people["owner"])
    with pytest.raises(IntegrityError, match="older state"):
        grant(old, ask(people["mallory"], tier=Tier.EXACT), people["owner"])


def test_uids_are_one_recipients_own(tiered, people):
    before = Release(tiered).access_of(people["alice"]).uid_key
    revoke(tiered, [people["ida"].recipient], people["owner"])
    grant(tiered, ask(people["mallory"], tier=Tier.PREVIEW), people["owner"])
    assert Release(tiered).access_of(people["alice"]).uid_key == before
    assert Release(tiered).access_of(people["mallory"]).uid_key != before
