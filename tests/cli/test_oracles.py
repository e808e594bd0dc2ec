"""What a stranger's release can ask of a secret key: nothing. Whatever fails, and however far it came, one answer.

The stranger founds a release and names, as a grant, whatever bytes she likes: a changed copy of somebody else's grant
to the same key, or a file of her own making. `open` puts the victim's key to work on it and says how it went.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from PIL import Image
from tests.cli.shell import Done, run
from tests.keys.conftest import PASSPHRASE, certificate_of, pem_of, ssh_of, ssh_public_of
from tests.pictures import picture
from tests.releases import forgery
from tests.releases.looks import snapshot

from medveil.files import canonical
from medveil.keys import openers
from medveil.keys.grants import CONTEXT, Grant
from medveil.keys.identity import Identity
from medveil.keys.openers import Opener, load_opener
from medveil.keys.recipients import Recipient, Wrap
from medveil.keys.tiers import EpochKeys, Section, Tier
from medveil.keys.wrapping import wrap
from medveil.releases.packages.package import Package
from medveil.releases.records import state as states

_BLOCK = 16
_PADDED = 352  # length of a grant's content in a CMS file, and of its ciphertext at the end of the file
_SAMPLE = (
    "garbage", "a filler that is none", "signed for another release", "alice's grant", "no such file",
    "alice's grant, changed at its end", "padding that fits", "padding that does not", "block 3, right guess",
)  # fmt: skip
_KINDS = [
    *(pytest.param(kind, _SAMPLE, id=kind.value) for kind in Wrap),
    *(pytest.param(kind, None, id=f"{kind.value}-whole", marks=pytest.mark.slow) for kind in Wrap),
]
_FILES = {
    Wrap.X25519: "classic",
    Wrap.HYBRID: "hybrid",
    Wrap.SSH_ED25519: "ed",
    Wrap.SSH_RSA: "rsa",
    Wrap.CMS_RSA: "card",
}


@dataclass(frozen=True)
class Stage:
    """A folder with keys of every kind, alice's release for all of them and mallory's, which is for nobody."""

    folder: Path
    openers: dict[Path, Opener] = field(default_factory=dict)

    def key(self, kind: Wrap) -> Path:
        return self.folder / f"{_FILES[kind]}.key"

    def opener(self, path: Path) -> Opener:
        if path not in self.openers:
            self.openers[path] = load_opener(path)
        return self.openers[path]

    def recipient(self, kind: Wrap) -> Recipient:
        return Recipient.load(self.folder / f"{_FILES[kind]}.pub")

    def mallory(self) -> Identity:
        return Identity.load(self.folder / "mallory.key")

    def public_grant(self, kind: Wrap) -> bytes:
        """Alice's grant to the victim: everybody has it, and it opens for the victim."""
        for file in states.load(self.folder / "alices").ledger.grants:
            data = (self.folder / "alices" / file.path).read_bytes()
            if file.wrap is kind and _opens(self.opener(self.key(kind)), data):
                return data
        raise AssertionError("alice's release has no such grant")


def _opens(opener: Opener, data: bytes) -> bytes:
    try:
        return opener.unwrap(data)
    except Exception:  # noqa: BLE001 - for somebody else
        return b""


@pytest.fixture
def loaded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key file is read once a session: that takes much of a second for RSA, and nothing here depends on it."""
    monkeypatch.setattr(openers, "load_opener", lambda path, *, ask=None: stage.opener(path))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("stage")
    Image.fromarray(picture(0)).save(folder / "a.png")
    small, large = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 3072)
    secrets = {
        "ed": (ssh_of(small), ssh_public_of(small).encode()),
        "rsa": (ssh_of(large), ssh_public_of(large).encode()),
        "card": (pem_of(large) + certificate_of(large), certificate_of(large)),
    }
    for name, (secret, public) in secrets.items():
        (folder / f"{name}.key").write_bytes(secret)
        (folder / f"{name}.key").chmod(0o600)
        (folder / f"{name}.pub").write_bytes(public)
    for name in ("alice", "mallory", "hybrid"):
        assert run("keygen", "-o", folder / f"{name}.key", "-q").code == 0
    assert run("keygen", "--classical", "-o", folder / "classic.key", "-q").code == 0
    everybody = [word for name in _FILES.values() for word in ("--to", folder / f"{name}.pub")]
    allowed = ("--allow-classical", "--allow-certificates", "-j", 1, "-q")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        alice = ("-i", folder / "alice.key", "-o", folder / "alices", *allowed)
        assert run("share", folder / "a.png", *everybody, *alice).code == 0
        mallory = ("-i", folder / "mallory.key", "-o", folder / "mallorys", *allowed)
        assert run("share", folder / "a.png", *mallory).code == 0
        granting = ("-i", folder / "mallory.key", "-o", folder / "granting", *allowed)
        assert run("share", folder / "a.png", *everybody, *granting).code == 0
    return Stage(folder)


def founded(stage: Stage, target: Path, kind: Wrap, data: bytes, source: str = "mallorys") -> None:
    """Mallory's release with these bytes as a further grant, signed and sound in every record."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(stage.folder / source, target)
    (target / "grants" / f"{(b'g' * 16).hex()}{kind.suffix}").write_bytes(data)
    first = forgery.read_entry(forgery.entry_paths(target)[0])
    granted = [*first["granted"], [b"g" * 16, kind.value, hashlib.sha256(data).digest()]]
    forgery.change_entry(target, stage.mallory(), 0, granted=sorted(granted))


