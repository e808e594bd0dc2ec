"""What a key finds in a release: which grants it is tried on, and what a changed one is told."""

import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from tests.keys.conftest import certificate_of, pem_of, ssh_of, ssh_public_of
from tests.releases import forgery
from tests.releases.looks import readable, ring_of

from medveil.errors import IntegrityError, NoFittingKeyError, TargetExistsError, UsageError
from medveil.keys.grants import Grant, seal_grant
from medveil.keys.identity import Identity
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Recipient, Wrap
from medveil.keys.tiers import EpochKeys, KeyRing, Tier
from medveil.releases.access import find_access, read_shared, write_shared
from medveil.releases.granting import Request, grant
from medveil.releases.opening import open_release
from medveil.releases.records import state as states
from medveil.releases.records.ledger import weakest
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share


@dataclass
class Watched:
    """An opener that keeps what it was asked to unwrap."""

    identity: Identity
    asked: list[bytes] = field(default_factory=list)

    @property
    def recipient(self):
        return self.identity.recipient

    @property
    def fingerprint(self):
        return self.identity.fingerprint

    def unwrap(self, data, *, limit=0):
        self.asked.append(data)
        return self.identity.unwrap(data, limit=limit)


def grants_of(folder):
    return {file.path: (folder / file.path).read_bytes() for file in states.load(folder).ledger.grants}


def look(folder, opener):
    state = states.load(folder)
    return find_access(folder, state.ledger, state.manifest, opener)


def test_a_secret_key_meets_only_bytes_that_an_owner_signed(release, people):
    """Else the answers to made-up files would tell their sender something of the key."""
    signed = set(grants_of(release).values())
    for path in (release / "grants").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    (release / "grants" / f"{'0' * 32}.pqage").write_bytes(next(iter(signed)))
    watched = Watched(people["alice"])
    with pytest.raises(IntegrityError, match="a grant was changed"):
        look(release, watched)
    assert watched.asked == []


def test_a_key_is_tried_on_grants_of_its_own_kind_alone(release):
    watched = Watched(Identity.fresh(classical=True))
    with pytest.raises(NoFittingKeyError):
        look(release, watched)
    assert watched.asked == []


@pytest.mark.parametrize("damage", ["changed", "missing", "longer"])
def test_a_damaged_grant_of_somebody_else_disturbs_nobody(release, people, damage):
    mine = {name for name, data in grants_of(release).items() if _opens(people["alice"], data)}
    for name in grants_of(release).keys() - mine:
        path = release / name
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes() + b"\x00" if damage == "longer" else b"junk")
    assert len(readable(release, ring_of(release, people["alice"]))) == 3
    with pytest.raises(IntegrityError):
        look(release, people["ida"])


def _opens(identity, data):
    try:
        return bool(identity.unwrap(data))
    except NoFittingKeyError:
        return False


def test_a_grant_that_a_recipient_made_for_a_friend_is_none(tmp_path, release, people):
    """Alice knows the keys of her tier; but only owners sign grants, and only they name them in the ledger."""
    state = states.load(release)
    keys = ring_of(release, people["alice"]).epochs[0]
    assert isinstance(keys, EpochKeys)
    passed_on = Grant(state.manifest.release, 0, b"g" * 16, keys, bytes(32))
    path = release / "grants" / f"{(b'g' * 16).hex()}.pqage"
    path.write_bytes(seal_grant(passed_on, people["mallory"].recipient, people["alice"]))
    with pytest.raises(NoFittingKeyError):
        look(release, people["mallory"])
    fields = forgery.read_entry(forgery.entry_paths(release)[0])
    row = [b"g" * 16, "mlkem768x25519", hashlib.sha256(path.read_bytes()).digest()]
    forgery.change_entry(release, people["owner"], granted=sorted([*fields["granted"], row]))
    with pytest.raises(NoFittingKeyError):  # though the ledger named it
        look(release, people["mallory"])


