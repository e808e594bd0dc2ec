import secrets
from dataclasses import replace

import pytest
from tests.keys.conftest import certificate_of, pem_of, ssh_of

from medveil.errors import NoFittingKeyError
from medveil.files import canonical
from medveil.keys.grants import CONTEXT, MAX_GRANT_BYTES, MAX_OTHER_BYTES, Grant, open_grant, seal_grant
from medveil.keys.identity import Identity
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Wrap
from medveil.keys.tiers import EpochKeys, Section, Tier
from medveil.keys.wrapping import wrap

OWNER, MALLORY = Identity.fresh(classical=True), Identity.fresh(classical=True)
ALICE, CAROL = Identity.fresh(classical=True), Identity.fresh()


@pytest.fixture
def openers(write, ssh_ed25519, rsa_3072):
    """One opener of every kind of key."""
    paths = [
        write("id_ed25519", ssh_of(ssh_ed25519)),
        write("id_rsa", ssh_of(rsa_3072)),
        write("card.pem", pem_of(rsa_3072) + certificate_of(rsa_3072)),
    ]
    found = [ALICE, CAROL, *(load_opener(path) for path in paths)]
    assert {opener.recipient.wrap for opener in found} == set(Wrap)
    return found


def whole(tier=Tier.EXACT, *, identity=True, owns=False, until=""):
    keys = EpochKeys.fresh().lowered(tier, identity=identity)
    owner_key = secrets.token_bytes(32) if owns else b""
    return Grant(b"r" * 16, 3, secrets.token_bytes(16), keys, secrets.token_bytes(32), owner_key, until)


def limited(packages, *names):
    ids = [number.to_bytes(16, "big") for number in range(packages)]
    sections = {(package, name): secrets.token_bytes(32) for package in ids for name in names or (Section.CODE,)}
    shared = {"identity.0.dict": b"d" * 32, "weights/ab.0.sealed": b"w" * 32}
    return replace(whole(), keys=EpochKeys(Tier.EXACT, b""), sections=sections, shared=shared)


def opened(data, opener, owner=OWNER):
    return open_grant(data, opener, [owner.recipient.verify_key])


def body_of(grant, *, signer=OWNER, context=CONTEXT, recipient=ALICE, payload=None, filler=b""):
    payload = grant.payload(recipient.recipient.digest) if payload is None else payload
    return canonical.dumps([payload, signer.sign(context, payload), filler])


def test_a_grant_opens_for_its_recipient_alone_whatever_kind_of_key(openers):
    for made in (whole(), limited(3, Section.PREVIEW, Section.CODE, Section.IDENTITY)):
        for opener in openers:
            sealed = seal_grant(made, opener.recipient, OWNER)
            assert opened(sealed, opener) == made
            for other in openers:
                if other is not opener and other.recipient.wrap is not opener.recipient.wrap:
                    with pytest.raises(NoFittingKeyError):
                        opened(sealed, other)
    with pytest.raises(NoFittingKeyError):
        opened(seal_grant(whole(), ALICE.recipient, OWNER), MALLORY)
    with pytest.raises(NoFittingKeyError):
        opened(seal_grant(whole(), CAROL.recipient, OWNER), Identity.fresh())


@pytest.mark.parametrize("tier", list(Tier))
def test_a_whole_grant_holds_its_tier_and_what_follows_from_it(tier):
    made = whole(tier, identity=False, until="2030-12-31")
    back = opened(seal_grant(made, ALICE.recipient, OWNER), ALICE)
    assert back.is_whole
    assert (back.keys, back.until, back.owner_key) == (made.keys, "2030-12-31", b"")
    assert back.keys.identity_key == b""


def test_a_limited_grant_holds_keys_of_its_sections_and_none_of_the_epoch():
    made = limited(2, Section.CODE, Section.EXACT)
    back = opened(seal_grant(made, ALICE.recipient, OWNER), ALICE)
    assert not back.is_whole
    assert (back.sections, back.shared) == (made.sections, made.shared)
    assert back.keys == EpochKeys(Tier.EXACT, b"", b"")


def test_a_grant_is_small_every_time():
    made = whole(owns=True, until="2030-12-31")
    assert all(len(seal_grant(made, ALICE.recipient, OWNER)) <= MAX_GRANT_BYTES == 640 for _ in range(60))


def test_a_grant_for_every_other_kind_of_key_is_small_too(openers):
    made = whole(owns=True, until="2030-12-31")
    for opener in openers[1:]:
        assert all(len(seal_grant(made, opener.recipient, OWNER)) <= MAX_OTHER_BYTES == 2560 for _ in range(5))


def test_what_a_whole_grant_opens_does_not_show_in_its_length(monkeypatch):
    """The age library greases its header at random; the hybrid form, written here, has none: its length is constant."""
    asked = [(tier, identity, owns, until) for tier in Tier for identity in (True, False) for owns in (True, False)
             for until in ("", "2030-12-31")]  # fmt: skip
    made = [whole(tier, identity=identity, owns=owns, until=until) for tier, identity, owns, until in asked]
    assert len({len(seal_grant(each, CAROL.recipient, OWNER)) for each in made}) == 1
    monkeypatch.setattr("medveil.keys.grants.wrap", lambda body, recipient: body)
    assert len({len(seal_grant(each, ALICE.recipient, OWNER)) for each in made}) == 1
    epochs = [replace(each, epoch=epoch) for each in made for epoch in (0, 23, 24, 1 << 16, (1 << 32) - 1)]
    assert {len(seal_grant(each, ALICE.recipient, OWNER)) for each in epochs} == {344}