def _grant(stage: Stage, release: bytes, grant_id: bytes = b"g" * 16) -> Grant:
    keys = EpochKeys(Tier.EXACT, b"k" * 32, b"i" * 32)
    return Grant(release, 0, grant_id, keys, b"u" * 32)


def _contents(stage: Stage, recipient: Recipient) -> Iterator[tuple[str, bytes]]:
    """What mallory can put into a file that the victim's key opens: nothing of it is a grant of her release."""
    mallory, release = stage.mallory(), states.load(stage.folder / "mallorys").manifest.release

    def signed(payload: bytes, filler: bytes = b"") -> bytes:
        return canonical.dumps([payload, mallory.sign(CONTEXT, payload), filler])

    payload = _grant(stage, release).payload(recipient.digest)
    yield "nothing", b""
    yield "garbage", bytes(range(256)) * 2
    yield "no canonical CBOR", b"\x9f\x18\x01\xff"
    yield "CBOR that goes on", signed(payload) + b"\x00"
    yield "another frame", canonical.dumps([payload])
    yield "text in the frame", canonical.dumps(["a", "b", "c"])
    yield "no signature", canonical.dumps([payload, bytes(64), b""])
    yield "a short signature", canonical.dumps([payload, b"s", b""])
    yield "a filler that is none", signed(payload, b"\x01")
    yield "a signed payload of garbage", signed(b"\xff" * 99)
    yield "signed for somebody else", signed(_grant(stage, release).payload(bytes(32)))
    yield "signed for another release", signed(_grant(stage, bytes(16)).payload(recipient.digest))
    yield "signed as another grant", signed(_grant(stage, release, bytes(16)).payload(recipient.digest))
    fields = canonical.loads(payload, what="grant")
    yield "a key of another length", signed(canonical.dumps([fields[0], [b"k" * 31, *fields[1][1:]], *fields[2:]]))
    yield "an epoch out of range", signed(canonical.dumps([[fields[0][0], 1 << 40, *fields[0][2:]], *fields[1:]]))
    yield "deeper than anything", signed(b"\x81" * 500 + b"\x80")


def _files(stage: Stage, kind: Wrap, sample: tuple[str, ...] | None) -> list[tuple[str, bytes]]:
    """Files to name as a grant for a key of this kind: all, or those of the sample."""
    return [(what, data) for what, data in _every_file(stage, kind) if sample is None or what in sample]


