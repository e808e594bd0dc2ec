"""Writes tests/vectors: golden releases of format 1 with their keys, and what a reader makes of them.

    python tools/make_vectors.py             # refuses where there are vectors: they are frozen
    python tools/make_vectors.py --beside    # releases that are not there yet, beside those that are
    python tools/make_vectors.py --replace   # for a format that is not frozen yet, and for nothing else

Keys that are there stay; releases and index.json are made anew. tests/vectors/README.md says what is in there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests import image_files  # noqa: E402
from tests.pictures import picture  # noqa: E402
from tests.releases import forgery  # noqa: E402
from tests.vector_releases import KEYS, RELEASES, VECTORS, key_files, names_of, open_all, seen  # noqa: E402
from tools.vector_failures import recipes, twice  # noqa: E402

from medveil.files import canonical  # noqa: E402
from medveil.keys.identity import Identity  # noqa: E402
from medveil.keys.openers import load_opener  # noqa: E402
from medveil.keys.recipients import Recipient  # noqa: E402

HOSTILE = RELEASES / "hostile"
POST_QUANTUM, CLASSICAL = ("owner", "deputy", "rival", "alice", "stranger"), ("bob", "passer")
ALL_KEYS = ("owner", "deputy", "alice", "bob", "carol", "dave", "erin", "stranger", "passer")
_PNG, _DICOM, _MORE, _DISC = "a.png", "b.dcm", "c.png", "disc.png"
_ATTACHED = "labels.csv"


def main() -> None:
    """Make all of it in a scratch folder, then put it in place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replace", action="store_true", help="make vectors anew that are there")
    parser.add_argument("--beside", action="store_true", help="make those of later versions that are not there yet")
    asked = parser.parse_args()
    if RELEASES.exists() and not asked.replace and not asked.beside:
        parser.error("the vectors are there, and frozen; a change of format makes new ones beside them")
    if asked.beside:
        make_beside()
        return
    make_keys()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _live_in(scratch / "home")
        keys = key_files(scratch)
        write_inputs(scratch)
        releases = make_releases(scratch, keys)
        _live_in(scratch / "elsewhere")  # where no release was seen before
        shutil.rmtree(RELEASES, ignore_errors=True)
        for release in releases:
            shutil.copytree(scratch / release, RELEASES / release)
        index = {"format": 1, "releases": {}, "hostile": {}}
        for release, owner in releases.items():
            index["releases"][release] = described(release, owner, keys)
        index["hostile"] = make_hostile(keys)
    write_index(index)
    size = sum(path.stat().st_size for path in (*RELEASES.rglob("*"), VECTORS / "index.json") if path.is_file())
    print(f"{len(releases)} releases, {len(index['hostile'])} hostile ones, {size / 1000:.0f} kB with the index")


