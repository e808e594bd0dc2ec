"""The ledger: who may write into it, what a chain that somebody tampered with is told, and what pins add to it."""

import hashlib
import os
import shutil

import pytest
from tests.files.test_canonical import shared_reference_bomb
from tests.keys.test_points import ed25519_encodings
from tests.reader import ledger as reader
from tests.reader.refusal import RefusedError
from tests.releases import forgery
from tests.releases.looks import snapshot

from medveil.errors import FormatVersionError, IntegrityError, UsageError
from medveil.files import canonical
from medveil.keys.identity import Identity
from medveil.keys.recipients import Wrap
from medveil.keys.tiers import Tier
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.inspecting import inspect
from medveil.releases.records import ledger as ledgers
from medveil.releases.records import state as states
from medveil.releases.records.ledger import Action, weakest
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.verifying import verify


@pytest.fixture(scope="module")
def chain_made(tmp_path_factory, tiered_made, people):
    """A release with four entries: share, grant, revoke, grant."""
    root = tmp_path_factory.mktemp("chain")
    folder = shutil.copytree(tiered_made / "release", root / "release")
    shutil.copytree(tiered_made / "state", root / "state")
    mallory = people["mallory"].recipient
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        grant(folder, Request((mallory,), {mallory: Tier.PREVIEW}), people["owner"])
        revoke(folder, [mallory], people["deputy"])
        grant(folder, Request((mallory,), {mallory: Tier.EXACT}), people["owner"])
    return folder


@pytest.fixture
def chain(tmp_path, chain_made):
    """This test's own copy, on a machine that never saw it."""
    return shutil.copytree(chain_made, tmp_path / "chain")


def undone(folder, count):
    """The folder with its last entries taken away; the manifest as it is."""
    for path in forgery.entry_paths(folder)[-count:]:
        path.unlink()


def test_entries_say_what_was_done(chain, people):
    ledger = ledgers.load(chain)
    rows = [(e.number, e.action, e.epoch, e.packages, len(e.granted), len(e.withdrawn)) for e in ledger.entries]
    assert rows == [
        (0, Action.SHARE, 0, 3, 4, 0),
        (1, Action.GRANT, 0, 3, 1, 0),
        (2, Action.REVOKE, 1, 3, 4, 5),
        (3, Action.GRANT, 1, 3, 1, 0),
    ]
    assert ledger.owners == (people["owner"].recipient.verify_key, people["deputy"].recipient.verify_key)
    assert len(ledger.grants) == len(list((chain / "grants").iterdir())) == 5
    paths = forgery.entry_paths(chain)
    for previous, entry in zip(paths, ledger.entries[1:], strict=False):
        assert entry.previous == hashlib.sha256(previous.read_bytes()).digest()
    assert verify(chain).head == hashlib.sha256(paths[-1].read_bytes()).hexdigest()


def test_an_entry_shows_nothing_of_whom_it_is_about(chain, people):
    seen = b"".join(path.read_bytes() for path in forgery.entry_paths(chain))
    for identity in people.values():
        recipient = identity.recipient
        for value in (recipient.text.encode()[9:60], recipient.digest, recipient.fingerprint.encode()):
            assert value not in seen
    for tier in Tier:
        assert tier.value.encode() not in seen
    assert people["alice"].recipient.verify_key not in seen


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("place", [0, 5, 100, -1, -65])
def test_a_flipped_bit_of_any_entry_is_found(chain, number, place):
    path = forgery.entry_paths(chain)[number]
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises((IntegrityError, FormatVersionError)):
        verify(chain)


@pytest.mark.parametrize("number", range(3))
def test_a_missing_entry_is_found(chain, number):
    forgery.entry_paths(chain)[number].unlink()
    with pytest.raises(IntegrityError, match="missing"):
        verify(chain)


def test_exchanged_entries_are_found(chain):
    one, two = forgery.entry_paths(chain)[1:3]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(IntegrityError, match="another place"):
        verify(chain)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_chain_without_its_last_entries_does_not_fit_the_folder(chain, count):
    undone(chain, count)
    with pytest.raises(IntegrityError):
        verify(chain)


def test_a_whole_older_state_is_told_by_a_pin_and_by_a_head(tmp_path, chain, tiered, monkeypatch, people):
    """Rolled back altogether, it is consistent: only who knows a later state notices."""
    head = verify(chain).head
    with pytest.raises(IntegrityError, match="older state"):
        verify(tiered)
    with pytest.raises(IntegrityError, match="named head"):
        verify(tiered, head=head)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    assert verify(tiered).words == "signer unknown"
    with pytest.raises(IntegrityError, match="named head"):
        verify(tiered, head=head)
    older = ledgers.load(tiered).digests[0].hex()
    assert verify(chain, head=older).words == verify(chain, head=head).words == "verified"