def _every_file(stage: Stage, kind: Wrap) -> Iterator[tuple[str, bytes]]:
    public, recipient = stage.public_grant(kind), stage.recipient(kind)
    for what, content in _contents(stage, recipient):
        yield what, wrap(content, recipient)
    yield "alice's grant", public
    yield "alice's grant, longer", public + bytes(_BLOCK)
    yield "alice's grant, shorter", public[:-1]
    yield "alice's grant without its last block", public[:-_BLOCK]
    yield "alice's grant, changed at its end", public[:-1] + bytes([public[-1] ^ 1])
    yield "alice's grant, changed in its middle", _xored(public, len(public) // 2, 1)
    yield "no such file", b"junk"
    yield "an empty file", b""
    if kind is Wrap.CMS_RSA:
        yield from _changed_blocks(stage, public)


def _changed_blocks(stage: Stage, public: bytes) -> Iterator[tuple[str, bytes]]:
    """The padding oracle (Vaudenay 2002): a block of the secret last, and before it a guess of its last byte."""
    plain = _opens(stage.opener(stage.key(Wrap.CMS_RSA)), public)
    assert len(plain) + 8 == _PADDED
    last = len(public) - _PADDED  # of the ciphertext's first byte
    yield "padding that fits", _xored(public, len(public) - _BLOCK - 1, 8 ^ 1)
    yield "padding that does not", _xored(public, len(public) - _BLOCK - 1, 8)
    for number in (3, 7):  # blocks with keys in them
        target = public[last + number * _BLOCK : last + (number + 1) * _BLOCK]
        before = public[last + (number - 1) * _BLOCK : last + number * _BLOCK]
        guess = before[-1] ^ plain[number * _BLOCK + _BLOCK - 1] ^ 1
        for what, byte in (("right", guess), ("wrong", guess ^ 0x80)):
            forged = public[: -2 * _BLOCK] + bytes([*before[:-1], byte]) + target
            yield f"block {number}, {what} guess", forged


def _xored(data: bytes, at: int, by: int) -> bytes:
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def _told(done: Done) -> tuple[int, str, str]:
    """What a command said; its time alone may differ."""
    return done.code, re.sub(r'"seconds": [0-9.]+', '"seconds": 0', done.out), done.err


def _roads(stage: Stage, key: Path) -> dict[str, Callable[[], Done]]:
    """Every command that puts a key to work on the grants of a release that it does not own."""
    known = ("--owner", stage.folder / "mallory.pub")
    common = ("release", "-i", key, *known)
    return {
        "open": lambda: run("open", *common, "-o", "opened"),
        "open --json": lambda: run("open", *common, "-o", "opened", "--json"),
        "open --dry-run": lambda: run("open", *common, "-o", "opened", "--dry-run"),
        "list": lambda: run("list", *common, "--json"),
    }


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(("kind", "sample"), _KINDS)
def test_every_failure_to_unwrap_is_told_alike(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Wrap, sample: tuple[str, ...] | None
) -> None:
    monkeypatch.chdir(tmp_path)
    told: dict[str, dict[tuple[int, str, str], list[str]]] = {}
    for what, data in _files(stage, kind, sample):
        founded(stage, tmp_path / "release", kind, data)
        before = snapshot(tmp_path)
        for road, command in _roads(stage, stage.key(kind)).items():
            if road == "open --json" or what in _SAMPLE[2:4] + _SAMPLE[6:8]:
                told.setdefault(road, {}).setdefault(_told(command()), []).append(what)
        assert snapshot(tmp_path) == before
        assert not any(path.is_file() for path in Path(os.environ["XDG_STATE_HOME"]).rglob("*"))
    for road, answers in told.items():
        assert [code for code, _, _ in answers] == [10], (road, answers)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(("kind", "sample"), _KINDS)
def test_a_grant_beside_one_that_opens_is_not_told_of(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Wrap, sample: tuple[str, ...] | None
) -> None:
    """The victim was granted mallory's release; a second grant asks the question."""
    monkeypatch.chdir(tmp_path)
    told: dict[tuple[int, str, str], list[str]] = {}
    for number, (what, data) in enumerate(_files(stage, kind, sample)):
        founded(stage, tmp_path / "release", kind, data, "granting")
        shutil.rmtree(tmp_path / "opened", ignore_errors=True)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state {number}"))
        done = run(
            "open", "release", "-i", stage.key(kind), "--owner", stage.folder / "mallory.pub", "-o", "opened",
            "-j", 1, "--json",
        )  # fmt: skip
        told.setdefault(_told(done), []).append(what)
    assert [code for code, _, _ in told] == [0], told


def _named_as_deputy(stage: Stage, target: Path, kind: Wrap, *, at: int | None = None) -> None:
    """Alice's release as one that mallory founded, with alice as a deputy: her grants are there byte for byte.

    Args:
        stage, target: where from and where to.
        kind: the kind of key that the only grant left is for.
        at: the byte of the sealed code, counted from its beginning, of which a bit is changed.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(stage.folder / "alices", target)
    mallory, fields = stage.mallory(), forgery.read_manifest(target)
    entry = states.load(target).manifest.packages[0]
    data = (target / entry.path).read_bytes()
    if at is not None:
        code = Package.from_bytes(data).sections[Section.CODE]
        data = _xored(data, data.index(code) + at, 1)
    (target / entry.path).write_bytes(data)
    record = canonical.dumps(fields | {"owner": mallory.recipient.verify_key})
    record = record.replace(entry.sha256, hashlib.sha256(data).digest())
    first = forgery.read_entry(forgery.entry_paths(target)[0])
    granted = [each for each in first["granted"] if each[1] == kind.value]
    for name in [g.path for g in states.load(target).ledger.grants if g.wrap is not kind]:
        (target / name).unlink()
    owners = [mallory.recipient.verify_key, Identity.load(stage.folder / "alice.key").recipient.verify_key]
    forgery.change_entry(target, mallory, 0, owners=owners, granted=granted)
    forgery.write_manifest(target, record, mallory)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("kind", [Wrap.X25519, pytest.param(Wrap.HYBRID, marks=pytest.mark.slow)])
def test_a_deputy_whom_a_stranger_names_grants_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Wrap
) -> None:
    """A sealed code says nothing against a changed bit: what `open` made of it would tell of alice's image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    code = next((stage.folder / "alices" / "packages").rglob("*.mveil")).read_bytes()
    length = len(Package.from_bytes(code).sections[Section.CODE])
    told: dict[str, dict[tuple[int, str, str], list[str]]] = {}
    for look, changes in (("first", (None, 0, length // 2, length * 3 // 4)), ("seen", (None, length * 3 // 4))):
        for at in changes:
            _named_as_deputy(stage, tmp_path / "release", kind, at=at)
            if look == "seen":
                assert run("verify", "release").code == 0
            for road, what in (("list", ("--json",)), ("open", ("-o", "opened", "--json")), ("open", ("-o", "opened"))):
                answer = _told(run(road, "release", "-i", stage.key(kind), *what))
                told.setdefault(" ".join((road, *what)), {}).setdefault(answer, []).append(f"{look} {at}")
            run("forget", "release")
    founded(stage, tmp_path / "release", kind, b"junk")
    junk = _told(run("open", "release", "-i", stage.key(kind), "-o", "opened"))
    assert list(told["open -o opened"]) == [junk]
    for road, answers in told.items():
        assert [number for number, _, _ in answers] == [10], (road, answers)
    assert not (tmp_path / "opened").exists()


@pytest.mark.usefixtures("loaded")
def test_a_deputys_grant_opens_where_somebody_vouches_for_the_founder(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    alice, deputy, bob = stage.folder / "alice.key", stage.folder / "hybrid.key", stage.folder / "classic.key"
    named = ("--owner", stage.folder / "alice.pub")
    new = ("-o", "release", "-i", alice, "--also-owner", stage.folder / "hybrid.pub", "-j", 1, "-q")
    assert run("share", stage.folder / "a.png", *new).code == 0
    granting = ("--to", stage.folder / "classic.pub", "--allow-classical", *named)
    assert run("grant", "release", *granting, "-i", deputy, "-q").code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    assert run("verify", "release").code == 0
    done = run("open", "release", "-i", bob, "-o", "a")
    assert done.code == 10
    assert "if a deputy granted it, name the founder with --owner" in done.err
    assert run("open", "release", "-i", bob, "-o", "a", *named).code == 0
    assert run("open", "release", "-i", bob, "-o", "b").code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a third machine"))
    assert run("open", "release", "-i", deputy, "-o", "c").code == 0  # the founder granted it
    assert run("rotate", "release", "-i", deputy, "--first-look", "-q", *named).code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a fourth machine"))
    assert run("open", "release", "-i", deputy, "-o", "d").code == 10
    assert run("open", "release", "-i", alice, "-o", "d").code == 0  # she founded it


@pytest.mark.usefixtures("loaded")
def test_a_deputys_grant_that_does_not_count_beside_one_that_opens_is_told_to_everybody(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever it is for: that deputies granted something, everybody can see."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    founder, named = stage.folder / "alice.key", ("--owner", stage.folder / "alice.pub")
    for name in ("other", "third"):
        assert run("keygen", "--classical", "-o", f"{name}.key", "-q").code == 0
    new = ("-o", "release", "--to", stage.folder / "classic.pub", "--to", "other.pub", "--also-owner")
    allowed = (stage.folder / "hybrid.pub", "--allow-classical", "-i", founder, "-j", 1, "-q")
    assert run("share", stage.folder / "a.png", *new, *allowed).code == 0
    granting = ("--to", "third.pub", "--allow-classical", *named)
    assert run("grant", "release", *granting, "-i", stage.folder / "hybrid.key", "-q").code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    told = set()
    for number, key in enumerate((stage.folder / "classic.key", "other.key")):
        done = run("open", "release", "-i", key, "-o", str(number))
        assert done.code == 0
        assert "grants that a deputy made count only where the founder is named with --owner" in done.err
        told.add(done.err)
        run("forget", "release")
    assert len(told) == 1
    assert "deputy" not in run("open", "release", "-i", "other.key", "-o", "named", *named).err


@pytest.mark.parametrize(
    "road",
    [
        "open", "open --json", "open --dry-run", "list", pytest.param("audit", marks=pytest.mark.slow), "dataset",
        "Release.open", "owner_ring", "open_release",
    ],
)  # fmt: skip
def test_the_key_of_a_certificate_is_not_read_for_a_stranger(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, road: str
) -> None:
    """It is under a passphrase that nobody gives: who asked for it would say so, and end with 10."""
    from medveil.audit.targets.keyed import owner_ring
    from medveil.errors import RefusedError
    from medveil.releases.opening import open_release
    from medveil.releases.release import Release

    monkeypatch.chdir(tmp_path)
    key = tmp_path / "card.pem"
    locked = load_opener(stage.key(Wrap.CMS_RSA)).private
    key.write_bytes(pem_of(locked, PASSPHRASE) + (stage.folder / "card.pub").read_bytes())
    key.chmod(0o600)
    shutil.copytree(stage.folder / "granting", "release")
    common = ("release", "-i", key)
    calls: dict[str, Callable[[], object]] = {
        "dataset": lambda: Release("release").dataset(key),
        "Release.open": lambda: list(Release("release").open(load_opener(key))),
        "owner_ring": lambda: owner_ring(Release("release"), load_opener(key)),
        "open_release": lambda: open_release(Path("release"), Path("opened"), identity=load_opener(key)),
    }
    if road in calls:
        with pytest.raises(RefusedError):
            calls[road]()
        return
    done = {
        "open": lambda: run("open", *common, "-o", "opened"),
        "open --json": lambda: run("open", *common, "-o", "opened", "--json"),
        "open --dry-run": lambda: run("open", *common, "-o", "opened", "--dry-run"),
        "list": lambda: run("list", *common),
        "audit": lambda: run("audit", *common, "--originals", stage.folder, "-o", "audit", "--attacks", "none"),
    }[road]()
    assert done.code == 14, done.err
    assert "name the owner with --owner" in done.err
    assert not (tmp_path / "opened").exists()


@pytest.mark.usefixtures("loaded")
def test_a_look_does_not_vouch_and_an_owner_that_was_named_once_does(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stage.folder / "granting", "release")
    opening = ("open", "release", "-i", stage.key(Wrap.CMS_RSA), "-j", 1)
    assert run("verify", "release").code == 0
    assert run(*opening, "-o", "a").code == 14
    assert run(*opening, "-o", "a", "--owner", stage.folder / "mallory.pub").code == 0
    assert run(*opening, "-o", "b").code == 0
    assert run("forget", "release").out == "forgotten\n"
    assert run(*opening, "-o", "c").code == 14
    head = run("ledger", "release", "--json").json["head"]
    assert run(*opening, "-o", "c", "--head", head).code == 0
    assert run(*opening, "-o", "d").code == 0


def test_in_processes_of_their_own_too(stage: Stage, tmp_path: Path) -> None:
    """Warnings of a library would come out here."""
    told = set()
    for what, data in _changed_blocks(stage, stage.public_grant(Wrap.CMS_RSA)):
        if what.startswith("padding"):
            founded(stage, tmp_path / "release", Wrap.CMS_RSA, data)
            owner = ["--owner", str(stage.folder / "mallory.pub"), "-o", "opened"]
            done = subprocess.run(
                [sys.executable, "-m", "medveil", "open", "release", "-i", str(stage.key(Wrap.CMS_RSA)), *owner],
                cwd=tmp_path, capture_output=True, check=False,
            )  # fmt: skip
            told.add((done.returncode, done.stdout, done.stderr))
    assert [code for code, _, _ in told] == [10]
