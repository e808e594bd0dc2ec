"""The vectors in tests/vectors/age-testkit, taken apart."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "age-testkit"


@dataclass(frozen=True)
class Vector:
    """One file of the testkit: what is expected, and the age file."""

    name: str
    expect: str
    payload: str  # hex of SHA-256
    file_key: bytes
    identities: tuple[str, ...]
    passphrases: tuple[str, ...]
    armored: bool
    data: bytes

    @property
    def has_one_stanza(self) -> bool:
        return self.data.partition(b"\n---")[0].count(b"\n-> ") == 1


def vector(name: str) -> Vector:
    """Read one vector."""
    header, _, data = (_FOLDER / name).read_bytes().partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in header.decode().splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    return Vector(
        name=name,
        expect=fields["expect"][0],
        payload=fields.get("payload", [""])[0],
        file_key=bytes.fromhex(fields["file key"][0]),
        identities=tuple(fields.get("identity", ())),
        passphrases=tuple(fields.get("passphrase", ())),
        armored="armored" in fields,
        data=zlib.decompress(data) if "compressed" in fields else data,
    )


def names(*prefixes: str) -> list[str]:
    """Names of the vectors that begin with one of the prefixes."""
    return sorted(path.name for path in _FOLDER.iterdir() if path.name.startswith(prefixes))
