"""medveil opens every golden release as it did when format 1 was frozen, and refuses whatever was done to one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.shell import run
from tests.vector_releases import (
    RELEASES,
    Failure,
    applied,
    control,
    failures,
    index,
    key_files,
    named_openings,
    names_of,
    open_all,
    openings,
    seen,
)

from medveil.errors import FormatVersionError, IntegrityError, NoFittingKeyError
from medveil.keys.openers import Opener, load_opener
from medveil.keys.recipients import Recipient
from medveil.releases.verifying import verify

_EXIT_CODES = {"integrity": 11, "key": 10, "format": 12}


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return key_files(tmp_path_factory.mktemp("vectors"))


def _opener(keys: Path, name: str) -> Opener:
    return load_opener(keys / f"{name}.key")


@pytest.mark.parametrize(("name", "key"), openings())
def test_a_key_opens_what_it_should(name: str, key: str, keys: Path) -> None:
    vector = index()["releases"][name]
    expected, owner = vector["opens"][key], Recipient.load(keys / f"{vector['owner']}.pub")
    assert verify(RELEASES / name, owner=owner).words == "verified"
    if expected == "key":
        with pytest.raises(NoFittingKeyError):
            open_all(RELEASES / name, _opener(keys, key), owner)
        return
    found = open_all(RELEASES / name, _opener(keys, key), owner)
    assert {number: seen(one) for number, one in found.items()} == expected


@pytest.mark.parametrize(("name", "key"), named_openings())
def test_patients_and_uids_are_those_of_the_index(name: str, key: str, keys: Path) -> None:
    vector = index()["releases"][name]
    owner = Recipient.load(keys / f"{vector['owner']}.pub")
    assert names_of(RELEASES / name, _opener(keys, key), owner) == vector["names"][key]


def test_what_is_signed_anew_opens(keys: Path, tmp_path: Path) -> None:
    """The positive control: it is not the signing that is refused."""
    changed = applied(control("sealed", "alice"), tmp_path)
    found = open_all(changed, _opener(keys, "alice"), Recipient.load(keys / "owner.pub"))
    assert {number: seen(one) for number, one in found.items()} == index()["releases"]["sealed"]["opens"]["alice"]


@pytest.mark.parametrize("failure", failures(), ids=lambda failure: failure.title)
def test_a_changed_release_is_refused(failure: Failure, keys: Path, tmp_path: Path) -> None:
    changed = applied(failure, tmp_path)
    with pytest.raises((IntegrityError, NoFittingKeyError, FormatVersionError)) as caught:
        open_all(changed, _opener(keys, failure.key), Recipient.load(keys / f"{failure.owner}.pub"))
    assert caught.value.exit_code == _EXIT_CODES[failure.expect]


@pytest.mark.parametrize("expect", _EXIT_CODES)
def test_the_command_ends_with_the_code(expect: str, keys: Path, tmp_path: Path) -> None:
    failure = next(one for one in reversed(failures()) if one.expect == expect)
    changed, key = applied(failure, tmp_path), keys / f"{failure.key}.key"
    done = run("open", changed, "-i", key, "--owner", keys / f"{failure.owner}.pub", "-o", tmp_path / "out", "-j", 1)
    assert done.code == _EXIT_CODES[expect]