@pytest.mark.parametrize("head", ["0" * 63, "x" * 64, "0" * 66, " " + "0" * 63])
def test_a_head_that_is_none_is_a_usage_error(chain, head):
    with pytest.raises(UsageError, match="--head"):
        verify(chain, head=head)


def test_two_histories_of_one_owner_are_told(tmp_path, tiered, people):
    fork = shutil.copytree(tiered, tmp_path / "fork")
    verify(tiered)
    pins = shutil.copytree(os.environ["XDG_STATE_HOME"], tmp_path / "pins")
    grant(tiered, Request((people["mallory"].recipient,), {}), people["owner"])
    shutil.rmtree(os.environ["XDG_STATE_HOME"])
    shutil.copytree(pins, os.environ["XDG_STATE_HOME"])
    grant(fork, Request((people["mallory"].recipient,), {}), people["owner"])
    with pytest.raises(IntegrityError, match="two histories"):
        verify(tiered)


@pytest.mark.parametrize("raw", ed25519_encodings(), ids=bytes.hex)
def test_a_deputy_in_whose_name_everybody_signs_is_refused(tiered, people, raw):
    """Also where the founder herself named her: she cannot know whose key that is."""
    owners = [people["owner"].recipient.verify_key, raw]
    forgery.change_entry(tiered, people["owner"], 0, owners=owners)
    with pytest.raises(IntegrityError, match="names an owner whose key is refused"):
        verify(tiered)
    with pytest.raises(RefusedError, match="everybody can sign"):
        reader.read([path.read_bytes() for path in forgery.entry_paths(tiered)])


def test_only_owners_may_sign(chain, people):
    forgery.change_entry(chain, people["deputy"])
    states.load(chain)
    for name in ("alice", "ida", "mallory"):
        forgery.change_entry(chain, people[name])
        with pytest.raises(IntegrityError, match="not signed by an owner"):
            states.load(chain)


def test_a_deputy_cannot_found_and_nobody_joins_the_owners_later(chain, people):
    forgery.change_entry(chain, people["owner"], owners=[people["mallory"].recipient.verify_key])
    with pytest.raises(IntegrityError, match="another place"):
        states.load(chain)
    forgery.change_entry(chain, people["owner"], owners=[])
    states.load(chain)
    forgery.change_entry(chain, people["deputy"], 0)  # she signs what the founder signed
    with pytest.raises(IntegrityError, match="not signed by an owner"):
        states.load(chain)


def test_naming_a_deputy_as_the_owner_is_refused(chain, people):
    """Anybody can found a release and call somebody else a deputy of it."""
    assert verify(chain, owner=people["owner"].recipient).words == "verified"
    with pytest.raises(IntegrityError, match="another owner"):
        verify(chain, owner=people["deputy"].recipient)


def test_an_entry_of_another_release_is_refused(tmp_path, chain, release, people):
    (foreign,) = forgery.entry_paths(release)
    shutil.copy(foreign, chain / "ledger" / "00000000.cbor")
    with pytest.raises(IntegrityError):
        verify(chain)
    fields = forgery.read_entry(forgery.entry_paths(chain)[-1])
    forgery.write_entry(forgery.entry_paths(chain)[-1], fields | {"release": b"R" * 16}, people["owner"])
    with pytest.raises(IntegrityError):
        verify(chain)