def test_lengths_of_limited_grants_come_in_steps():
    lengths = [len(seal_grant(limited(count), CAROL.recipient, OWNER)) for count in range(100, 160)]
    assert lengths == sorted(lengths)
    assert 10 <= len(set(lengths)) <= 20  # of 60: 3 % a step, and no finer


def test_a_limited_grant_of_many_packages_opens():
    made = limited(3000, Section.PREVIEW, Section.CODE, Section.IDENTITY)
    assert opened(seal_grant(made, CAROL.recipient, OWNER), CAROL).sections == made.sections


def test_a_grant_by_somebody_else_is_refused():
    sealed = seal_grant(whole(), ALICE.recipient, MALLORY)
    with pytest.raises(NoFittingKeyError):
        opened(sealed, ALICE)
    with pytest.raises(NoFittingKeyError):
        open_grant(sealed, ALICE, [])
    assert open_grant(sealed, ALICE, [OWNER.recipient.verify_key, MALLORY.recipient.verify_key]).is_whole


def test_a_grant_passed_on_to_another_recipient_is_refused():
    sealed = seal_grant(whole(), ALICE.recipient, OWNER)
    passed_on = wrap(ALICE.unwrap(sealed), MALLORY.recipient)
    with pytest.raises(NoFittingKeyError):
        opened(passed_on, MALLORY)


def test_the_owners_signature_over_something_else_is_no_grant():
    made = whole()
    assert opened(wrap(body_of(made), ALICE.recipient), ALICE) == made
    for context in (b"medveil/v1/manifest", b"medveil/v1/ledger", b"medveil/v1/draft", b""):
        with pytest.raises(NoFittingKeyError):
            opened(wrap(body_of(made, context=context), ALICE.recipient), ALICE)


def test_a_filler_carries_nothing():
    made = whole()
    assert opened(wrap(body_of(made, filler=bytes(100)), ALICE.recipient), ALICE) == made
    for filler in (b"\x01", bytes(99) + b"\x01", b"hello"):
        with pytest.raises(NoFittingKeyError):
            opened(wrap(body_of(made, filler=filler), ALICE.recipient), ALICE)


@pytest.mark.parametrize("position", range(0, 232, 7))
def test_a_payload_that_was_changed_is_refused(position):
    body = ALICE.unwrap(seal_grant(whole(), ALICE.recipient, OWNER))
    payload, signature, filler = canonical.loads(body, what="grant")
    forged = bytearray(payload)
    forged[position % len(forged)] ^= 1
    with pytest.raises(NoFittingKeyError):
        opened(wrap(canonical.dumps([bytes(forged), signature, filler]), ALICE.recipient), ALICE)


def fields():
    made = whole(until="2030-12-31")
    return canonical.loads(made.payload(ALICE.recipient.digest), what="grant")


def signed(record):
    return wrap(body_of(None, payload=canonical.dumps(record)), ALICE.recipient)


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        ((0, 0), b"r" * 15), ((0, 0), "r" * 16), ((0, 1), -1), ((0, 1), 1 << 32), ((0, 1), True), ((0, 2), b"g"),
        ((0, 2), list(range(16))), ((0, 3), bytes(32)), ((0, 3), b""), ((0, 4), "best"), ((0, 4), ["exact"]),
        ((0, 5), "tomorrow"), ((0, 5), "2030-12-31\n"), ((0, 5), b""), ((1, 0), b"k" * 31), ((1, 0), "k" * 32),
        ((1, 0), b""), ((1, 1), b"k"), ((1, 1), None), ((1, 2), b"k" * 33), ((1, 3), b""), ((1, 3), b"k" * 16),
        ((2,), [[b"p" * 16, "code", b"k" * 32]]), ((2,), {}), ((2,), 5), ((3,), [["identity.0.dict", b"k" * 31]]),
        ((3,), [["a", b"k" * 32], ["a", b"k" * 32]]),
    ],
)  # fmt: skip
def test_fields_of_another_form_are_refused_though_signed(where, wrong):
    record = fields()
    assert opened(signed(record), ALICE).is_whole
    part = record
    for step in where[:-1]:
        part = part[step]
    part[where[-1]] = wrong
    with pytest.raises(NoFittingKeyError):
        opened(signed(record), ALICE)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[b"p" * 16, "code", b"k" * 31]],
        [[b"p" * 15, "code", b"k" * 32]],
        [[b"p" * 16, "codes", b"k" * 32]],
        [[b"p" * 16, "code"]],
        [[b"p" * 16, "code", b"k" * 32], [b"p" * 16, "code", b"l" * 32]],
    ],
)
def test_sections_of_another_form_are_refused_though_signed(rows):
    record = fields()
    record[1][0] = record[1][1] = b""
    record[2] = [[b"p" * 16, "code", b"k" * 32]]
    assert opened(signed(record), ALICE).sections == {(b"p" * 16, Section.CODE): b"k" * 32}
    record[2] = rows
    with pytest.raises(NoFittingKeyError):
        opened(signed(record), ALICE)


def test_foreign_content_is_refused():
    for content in (b"", b"\x80", b"\x82\x01\x02", b"hello", b"\xff" * 100):
        with pytest.raises(NoFittingKeyError):
            opened(wrap(content, ALICE.recipient), ALICE)
    for content in (b"", b"age-encryption.org/v1\n", b"\x00" * 700):
        with pytest.raises(NoFittingKeyError):
            opened(content, ALICE)


def test_no_key_shows_in_a_repr():
    assert not any(secret in repr(limited(1)) for secret in ("dddd", "wwww"))
    made = replace(whole(), uid_key=b"u" * 32, owner_key=b"o" * 32)
    assert not any(secret in repr(made) for secret in ("uuuu", "oooo"))
