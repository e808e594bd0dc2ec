import pytest

from medveil.errors import IntegrityError, NoFittingKeyError
from medveil.keys.grants import MAX_GRANT_BYTES, Grant, open_grant, seal_grant, wrap
from medveil.keys.identity import generate
from medveil.keys.tiers import ReleaseKeys


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: generate(folder / f"{name}.key") for name in ("owner", "alice", "mallory")}


def grant():
    return Grant(b"r" * 16, 0, b"g" * 16, ReleaseKeys.fresh())


def test_a_grant_opens_for_its_recipient_alone(people):
    made = grant()
    sealed = seal_grant(made, people["alice"].recipient, people["owner"])
    assert open_grant(sealed, people["alice"], people["owner"].recipient.verify_key) == made
    with pytest.raises(NoFittingKeyError):
        open_grant(sealed, people["mallory"], people["owner"].recipient.verify_key)


def test_a_grant_is_small_every_time(people):
    made = grant()
    assert all(len(seal_grant(made, people["alice"].recipient, people["owner"])) <= MAX_GRANT_BYTES for _ in range(60))


def test_a_grant_by_somebody_else_is_refused(people):
    sealed = seal_grant(grant(), people["alice"].recipient, people["mallory"])
    with pytest.raises(IntegrityError):
        open_grant(sealed, people["alice"], people["owner"].recipient.verify_key)


def test_a_grant_passed_on_to_another_recipient_is_refused(people):
    from medveil.keys.grants import unwrap

    sealed = seal_grant(grant(), people["alice"].recipient, people["owner"])
    passed_on = wrap(unwrap(sealed, people["alice"]), people["mallory"].recipient)
    with pytest.raises(IntegrityError):
        open_grant(passed_on, people["mallory"], people["owner"].recipient.verify_key)


def test_foreign_content_is_refused(people):
    for content in (b"", b"\x80", b"\x82\x01\x02", b"hello", b"\xff" * 100):
        with pytest.raises(IntegrityError):
            open_grant(wrap(content, people["alice"].recipient), people["alice"], bytes(32))


def test_uid_keys_differ_between_grants(people):
    keys = ReleaseKeys.fresh()
    assert Grant(b"r" * 16, 0, b"a" * 16, keys).uid_key != Grant(b"r" * 16, 0, b"b" * 16, keys).uid_key