def test_a_signature_of_another_kind_is_no_entry(release, people):
    (path,) = forgery.entry_paths(release)
    payload, _ = canonical.loads(path.read_bytes(), what="entry")
    for context in (b"medveil/v1/manifest", b"medveil/v1/grant", b""):
        path.write_bytes(canonical.dumps([payload, people["owner"].sign(context, payload)]))
        with pytest.raises(IntegrityError, match="not signed by an owner"):
            states.load(release)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": True},
        {"format": 1.0},
        {"action": "give"},
        {"action": 1},
        {"day": "2026-01-01\n"},
        {"day": "\x1b[2J"},
        {"epoch": -1},
        {"epoch": 1},  # the manifest is of another
        {"packages": True},
        {"number": 1},
        {"number": 1 << 32},
        {"previous": b"p" * 32},
        {"manifest": b"m"},
        {"salt": b"s" * 15},
        {"notes": "text"},
        {"granted": [[b"g" * 16, "rot13", bytes(32)]]},
        {"granted": [[b"g" * 16, "X25519"]]},
        {"granted": [[b"../../x" + bytes(8), "X25519", bytes(32)]]},
        {"granted": [[b"h" * 16, "X25519", bytes(32)], [b"g" * 16, "X25519", bytes(32)]]},
        {"withdrawn": [b"g"]},
        {"withdrawn": [b"g" * 16, b"g" * 16]},
        {"owners": []},
        {"owners": [b"k" * 32] * 17},
        {"owners": ["k" * 32]},
        {"extra": 1},
        {"day": "2026-02-30"},
        {"action": "grant"},  # a first entry founds
        {"withdrawn": [b"g" * 16]},
    ],
)
def test_signed_nonsense_is_refused(release, people, changes):
    forgery.change_entry(release, people["owner"])
    states.load(release)
    forgery.change_entry(release, people["owner"], **changes)
    with pytest.raises(IntegrityError):
        states.load(release)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"action": "share"}, "founds"),
        ({"epoch": 2}, "epoch"),  # by a grant
        ({"epoch": 0}, "epoch"),
        ({"action": "rotate", "epoch": 3}, "epoch"),
        ({"withdrawn": [b"x" * 16]}, "not there"),
        ({"day": "2026-13-01"}, "fields"),
    ],
)
def test_an_entry_that_no_medveil_writes_is_refused(chain, people, changes, words):
    forgery.change_entry(chain, people["owner"], **changes)
    with pytest.raises(IntegrityError, match=words):
        states.load(chain)


def test_a_grant_is_made_once_and_taken_out_once(chain, people):
    first, third = (forgery.read_entry(forgery.entry_paths(chain)[number]) for number in (0, 2))
    forgery.change_entry(chain, people["owner"], granted=first["granted"][:1])
    with pytest.raises(IntegrityError, match="made before"):
        states.load(chain)
    forgery.change_entry(chain, people["owner"], granted=[], withdrawn=third["withdrawn"][:1])
    with pytest.raises(IntegrityError, match="not there"):
        states.load(chain)


def test_who_signed_each_entry_is_told(chain, people):
    owner, deputy = (people[name].recipient.verify_key for name in ("owner", "deputy"))
    assert ledgers.load(chain).signers == (owner, owner, deputy, owner)
    assert inspect(chain).owners == [people[name].fingerprint for name in ("owner", "deputy")]


def test_the_weakest_wrap_counts_grants_that_were_taken_out(tiered, people):
    old = Identity.fresh(classical=True).recipient
    grant(tiered, Request((old,), {old: Tier.PREVIEW}, allow_classical=True), people["owner"])
    revoke(tiered, [old], people["owner"])
    assert inspect(tiered).weakest_wrap == "X25519, classical"
    rotate(tiered, people["owner"], jobs=1)
    assert inspect(tiered).weakest_wrap == "mlkem768x25519, post-quantum"


@pytest.mark.parametrize("data", [shared_reference_bomb(), b"\x81" * 1_000_000, b"\x98\xff" + b"\x80" * 255, b"", b"x"])
@pytest.mark.parametrize("name", ["00000000.cbor", "00000001.cbor"])
def test_an_entry_is_no_bomb(release, people, name, data):
    signed = canonical.dumps([data, people["owner"].sign(b"medveil/v1/ledger", data)])
    for content in (data, signed):
        (release / "ledger" / name).write_bytes(content)
        with pytest.raises(IntegrityError):
            states.load(release)


@pytest.mark.parametrize("name", ["00000000.cbor", "00000001.cbor", "00000001.cbor.next"])
def test_an_entry_is_a_regular_file_of_bounded_length(release, name):
    path = release / "ledger" / name
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(6 << 30)
    with pytest.raises(IntegrityError, match="is longer"):
        states.load(release)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        with pytest.raises(IntegrityError, match="not a regular file"):
            states.load(release)


@pytest.mark.parametrize("data", [b"", b"junk", shared_reference_bomb()])
def test_an_announced_entry_that_makes_no_sense_counts_for_nothing(release, data):
    before = Release(release, pin=False).manifest
    (release / "ledger" / "00000001.cbor.next").write_bytes(data)
    assert states.load(release).manifest == before
    assert states.load(release).ledger.pending is None
    with pytest.raises(IntegrityError, match="added"):
        verify(release)


def test_looking_changes_nothing(chain, people):
    before = snapshot(chain)
    verify(chain)
    list(Release(chain).ledger.entries)
    assert snapshot(chain) == before


def test_the_weakest_wrap_is_named():
    assert weakest([]) is None
    assert weakest([Wrap.HYBRID, Wrap.X25519, Wrap.HYBRID]) is Wrap.X25519
    assert weakest(Wrap) is Wrap.CMS_RSA