def make_beside() -> None:
    """Releases with fields that came later; what is there stays as it is."""
    index = json.loads((VECTORS / "index.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _live_in(scratch / "home")
        keys = key_files(scratch)
        write_patients(scratch)
        for release in make_later_releases(scratch, keys):
            if not (RELEASES / release).exists():
                shutil.copytree(scratch / release, RELEASES / release)
                index["releases"][release] = described(release, "owner", keys, names=True)
    write_index(index)


def write_index(index: dict[str, Any]) -> None:
    """index.json."""
    text = json.dumps(index, indent=1, ensure_ascii=False) + "\n"
    (VECTORS / "index.json").write_text(text, encoding="utf-8")


def _live_in(home: Path) -> None:
    os.environ |= {key: str(home) for key in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")}


def make_keys() -> None:
    """Secret keys for tests, of every kind; those that are there stay."""
    KEYS.mkdir(parents=True, exist_ok=True)
    for name in POST_QUANTUM + CLASSICAL:
        if not (KEYS / f"{name}.key").exists():
            medveil("keygen", "-o", KEYS / f"{name}.key", *(["--classical"] if name in CLASSICAL else []))
    for name, kind in (("carol", "ed25519"), ("dave", "rsa")):
        if not (KEYS / f"{name}.key").exists():
            key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else _rsa_key()
            _write_ssh(name, key)
    if not (KEYS / "erin.key").exists():
        _write_certificate("erin", _rsa_key())


def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


def _write_ssh(name: str, key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> None:
    form = serialization.PrivateFormat.OpenSSH
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    (KEYS / f"{name}.key").write_bytes(private)
    (KEYS / f"{name}.pub").write_bytes(public + f" {name}@example\n".encode())


def _write_certificate(name: str, key: rsa.RSAPrivateKey) -> None:
    """A certificate of a thousand years: who opens looks at no dates."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name} (test)")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(3020, 1, 1))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (KEYS / f"{name}.key").write_bytes(private + certificate)
    (KEYS / f"{name}.pub").write_bytes(certificate)


def medveil(*words: object) -> None:
    """One command, which must succeed."""
    command = [sys.executable, "-m", "medveil", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")


def write_inputs(folder: Path) -> None:
    """Pictures of 40 x 56 with attributes that name somebody who is not, and a table."""
    rows, columns = np.mgrid[:40, :56]
    made = {
        _PNG: image_files.png(picture(1, 40, 56), texts=[("Author", "Zoë Example")]),
        _DICOM: image_files.dicom(picture(2, 40, 56, 12), bits_stored=12),
        _MORE: image_files.png(picture(3, 40, 56)),
        _DISC: image_files.png(np.where((rows - 20) ** 2 + (columns - 28) ** 2 < 200, 210, 20).astype(np.uint8)),
        _ATTACHED: b"file,finding\na.png,none\n",
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)


def make_releases(folder: Path, keys: Path) -> dict[str, str]:
    """Make every release in the folder: name -> owner."""
    pub = {name: keys / f"{name}.pub" for name in ALL_KEYS}

    def share(release: str, *words: object, owner: str = "owner") -> None:
        inputs = [folder / word if word in (_PNG, _DICOM, _MORE, _DISC) else word for word in words]
        medveil("share", *inputs, "-o", folder / release, "-i", keys / f"{owner}.key", "-j", 1, "--mixed-depth")

    def change(command: str, release: str, *words: object, owner: str = "owner") -> None:
        medveil(command, folder / release, *words, "-i", keys / f"{owner}.key")

    every = ("--tiers", "exact,preview")
    share("sealed", _PNG, *every, "--keep-file", "--attach", folder / _ATTACHED, "--to", f"{pub['alice']}=diagnostic",
          "--identity", pub["alice"])  # fmt: skip
    share("sealed-12-bit", _DICOM, *every, "--to", f"{pub['alice']}=exact")
    share("sealed-diagnostic", _PNG, "--quality", 36, "--to", pub["alice"])
    share("encrypted", _PNG, _DICOM, *every, "--protection", "encrypted", "--to", f"{pub['alice']}=preview")
    share("obfuscated", _PNG, _DICOM, "--protection", "obfuscated", "--to", pub["alice"])
    share(
        "jpeg-ls",
        _DISC,
        "--tiers",
        "exact",
        "--quality",
        30,
        "--protection",
        "encrypted",
        "--to",
        f"{pub['alice']}=diagnostic",
    )
    share("classical", _PNG, "--to", pub["alice"], owner="bob")
    share("recipients", _PNG, *every, "--allow-classical", "--allow-certificates",
          *(word for name, tier in _TIERS.items() for word in ("--to", f"{pub[name]}={tier}")),
          *(word for name in ("bob", "erin") for word in ("--identity", pub[name])))  # fmt: skip
    share("added", _PNG, _DICOM, "--tiers", "preview", "--to", pub["alice"], "--to", f"{pub['deputy']}=preview")
    first = sorted((folder / "added" / "packages").rglob("*.mveil"))[0].stem
    change("grant", "added", "--to", pub["bob"], "--only", first, "--until", "2031-12-24", "--allow-classical",
           "--identity", pub["bob"])  # fmt: skip
    change("revoke", "added", "--to", pub["deputy"])
    share("added", _MORE, "--add")
    shutil.copytree(folder / "added", folder / "revoked-twice")
    change("grant", "revoked-twice", "--to", f"{pub['deputy']}=preview")
    change("revoke", "revoked-twice", "--to", pub["deputy"])
    share("revoked-twice", _DISC, "--add")
    _live_in(folder / "another-home")  # where the copy that is changed now has no later state
    shutil.copytree(folder / "added", folder / "rotated")
    change("rotate", "rotated")
    shutil.copytree(folder / "rotated", folder / "rotated-added")
    change("revoke", "rotated-added", "--to", pub["bob"])
    share("rotated-added", _DISC, "--add")
    share("deputy", _PNG, "--also-owner", pub["deputy"], "--to", pub["alice"])
    change("grant", "deputy", "--to", pub["bob"], "--allow-classical", owner="deputy")
    share("deputy", _MORE, "--add", owner="deputy")
    names = [
        "sealed",
        "sealed-12-bit",
        "sealed-diagnostic",
        "encrypted",
        "obfuscated",
        "jpeg-ls",
        "recipients",
        "added",
    ]
    names += ["revoked-twice", "rotated", "rotated-added", "deputy"]
    return dict.fromkeys(names, "owner") | {"classical": "bob"}


def write_patients(folder: Path) -> None:
    """Slices of two patients, and one of a file that names none; how they were taken is in their attributes."""
    taken: dict[str, Any] = {
        "KVP": 120,
        "PatientPosition": "HFS",
        "ConvolutionKernel": "Br40d",
        "Manufacturer": "SIEMENS",
    }
    for number, patient in enumerate(("A-1", "A-1", "B-2", ""), start=1):
        data = image_files.dicom(
            picture(10 + number, 40, 56, 12), bits_stored=12, PatientID=patient, PatientName="",
            StudyInstanceUID=f"1.2.3.{min(number, 3)}", SOPInstanceUID=f"1.2.3.4.{number}", InstanceNumber=number,
            **taken,
        )  # fmt: skip
        (folder / f"slice-{number}.dcm").write_bytes(data)
    for number in (1, 2, 3):
        data = image_files.dicom(picture(20 + number, 40, 56, 12), bits_stored=12, SOPInstanceUID="1.2.3.4.9")
        (folder / f"same-{number}.dcm").write_bytes(data)


def make_later_releases(folder: Path, keys: Path) -> list[str]:
    """Releases of DICOM images that later versions made.

    With pseudonyms and how the images were taken; one that withholds the first; and one of three images with one SOP
    Instance UID, one of them added, where a recipient was granted more later.
    """
    slices = [folder / f"slice-{number}.dcm" for number in (1, 2, 3, 4)]
    owner, pub = ("-i", keys / "owner.key", "-j", 1), {name: keys / f"{name}.pub" for name in ALL_KEYS}
    to = ("--to", f"{pub['alice']}=exact", "--to", f"{pub['deputy']}=diagnostic")
    medveil("share", *slices[:3], "-o", folder / "pseudonyms", *owner, *to, "--protection", "encrypted")
    medveil("share", slices[3], "-o", folder / "pseudonyms", *owner, "--add")
    withheld = ("--to", pub["alice"], "--no-pseudonyms")
    medveil("share", slices[0], "-o", folder / "no-pseudonyms", *owner, *withheld, "--protection", "encrypted")
    same, to = [folder / f"same-{number}.dcm" for number in (1, 2, 3)], ("--to", f"{pub['deputy']}=preview")
    to += ("--to", f"{pub['alice']}=preview", "--tiers", "exact", "--protection", "encrypted")
    medveil("share", *same[:2], "-o", folder / "same-uid", *owner, *to)
    medveil("share", same[2], "-o", folder / "same-uid", *owner, "--add")
    medveil("grant", folder / "same-uid", "-i", keys / "owner.key", "--to", f"{pub['alice']}=exact")
    return ["pseudonyms", "no-pseudonyms", "same-uid"]


_TIERS = {"alice": "exact", "bob": "diagnostic", "carol": "preview", "dave": "diagnostic", "erin": "exact"}


def described(release: str, owner: str, keys: Path, *, names: bool = False) -> dict[str, Any]:
    """What the index says of a release; with `names` also the patients and UIDs that are new."""
    found: dict[str, Any] = {"owner": owner}
    recipient = Recipient.load(keys / f"{owner}.pub")
    opens = {key: _opened(RELEASES / release, keys / f"{key}.key", recipient) for key in ALL_KEYS}
    granted = {key: one for key, one in opens.items() if one != "key"}
    refused = {"stranger": "key", "passer": "key"}
    if names:
        openers = {key: load_opener(keys / f"{key}.key") for key in granted}
        named = {key: names_of(RELEASES / release, opener, recipient) for key, opener in openers.items()}
        found["names"] = {key: one for key, one in named.items() if one}
    return found | {"opens": granted | refused, "failures": list(recipes(release, owner))}


def _opened(folder: Path, key: Path, owner: Recipient) -> Any:
    from medveil.errors import NoFittingKeyError

    try:
        found = open_all(folder, load_opener(key), owner)
    except NoFittingKeyError:
        return "key"
    return {number: seen(one) for number, one in sorted(found.items())}


def make_hostile(keys: Path) -> dict[str, Any]:
    """Releases that no change of single files makes, stored as they are."""
    owner, rival = (Identity.load(keys / f"{name}.key") for name in ("owner", "rival"))
    made: dict[str, Any] = {}

    def one(name: str, folder: str, key: str = "alice", expect: str = "integrity") -> Path:
        made[f"hostile/{folder}"] = {"name": name, "owner": "owner", "key": key, "expect": expect}
        return shutil.copytree(RELEASES / "sealed-diagnostic", HOSTILE / folder)

    forgery.usurp(one("signed anew by another owner", "another-owner"), rival)
    folder = one("manifest signed by another owner", "another-signer")
    forgery.write_manifest(folder, (folder / "manifest.cbor").read_bytes(), rival)
    path = one("ledger with a key twice, signed", "duplicate-key") / "ledger/00000000.cbor"
    _write_payload(path, twice(forgery.read_entry(path), "epoch"), owner)
    path = one("ledger of a newer format, signed", "newer-format", expect="format") / "ledger/00000000.cbor"
    forgery.write_entry(path, forgery.read_entry(path) | {"format": 2}, owner)
    path = one("ledger with one more field, signed", "more-fields") / "ledger/00000000.cbor"
    forgery.write_entry(path, forgery.read_entry(path) | {"more": 0}, owner)
    path = one("ledger entry with trailing bytes", "trailing-bytes") / "ledger/00000000.cbor"
    _write_payload(path, canonical.dumps(forgery.read_entry(path)) + b"\0", owner)
    return made


def _write_payload(path: Path, payload: bytes, signer: Identity) -> None:
    path.write_bytes(canonical.dumps([payload, signer.sign(b"medveil/v1/ledger", payload)]))


if __name__ == "__main__":
    main()