@pytest.fixture(scope="module")
def openers(tmp_path_factory):
    """A key of every kind, with its public half."""
    folder, small, large = tmp_path_factory.mktemp("kinds"), ed25519.Ed25519PrivateKey.generate(), None
    large = rsa.generate_private_key(65537, 3072)
    texts = {
        "ed": (ssh_of(small), ssh_public_of(small).encode()),
        "rsa": (ssh_of(large), ssh_public_of(large).encode()),
        "card": (pem_of(large) + certificate_of(large), certificate_of(large)),
    }
    found = []
    for name, (secret, public) in texts.items():
        (folder / name).write_bytes(secret)
        (folder / name).chmod(0o600)
        (folder / f"{name}.pub").write_bytes(public)
        opener = load_opener(folder / name)
        assert Recipient.load(folder / f"{name}.pub").text.split()[0] == opener.recipient.text.split()[0]
        found.append(opener)
    return [*found, Identity.fresh(), Identity.fresh(classical=True)]


def test_a_release_opens_for_keys_of_every_kind(tmp_path, pictures, openers):
    to = tuple(opener.recipient for opener in openers)
    assert {recipient.wrap for recipient in to} == set(Wrap)
    owner = Identity.fresh()
    wanted = ShareSettings(to=to, jobs=1, allow_classical=True, allow_certificates=True)
    share([pictures / "a"], tmp_path / "release", wanted, owner=owner)
    for opener in (owner, *openers):
        assert len(readable(tmp_path / "release", ring_of(tmp_path / "release", opener))) == 1
    grants = states.load(tmp_path / "release").ledger.grants
    assert weakest(grant.wrap for grant in grants) is Wrap.CMS_RSA
    assert {grant.path.rpartition(".")[2] for grant in grants} == {"age", "pqage", "cms"}


def test_kinds_that_were_not_allowed_are_refused_before_anything_is_written(tmp_path, pictures, openers):
    owner, out = Identity.fresh(), tmp_path / "release"
    for opener in openers:
        if opener.recipient.wrap is Wrap.HYBRID:
            continue
        card = opener.recipient.wrap is Wrap.CMS_RSA
        wanted = ShareSettings(to=(opener.recipient,), jobs=1, allow_classical=card, allow_certificates=not card)
        with pytest.raises(UsageError, match="certificate" if card else "classical"):
            share([pictures / "a"], out, wanted, owner=owner)
        assert not out.exists()
        assert not (tmp_path / "release.partial").exists()


def test_a_classical_owner_shares_with_classical_keys_unasked(tmp_path, pictures, openers):
    owner = Identity.fresh(classical=True)
    wanted = ShareSettings(to=(openers[0].recipient,), jobs=1)
    assert share([pictures / "a"], tmp_path / "release", wanted, owner=owner).done == 1
    other = ShareSettings(to=(openers[1].recipient,), jobs=1)
    with pytest.raises(TargetExistsError):
        share([pictures / "a"], tmp_path / "release", other, owner=owner)


def test_a_better_grant_that_is_damaged_is_told(tmp_path, tiered, people):
    mallory, one = people["mallory"], sorted(e.package for e in states.load(tiered).manifest.packages)[0]
    grant(tiered, Request((mallory.recipient,), {mallory.recipient: Tier.PREVIEW}), people["owner"])
    assert look(tiered, mallory).warning == ""
    wanted = Request((mallory.recipient,), {mallory.recipient: Tier.EXACT}, (mallory.recipient,), (one.hex(),))
    better = grant(tiered, wanted, people["owner"]).notes[0].grant_id.hex()
    (tiered / f"grants/{better}.pqage").unlink()
    assert "missing" in look(tiered, mallory).warning
    result = open_release(tiered, tmp_path / "opened", identity=mallory, jobs=1)
    assert (result.done, "missing" in result.warning) == (2, True)


def test_what_identities_have_in_common_is_short(tmp_path):
    """zlib takes no longer dictionary, and nobody else's memory is filled with one."""
    keys = EpochKeys.fresh()
    ring = KeyRing.whole({0: keys})
    manifest = SimpleNamespace(release=bytes(16))
    file = write_shared(tmp_path, "identity.0.dict", bytes(1 << 17), bytes(16), 0, ring)
    with pytest.raises(IntegrityError, match="longer"):
        read_shared(tmp_path, file, manifest, ring)
