"""grant, grants, revoke, rotate, ledger and verify --head: a session at the keyboard."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest
from tests.cli.shell import Done, run
from tests.releases.looks import snapshot

from medveil.keys import bech32
from medveil.keys.recipients import Recipient
from medveil.releases.records.owner_records import today

_HYBRID = "mlkem768x25519"


@pytest.fixture(scope="session")
def tiers_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk after sharing two pictures, of all tiers, with alice (preview) and ida (exact, with names)."""
    from PIL import Image
    from tests.pictures import picture

    folder = tmp_path_factory.mktemp("tiers")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        for name in ("owner", "deputy", "alice", "ida", "mallory"):
            assert run("keygen", "-o", f"{name}.key", "-q").code == 0
        assert run("keygen", "-o", "old.key", "--classical", "-q").code == 0
        (folder / "images").mkdir()
        for number in range(2):
            Image.fromarray(picture(number)).save(folder / "images" / f"{number}.png")
        people = ("--to", "alice.pub=preview", "--to", "ida.pub=exact", "--identity", "ida.pub")
        done = run(
            "share", "images", "-i", "owner.key", *people, "--also-owner", "deputy.pub", "-o", "release", "-j", 1
        )
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def desk(tmp_path: Path, tiers_made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This test's own copy of that desk, on the founder's machine."""
    folder = shutil.copytree(tiers_made, tmp_path / "desk", ignore=shutil.ignore_patterns("config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.chdir(folder)
    return folder


def owner(*args: object) -> tuple[object, ...]:
    return (*args, "-i", "owner.key")


def first_line(done: Done) -> str:
    return done.out.splitlines()[0]


def package() -> str:
    return str(run(*owner("list", "release", "--json")).json["packages"][0]["package"])


def test_a_session_of_an_owner(desk: Path) -> None:
    assert run("open", "release", "-i", "alice.key", "-o", "a").out == "opened 2 files (2 at tier preview); 0 failed\n"
    assert run("open", "release", "-i", "mallory.key", "-o", "m").code == 10

    granted = run(*owner("grant", "release", "--to", "mallory.pub=diagnostic"))
    assert (granted.code, first_line(granted)) == (0, "granted to 1 recipient; 0 could open it already")
    opened = run("open", "release", "-i", "mallory.key", "-o", "m")
    assert opened.out == "opened 2 files (2 at tier diagnostic); 0 failed\n"
    again = run(*owner("grant", "release", "--to", "mallory.pub=diagnostic"))
    assert first_line(again) == "granted to 0 recipients; 1 could open it already"

    listed = run(*owner("grants", "release")).out.splitlines()
    assert [line.split()[0] for line in listed] == ["-", "deputy", "alice", "ida", "mallory"]
    assert [line.split()[4] for line in listed] == ["exact", "exact", "preview", "exact", "diagnostic"]
    assert [line.split()[-1] for line in listed] == ["owner", "owner", "names", "names", "names"]

    taken = run(*owner("revoke", "release", "--to", "mallory.pub"))
    assert taken.code == 0
    assert first_line(taken) == "took out 1 recipient; packages added from now on have keys of epoch 1"
    assert "can open still" in taken.err
    assert run("open", "release", "-i", "mallory.key", "-o", "m2").code == 10
    assert run("open", "release", "-i", "alice.key", "-o", "a2").out.startswith("opened 2 files")

    told = run(*owner("rotate", "release", "--dry-run"))
    assert told.out.startswith("would give 2 packages new keys, epoch 2; 4 grants made anew; needs ")
    assert "an older state from then on" in told.err
    rotated = run(*owner("rotate", "release", "-j", 1))
    assert rotated.code == 0
    assert rotated.out.startswith("new keys for 2 packages, epoch 2; 4 grants made anew; release: ")
    assert "made before" in rotated.err
    assert run("open", "release", "-i", "ida.key", "-o", "i").out.startswith("opened 2 files (2 at tier exact)")
    assert sorted(path.name for path in (desk / "i" / "images").iterdir()) == ["0.png", "1.png"]
    assert (desk / "i/images/0.png").read_bytes()

    rows = run("ledger", "release").out.splitlines()
    assert [row.split()[2] for row in rows[:4]] == ["share", "grant", "revoke", "rotate"]
    assert rows[4].startswith("founded by key ")
    assert rows[5].startswith("deputy ")
    assert run("verify", "release", "--head", rows[6].removeprefix("head ")).code == 0
    assert not list(desk.glob("*.partial"))


def test_json_of_every_command(desk: Path) -> None:
    granted = run(*owner("grant", "release", "--to", "mallory.pub=preview", "--until", "2999-12-31", "--json")).json
    assert (granted["command"], granted["ok"], granted["done"], granted["unchanged"]) == ("grant", True, 1, 0)
    (record,) = granted["grants"]
    assert record | {"fingerprint": "", "grant": ""} == {
        "name": "mallory", "day": today(), "fingerprint": "", "wrap": _HYBRID, "tier": "preview", "identity": False,
        "owner": False, "packages": [],
        "until": "2999-12-31", "grant": "",
    }  # fmt: skip
    assert len(record["grant"]) == 32
    assert (granted["epoch"], len(granted["head"])) == (0, 64)

    listed = run(*owner("grants", "release", "--json")).json
    assert listed["done"] == 5
    assert listed["grants"][-1] == record
    assert [entry["owner"] for entry in listed["grants"]] == [True, True, False, False, False]

    taken = run(*owner("revoke", "release", "--to", "mallory.pub", "--json")).json
    assert (taken["command"], taken["done"], taken["epoch"], len(taken["head"])) == ("revoke", 1, 1, 64)

    rotated = run(*owner("rotate", "release", "-j", 1, "--json")).json
    assert (rotated["command"], rotated["done"], rotated["grants"], rotated["epoch"]) == ("rotate", 2, 4, 2)
    assert rotated["bytes"] > 1000

    ledger = run("ledger", "release", "--json").json
    assert (ledger["command"], ledger["done"], ledger["head"]) == ("ledger", 4, rotated["head"])
    assert [entry["action"] for entry in ledger["entries"]] == ["share", "grant", "revoke", "rotate"]
    assert ledger["entries"][0].keys() == {
        "number", "day", "action", "packages", "granted", "withdrawn", "epoch", "signer", "sha256",
    }  # fmt: skip
    assert ledger["entries"][-1]["sha256"] == ledger["head"]

    checked = run("verify", "release", "--json", "--head", granted["head"]).json
    assert (checked["sequence"], checked["head"], checked["leftovers"]) == (3, rotated["head"], 0)

    opened = run("open", "release", "-i", "alice.key", "-o", "a", "--json").json
    assert (opened["tiers"], opened["withheld"], opened["until"]) == ({"preview": 2}, 0, "")
    public = run("inspect", "release", "--json").json["public"]
    assert (public["tiers"], public["epoch"]) == (["exact", "diagnostic", "preview"], 2)
    assert public["weakest_wrap"] == f"{_HYBRID}, post-quantum"


def test_a_grant_of_some_packages(desk: Path) -> None:
    only = package()
    done = run(*owner("grant", "release", "--to", "mallory.pub=exact", "--only", only[:16], "--until", "2999-12-31"))
    assert done.code == 0
    assert "advisory" in done.err
    opened = run("open", "release", "-i", "mallory.key", "-o", "m")
    assert opened.out == "opened 1 file (1 at tier exact); 0 failed\n"
    assert "1 package left closed" in opened.err
    assert "end with 2999-12-31" in opened.err
    assert [path.stem for path in (desk / "m").iterdir()] == [only]
    assert "1 packages only  until 2999-12-31" in run(*owner("grants", "release")).out
    look = run("open", "release", "-i", "mallory.key", "-o", "x", "--dry-run")
    assert look.out.startswith("would open 1 package up to tier exact, without names: ")


def test_only_takes_every_word_up_to_the_next_option(desk: Path) -> None:
    ids = [entry["package"] for entry in run(*owner("list", "release", "--json")).json["packages"]]
    done = run("grant", "release", "--to", "mallory.pub=preview", "--only", *ids, "-i", "owner.key", "--json").json
    assert done["grants"][0]["packages"] == sorted(ids)


def test_open_at_a_lower_tier(desk: Path) -> None:
    done = run("open", "release", "-i", "ida.key", "-o", "low", "--tier", "preview")
    assert done.out == "opened 2 files (2 at tier preview); 0 failed\n"
    assert run("open", "release", "-i", "ida.key", "-o", "x", "--tier", "best").code == 2


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_open_at_a_tier_that_the_key_does_not_reach(desk: Path, more: tuple[str, ...]) -> None:
    done = run("open", "release", "-i", "alice.key", "-o", "x", "--tier", "exact", *more)
    assert (done.code, done.out) == (10, "")
    assert "up to tier preview, not exact" in done.err
    assert not (desk / "x").exists()
    assert run("open", "release", "-i", "ida.key", "-o", "x", "--tier", "exact", *more).code == 0


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["grant", "release", "-i", "owner.key", "--to", "mallory.pub=best"], 2, "no tier of that name"),
        (["grant", "release", "-i", "owner.key", "--to", "mallory.pub", "--only", "zz"], 2, "packages have an id"),
        (["grant", "release", "-i", "owner.key", "--to", "mallory.pub", "--until", "soon"], 2, "--until"),
        (["grant", "release", "-i", "owner.key", "--to", "ida.pub=preview"], 2, "smaller"),
        (["grant", "release", "-i", "owner.key", "--to", "old.pub"], 2, "classical"),
        (["grant", "release", "-i", "owner.key", "--to", "mallory.pub", "--identity", "ida.pub"], 2, "--identity"),
        (["grant", "release", "-i", "owner.key"], 2, "missing option '--to'"),
        (["grant", "release", "-i", "owner.key", "--to", "nobody.pub"], 10, "cannot be read"),
        (["grant", "release", "-i", "mallory.key", "--to", "mallory.pub"], 10, "another owner"),
        (["grant", "release", "-i", "ida.key", "--to", "mallory.pub"], 10, "another owner"),
        (["grants", "release", "-i", "alice.key"], 10, "another owner"),
        (["grants", "release"], 10, "no key of your own"),
        (["revoke", "release", "-i", "owner.key", "--to", "mallory.pub"], 2, "granted nothing"),
        (["revoke", "release", "-i", "owner.key", "--to", "deputy.pub"], 2, "owner cannot be taken out"),
        (["revoke", "release", "-i", "alice.key", "--to", "ida.pub"], 10, "another owner"),
        (["rotate", "release", "-i", "ida.key"], 10, "another owner"),
        (["rotate", "images", "-i", "owner.key"], 2, "not a release"),
        (["ledger", "images"], 2, "not a release"),
        (["ledger", "release", "--owner", "mallory.pub"], 11, "another owner"),
        (["ledger", "release", "--owner", "deputy.pub"], 11, "another owner"),
        (["verify", "release", "--head", "00"], 2, "--head"),
        (["verify", "release", "--head", "0" * 64], 11, "named head"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_changes_nothing(desk: Path, args: list[str], code: int, words: str) -> None:
    assert run("verify", "release").code == 0  # which remembers the path of this copy
    before = {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()}
    done = run(*args)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err
    assert {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()} == before


def test_a_tampered_ledger_stops_every_command(desk: Path) -> None:
    path = desk / "release" / "ledger" / "00000000.cbor"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for args in (
        ("verify", "release"),
        ("ledger", "release"),
        ("open", "release", "-i", "alice.key", "-o", "a"),
        owner("grants", "release"),
        owner("grant", "release", "--to", "mallory.pub"),
        owner("revoke", "release", "--to", "ida.pub"),
        owner("rotate", "release"),
    ):
        assert run(*args).code == 11


def test_an_older_copy_is_noticed_by_its_head(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree("release", "older")
    head = run(*owner("grant", "release", "--to", "mallory.pub", "--json")).json["head"]
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "another-machine"))
    assert run("verify", "older").code == 0
    assert run("verify", "older", "--head", head).code == 11
    assert run("verify", "release", "--head", head).out.startswith("verified: 2 packages")


def test_a_deputy_grants_and_the_owner_sees_it(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = ("grant", "release", "--to", "mallory.pub=preview", "-i", "deputy.key")
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "another-machine"))
    for args, wanted in (((), "--owner"), (("--owner", "owner.pub"), "--head"), (("--first-look",), "--owner")):
        refused = run(*grant, *args)
        assert (refused.code, refused.out) == (14, "")
        assert wanted in refused.err
    done = run(*grant, "--owner", "owner.pub", "--first-look")
    assert done.code == 0
    assert "this release was founded by" in done.err
    assert "you are a deputy" in done.err
    assert len(run(*owner("grants", "release")).out.splitlines()) == 5
    assert run("rotate", "release", "-i", "deputy.key", "-j", 1).code == 0
    assert run("verify", "release", "--owner", "owner.pub").out.startswith("verified")


def test_whom_to_take_out_may_be_named_as_grants_prints_them(desk: Path) -> None:
    rows = run(*owner("grants", "release", "--json")).json["grants"]
    alice, ida = rows[2], rows[3]
    listed = run(*owner("grants", "release")).out
    assert ida["grant"][:12] in listed
    (desk / "ida.pub").unlink()
    assert run(*owner("revoke", "release", "--to", ida["grant"][:12])).out.startswith("took out 1 recipient;")
    assert run(*owner("revoke", "release", "--to", alice["fingerprint"])).out.startswith("took out 1 recipient;")
    again = run(*owner("revoke", "release", "--to", "alice.pub"))
    assert again.out.startswith("took out 0 recipients; 1 taken out before;")
    assert run(*owner("revoke", "release", "--to", "zzzz")).code == 2


def test_a_whole_fingerprint_means_its_key_whoever_is_called_so(desk: Path) -> None:
    alice = run(*owner("grants", "release", "--json")).json["grants"][2]
    (desk / "mallory.pub").rename(desk / f"{alice['fingerprint']}.pub")
    assert run(*owner("grant", "release", "--to", f"{alice['fingerprint']}.pub=preview")).code == 0
    assert run(*owner("revoke", "release", "--to", alice["fingerprint"])).code == 0
    left = {grant["fingerprint"] for grant in run(*owner("grants", "release", "--json")).json["grants"]}
    assert alice["fingerprint"] not in left


def test_recipients_are_called_by_the_names_of_their_files(desk: Path) -> None:
    """Who, what and since when; names stay through a rotation, and a name that means one alone takes her out."""
    (desk / "mallory.pub").rename(desk / "Dr. Zoë Müller.pub")
    granted = run(*owner("grant", "release", "--to", "Dr. Zoë Müller.pub=diagnostic"))
    assert "  Dr. Zoë Müller  " in granted.out
    assert run(*owner("rotate", "release", "-j", 1)).code == 0
    (zoe,) = [line for line in run(*owner("grants", "release")).out.splitlines() if line.startswith("Dr. Zoë Müller  ")]
    assert f"  {_HYBRID:15}  diagnostic   since {today()}  without names" in zoe
    (desk / "two").mkdir()
    (desk / "old.pub").rename(desk / "two" / "ida.pub")
    assert run(*owner("grant", "release", "--to", "two/ida.pub=preview", "--allow-classical")).code == 0
    both = run(*owner("revoke", "release", "--to", "ida"))
    assert (both.code, both.out) == (2, "")
    assert "2 of those who were granted anything have that name" in both.err
    (desk / "ida.pub").unlink()
    assert run(*owner("revoke", "release", "--to", "Dr. Zoë Müller")).out.startswith("took out 1 recipient;")

    ledger = run(*owner("ledger", "release")).out.splitlines()
    at = {line.split()[2]: place for place, line in enumerate(ledger) if line[:6].strip().isdigit()}
    assert [line.split()[:2] for line in ledger[at["share"] + 1 :][:4]] == [
        ["to", "-"], ["to", "deputy"], ["to", "alice"], ["to", "ida"]
    ]  # fmt: skip
    out = [line for line in ledger[at["revoke"] :] if line.startswith("      out")]
    assert [line.split("  ")[-1].partition(" (")[0] for line in out] == ["Dr. Zoë Müller"]
    entries = run(*owner("ledger", "release", "--json")).json["entries"]
    assert [one["name"] for one in entries[0]["to"]] == ["", "deputy", "alice", "ida"]
    assert [one["name"] for one in entries[-1]["out"]] == ["Dr. Zoë Müller"]
    assert "alice" not in run("ledger", "release").out
    assert run("ledger", "release", "-i", "alice.key").code == 10


def test_a_name_that_steers_a_terminal_is_made_harmless(desk: Path) -> None:
    (desk / "mallory.pub").rename(desk / ("x\x1b[2J\n" + "y" * 80 + ".pub"))
    (file,) = desk.glob("x*.pub")
    assert run(*owner("grant", "release", "--to", f"{file.name}=preview")).code == 0
    (name,) = [one["name"] for one in run(*owner("grants", "release", "--json")).json["grants"] if "yy" in one["name"]]
    assert name == "x_[2J_" + "y" * 58


def test_a_certificate_that_expired_can_be_taken_out(desk: Path) -> None:
    import datetime

    from cryptography.hazmat.primitives.asymmetric import rsa
    from tests.keys.conftest import certificate_of

    from medveil.keys import certificates

    (desk / "card.pem").write_bytes(certificate_of(rsa.generate_private_key(65537, 3072)))
    allowed = ("--allow-certificates", "--allow-classical")
    assert run(*owner("grant", "release", "--to", "card.pem=preview", *allowed)).code == 0

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime(2999, 1, 1, tzinfo=tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "datetime", Later)
        assert run(*owner("grant", "release", "--to", "card.pem=exact", *allowed)).code == 10
        assert run(*owner("revoke", "release", "--to", "card.pem")).out.startswith("took out 1 recipient;")
    assert "cms-rsa" in run("inspect", "release").out  # a copy of it may be anywhere


def test_share_says_how_well_it_is_opened_and_by_whom_no_more(desk: Path) -> None:
    words = ("share", "images", "-o", "two", "--to", "alice.pub=preview", "--to", "mallory.pub", "-j", 1)
    told = run(*owner(*words)).err
    assert "up to tier preview, without names" in told
    assert "up to tier diagnostic, without names" in told
    assert run(*owner("revoke", "two", "--to", "mallory.pub")).code == 0
    again = run(*owner(*words))
    assert again.code == 0
    assert "1 of those named by --to were taken out" in again.err


def test_inspect_separates_names_and_values(desk: Path) -> None:
    lines = run("inspect", "release").out.splitlines()
    assert "tiers         exact, diagnostic, preview" in lines
    assert any(line.startswith("weakest_wrap  mlkem") for line in lines)


def test_open_into_a_place_that_cannot_be_written(desk: Path) -> None:
    (desk / "file").write_text("")
    done = run("open", "release", "-i", "alice.key", "-o", "file/below")
    assert done.code == 1
    assert "cannot be made" in done.err


def test_a_classical_key_may_be_allowed(desk: Path) -> None:
    assert run(*owner("grant", "release", "--to", "old.pub=preview", "--allow-classical")).code == 0
    assert run("open", "release", "-i", "old.key", "-o", "o").code == 0
    assert run("inspect", "release", "--json").json["public"]["weakest_wrap"] == "X25519, classical"


def test_who_was_taken_out_does_not_open_what_is_added(desk: Path) -> None:
    shutil.copytree("release", "kept")
    assert run(*owner("revoke", "release", "--to", "ida.pub")).code == 0
    shutil.copy("images/0.png", "new.png")
    added = run(*owner("share", "new.png", "-o", "release", "--add", "-j", 1))
    assert added.code == 0, added.err
    assert run("open", "release", "-i", "ida.key", "-o", "i").code == 10
    assert run("open", "release", "-i", "alice.key", "-o", "a").out == "opened 3 files (3 at tier preview); 0 failed\n"


def test_an_obfuscated_release_says_what_a_rotation_leaves(desk: Path) -> None:
    shared = ("share", "images", "-o", "obfuscated", "--protection", "obfuscated", "--to", "alice.pub", "-j", 1)
    assert run(*owner(*shared)).code == 0
    assert "stays as it was" in run(*owner("rotate", "obfuscated", "-j", 1)).err
    assert run(*owner("share", "images", "-o", "o2", "--protection", "obfuscated", "--tiers", "exact")).code == 2


_SMALL_ORDER = (1).to_bytes(32, "little")


def _ssh(kind: str, *parts: bytes) -> str:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind.encode(), *parts))
    return f"{kind} {base64.b64encode(blob).decode()}"


def _integer(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _weak_public_keys() -> dict[str, str]:
    """Public key files for which f81ef24 granted a release: what is in them everybody opens, or everybody signs."""
    mine = bech32.encode(b"\x09" + bytes(31), "age")
    signed = [base64.b64encode(part).decode() for part in (_SMALL_ORDER, _SMALL_ORDER + bytes(32))]
    return {
        "ssh": _ssh("ssh-ed25519", _SMALL_ORDER) + " alice@hospital\n",
        "verify": f"# verify-key: {signed[0]}\n# self-signature: {signed[1]}\n{mine}\n",
    }


def _granted_without_check(kind: str, monkeypatch: pytest.MonkeyPatch) -> Recipient:
    """Grant the release to such a key, as a medveil did that did not look at points."""
    Path("weak.pub").write_text(_weak_public_keys()[kind])
    assert run(*owner("grant", "release", "--to", "weak.pub", "--allow-classical")).code == 10
    with monkeypatch.context() as patch:
        for module in ("recipients", "sshkeys", "signatures"):
            patch.setattr(f"medveil.keys.{module}.check_point", lambda raw, curve: None)
        assert run(*owner("grant", "release", "--to", "weak.pub=preview", "--allow-classical")).code == 0
        return Recipient.load(Path("weak.pub"))


def _add(name: str) -> Done:
    from PIL import Image
    from tests.pictures import picture

    Image.fromarray(picture(5)).save(name)
    return run(*owner("share", name, "--add", "-o", "release", "-j", 1))


def test_nothing_is_added_that_everybody_would_open(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grant of a former medveil, for an ssh key of which everybody has the secret."""
    weak = _granted_without_check("ssh", monkeypatch)
    before = snapshot(desk / "release")
    for done in (_add("new.png"), run(*owner("rotate", "release", "-j", 1))):
        assert done.code == 14
        assert "small order" in done.err
        assert f"medveil revoke --to {weak.fingerprint}" in done.err
    assert snapshot(desk / "release") == before
    assert not any((desk / "release.partial").glob("packages/*/*"))
    assert run(*owner("grants", "release")).code == 0
    assert run(*owner("revoke", "release", "--to", weak.fingerprint)).code == 0
    assert run(*owner("rotate", "release", "-j", 1)).code == 0
    assert _add("new.png").code == 0


@pytest.mark.parametrize("kind", ["ssh", "verify"])
def test_a_weak_key_of_a_former_medveil_can_be_taken_out(
    desk: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    weak = _granted_without_check(kind, monkeypatch)
    there = run(*owner("grants", "release", "--json"))
    assert there.code == 0, there.err
    named = weak if kind == "ssh" else Recipient(weak.text)  # what such a verify key says counts for nothing
    assert named.fingerprint in {grant["fingerprint"] for grant in there.json["grants"]}
    if kind == "verify":
        assert _add("new.png").code == 0
    assert run(*owner("revoke", "release", "--to", "weak.pub")).code == 0
    assert first_line(run(*owner("revoke", "release", "--to", "weak.pub"))).startswith("took out 0 ")


_UNUSABLE = {
    "ssh-ed25519, not on the curve": _ssh("ssh-ed25519", (2).to_bytes(32, "little")),
    "ssh-rsa, even modulus": _ssh("ssh-rsa", _integer(65537), _integer(1 << 2047)),
    "ssh-rsa, long exponent": _ssh("ssh-rsa", _integer((1 << 33) + 1), _integer((1 << 2048) - 1)),
    "X25519, top bit": bech32.encode((12345 | 1 << 255).to_bytes(32, "little"), "age"),
    "X25519, not below p": bech32.encode((9 + 2**255 - 19).to_bytes(32, "little"), "age"),
}


@pytest.mark.parametrize("text", _UNUSABLE.values(), ids=_UNUSABLE)
def test_a_key_that_nothing_can_be_wrapped_for_is_refused_before_anything_is_coded(desk: Path, text: str) -> None:
    (desk / "bad.pub").write_text(f"{text}\n")
    assert run("verify", "release").code == 0  # which remembers the path of this copy
    before = snapshot(desk)
    allowed = ("--to", "bad.pub", "--allow-classical", "-j", 1)
    for command in (("share", "images", "-o", "another", *allowed), ("grant", "release", *allowed[:3])):
        done = run(*owner(*command))
        assert done.code == 10
        assert "damaged" in done.err
        if text.startswith("ssh"):
            assert Recipient.parse(text).fingerprint in done.err
    assert snapshot(desk) == before


def test_an_unfinished_share_for_such_a_key_says_so_at_once(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "bad.pub").write_text(_UNUSABLE["ssh-ed25519, not on the curve"])
    new = owner("share", "images", "-o", "another", "--to", "bad.pub", "--allow-classical", "-j", 1)
    with monkeypatch.context() as patch:
        patch.setattr("medveil.releases.sharing.check_recipient", lambda *_, **__: None)
        assert run(*new).code == 10
    before = snapshot(desk)
    done = run(*new)
    assert done.code == 14
    assert "deleting the .partial folder" in done.err
    assert snapshot(desk) == before


def test_what_this_machine_could_not_remember_is_said_loudly(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "none"))
    (desk / "none").write_bytes(b"")  # no folder can be made there
    founded = run(*owner("share", "images", "-o", "new", "-j", 1, "-q", "--json"))
    assert founded.code == 0
    changed = run(*owner("grant", "new", "--to", "mallory.pub", "--head", founded.json["head"], "-q", "--json"))
    looked = run("verify", "new", "-q", "--json")
    opened = run("open", "new", "-i", "mallory.key", "-o", "opened", "-q", "--json")
    for done in (founded, changed, looked, opened):
        assert done.code == 0
        assert "cannot remember the release" in done.json["pin_note"]
        assert done.json["pin_note"] in done.err
