"""The second reader opens every golden release, and refuses whatever was done to one."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.reader import identities, release
from tests.reader.refusal import OtherFormatError, OtherKeyError, RefusedError
from tests.vector_releases import KEYS, RELEASES, Failure, applied, control, failures, index, named_openings, openings


def _key(name: str) -> identities.Identity:
    return identities.load(KEYS / f"{name}.key")


def _owner(name: str) -> bytes:
    mark = "# verify-key: "
    lines = (KEYS / f"{name}.pub").read_text(encoding="utf-8").splitlines()
    return base64.b64decode(next(line.removeprefix(mark) for line in lines if line.startswith(mark)))


@functools.cache
def _opened(name: str, key: str) -> dict[bytes, release.Opened]:
    """Decoding in plain Python takes a second a release: it is done once for all that is asked of it."""
    return release.open_release(RELEASES / name, _key(key), _owner(index()["releases"][name]["owner"]))


def _seen(one: release.Opened) -> dict[str, Any]:
    """An opened package, as the index puts it."""
    seen: dict[str, Any] = {"tier": one.tier}
    if one.side is not None and one.image is not None:
        assert one.image[1] == one.side.bits_stored
        size = 1 if one.side.bits_stored == 8 and not one.side.signed else 2
        raw = b"".join(value.to_bytes(size, "little", signed=one.side.signed) for row in one.rows for value in row)
        seen |= {"shape": [len(one.rows), len(one.rows[0])], "pixels": hashlib.sha256(raw).hexdigest()}
        seen |= {"kind": one.image[0], "bits": one.side.bits_stored}
    if one.path:
        seen["path"] = one.path
    if one.file is not None:
        seen["file"] = hashlib.sha256(one.file).hexdigest()
    return seen


@pytest.mark.parametrize(("name", "key"), openings())
def test_a_key_opens_what_it_should(name: str, key: str) -> None:
    vector = index()["releases"][name]
    expected = vector["opens"][key]
    if expected == "key":
        with pytest.raises(OtherKeyError):
            _opened(name, key)
    else:
        assert {number.hex(): _seen(one) for number, one in _opened(name, key).items()} == expected


@pytest.mark.parametrize(("name", "key"), named_openings())
def test_patients_and_uids_are_those_of_the_index(name: str, key: str) -> None:
    vector = index()["releases"][name]
    found = _opened(name, key)
    assert {number.hex(): one.names for number, one in found.items() if one.names} == vector["names"][key]


def test_what_is_signed_anew_opens(tmp_path: Path) -> None:
    """The positive control: it is not the signing that is refused."""
    found = release.open_release(applied(control("sealed", "alice"), tmp_path), _key("alice"), _owner("owner"))
    expected = index()["releases"]["sealed"]["opens"]["alice"]
    assert {number.hex(): _seen(one) for number, one in found.items()} == expected


def _sampled() -> list[Any]:
    """Every fifth by default, the whole under slow; medveil itself is asked for all of them in test_vectors.py."""
    return [
        pytest.param(one, marks=[] if number % 5 == 0 else [pytest.mark.slow], id=one.title)
        for number, one in enumerate(failures())
    ]


@pytest.mark.parametrize("failure", _sampled())
def test_a_changed_release_is_refused(failure: Failure, tmp_path: Path) -> None:
    changed = applied(failure, tmp_path)
    expected = {"integrity": RefusedError, "key": RefusedError, "format": OtherFormatError}[failure.expect]
    with pytest.raises(expected):
        release.open_release(changed, _key(failure.key), _owner(failure.owner))
