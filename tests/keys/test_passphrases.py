import hashlib
import subprocess
import time
from shutil import which

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.age_testkit import names, vector

from medveil.errors import KeyFileError
from medveil.keys import agefile, passphrases

PASSPHRASE = "four words with nothing"
ARMOR = (b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"-----END AGE ENCRYPTED FILE-----\n")


@pytest.fixture(scope="module")
def locked():
    return passphrases.lock(b"a secret key", PASSPHRASE)


@pytest.fixture
def cheap(monkeypatch):
    """A low work factor, for tests of everything but the work."""
    monkeypatch.setattr(passphrases, "_WORK_FACTOR", 4)


def test_round_trip_with_the_work_factor_of_age(locked):
    assert b"\n-> scrypt " in locked
    assert locked.split(b"\n")[1].endswith(b" 18")
    assert passphrases.is_locked(locked)
    assert passphrases.unlock(locked, PASSPHRASE) == b"a secret key"


def test_the_wrong_passphrase_and_damage_have_one_text(cheap):
    locked = passphrases.lock(b"a secret key", PASSPHRASE)
    changed = locked[:-1] + bytes([locked[-1] ^ 1])
    texts = set()
    for file, passphrase in (
        (locked, PASSPHRASE + " "),
        (locked, ""),
        (changed, PASSPHRASE),
        (locked[:-5], PASSPHRASE),
    ):
        with pytest.raises(KeyFileError) as caught:
            passphrases.unlock(file, passphrase)
        assert PASSPHRASE not in repr(caught.value)
        texts.add(caught.value.message)
    assert len(texts) == 1


@given(passphrase=st.text(min_size=10, max_size=30), data=st.binary(max_size=100))
@settings(max_examples=20, deadline=None)
def test_any_text_is_a_passphrase(passphrase, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passphrases, "_WORK_FACTOR", 4)
        assert passphrases.unlock(passphrases.lock(data, passphrase), passphrase) == data


def test_a_passphrase_that_is_no_utf8_is_taken_as_typed(cheap):
    typed = "ten characters \udcff"
    assert passphrases.unlock(passphrases.lock(b"x", typed), typed) == b"x"


def test_short_passphrases_lock_nothing():
    for passphrase in ("", "123456789"):
        with pytest.raises(KeyFileError, match="10 characters"):
            passphrases.lock(b"x", passphrase)


@pytest.mark.parametrize("number", [21, 23, 63, 99, 100, 4096, 10**30])
def test_too_much_work_is_refused_at_once(number):
    head = agefile.Stanza(("scrypt", agefile.encode_base64(bytes(16)), str(number)), bytes(32))
    file = agefile.seal(b"x", lambda _: head)
    start = time.perf_counter()
    with pytest.raises(KeyFileError, match=r"2\^20"):
        passphrases.unlock(file, PASSPHRASE)
    with pytest.raises(KeyFileError, match=r"2\^20"):
        passphrases.check_locked(file)  # before anybody is asked for the passphrase
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("number", ["", "0", "00", "010", "+4", "-4", "4.0", "0x4", "1e1", "٤", "4 ", " 4"])
def test_the_work_factor_has_one_spelling(number):
    line = f"scrypt {agefile.encode_base64(bytes(16))} {number}".encode()
    file = agefile.seal(b"x", lambda _: agefile.Stanza(("test",), bytes(32))).replace(b"test", line, 1)
    with pytest.raises(KeyFileError):
        passphrases.unlock(file, PASSPHRASE)


def known_content(known):
    """What the vector's passphrase opens; None where everything is refused."""
    try:
        return passphrases.unlock(known.data, known.passphrases[-1])
    except KeyFileError:
        return None


@pytest.mark.parametrize("name", [*names("scrypt"), "armor_scrypt"])
def test_the_age_testkit(name):
    known = vector(name)
    content = known_content(known)
    if known.expect == "success":
        assert content is not None
        assert hashlib.sha256(content).hexdigest() == known.payload
    else:
        assert content is None


@pytest.mark.parametrize("name", names("armor"))
def test_the_armor_of_the_age_testkit(name):
    known = vector(name)
    if known.expect == "armor failure" or name == "armor_empty":
        with pytest.raises(ValueError):
            passphrases._dearmored(known.data)
    elif known.armored:
        file = passphrases._dearmored(known.data)
        if known.expect == "success":
            content = agefile.parse(file).open(known.file_key)
            assert hashlib.sha256(content).hexdigest() == known.payload


def test_an_age_file_for_a_key_is_not_one_under_a_passphrase():
    from medveil.keys.identity import Identity
    from medveil.keys.wrapping import wrap

    with pytest.raises(KeyFileError, match="not one under a passphrase"):
        passphrases.unlock(wrap(b"x", Identity.fresh().recipient), PASSPHRASE)


@pytest.mark.parametrize("data", [b"", b"\xff", b"age-encryption.org/v1\n", ARMOR[0] + ARMOR[1], ARMOR[0], b"x" * 5000])
def test_what_is_no_locked_file_is_one_clear_error(data):
    with pytest.raises(KeyFileError):
        passphrases.unlock(data, PASSPHRASE)


def test_another_library_reads_it(cheap):
    import pyrage

    assert pyrage.passphrase.decrypt(passphrases.lock(b"a secret key", PASSPHRASE), PASSPHRASE) == b"a secret key"


@pytest.mark.skipif(which("age") is None or which("script") is None, reason="the age program is not installed")
def test_the_age_program_opens_it(locked, tmp_path):
    (tmp_path / "locked").write_bytes(locked)
    typed = f"(sleep 1; echo '{PASSPHRASE}') | script -qec 'age -d -o out locked' /dev/null"
    subprocess.run(["sh", "-c", typed], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert (tmp_path / "out").read_bytes() == b"a secret key"
