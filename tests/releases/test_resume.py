"""A killed `share` leaves nothing half written, continues where it stopped, and never uses a key and salt twice."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image as Picture
from tests.pictures import picture
from tests.releases import forgery
from tests.releases.looks import ring_of

from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError, TargetExistsError
from medveil.files import atomic, canonical
from medveil.keys.wrapping import wrap
from medveil.releases import rotating
from medveil.releases.granting import Request, grant
from medveil.releases.packages.package import Package, parse_header
from medveil.releases.packages.packing import PackingPlan, entry_of, pack_attachment
from medveil.releases.packages.unpacking import open_identity
from medveil.releases.records import state as states
from medveil.releases.release import Release
from medveil.releases.sharing import share
from medveil.releases.verifying import verify
from medveil.releases.writing import inputs
from medveil.releases.writing.staging import stamp_of


class Killed(BaseException):
    """Stands for a kill: nothing in the library may catch it."""


@pytest.fixture
def killed_after(monkeypatch):
    """Let the n-th package write be the last."""

    def arm(count):
        real, written = inputs.write_bytes, []

        def write(path, data, **options):
            if path.suffix == ".mveil":
                if len(written) == count:
                    raise Killed
                written.append(path)
            real(path, data, **options)

        monkeypatch.setattr(inputs, "write_bytes", write)
        return lambda: monkeypatch.setattr(inputs, "write_bytes", real)

    return arm


def salts(folder):
    headers = [parse_header(path.read_bytes())[0] for path in (folder / "packages").rglob("*.mveil")]
    return [(header.package, header.salt) for header in headers]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_killed_share_continues(tmp_path, pictures, settings, people, killed_after, count):
    out, staging = tmp_path / "release", tmp_path / "release.partial"
    revive = killed_after(count)
    with pytest.raises(Killed):
        share([pictures], out, settings, owner=people["owner"])
    assert not out.exists()
    before = salts(staging)
    assert len(before) == count
    revive()
    result = share([pictures], out, settings, owner=people["owner"])
    assert (result.done, result.unchanged) == (3 - count, count)
    assert set(before) <= set(salts(out))
    assert not staging.exists()
    assert verify(out).packages == 3


def test_a_killed_add_leaves_the_old_release_whole(tmp_path, pictures, settings, people, release, killed_after):
    for number in (7, 8):
        Picture.fromarray(picture(number)).save(pictures / f"new{number}.png")
    adding = dataclasses.replace(settings, add=True)
    revive = killed_after(1)
    with pytest.raises(Killed):
        share([pictures], release, adding, owner=people["owner"])
    assert verify(release).packages == 3
    revive()
    assert share([pictures], release, adding, owner=people["owner"]).done == 1
    assert verify(release).packages == 5


@pytest.mark.parametrize("moment", ["announced", "packages", "entry", "manifest"])
def test_an_add_cut_short_while_switching_is_repaired(
    tmp_path, pictures, settings, people, release, monkeypatch, moment
):
    Picture.fromarray(picture(7)).save(pictures / "new.png")
    adding = dataclasses.replace(settings, add=True)
    ends = {"announced": "manifest.cbor.next", "entry": "00000001.cbor", "manifest": "manifest.cbor"}
    real = {name: getattr(os, name) for name in ("replace", "link")}

    def dying(name):
        def call(source, target):
            text = str(target)
            inside = "release.partial" not in text
            if inside and (text.endswith(ends.get(moment, ".mveil")) or (moment == "packages" and ".mveil" in text)):
                raise Killed
            real[name](source, target)

        return call

    for name in real:
        monkeypatch.setattr(os, name, dying(name))
    with pytest.raises(Killed):
        share([pictures], release, adding, owner=people["owner"])
    for name, function in real.items():
        monkeypatch.setattr(os, name, function)
    assert verify(release).packages == (4 if moment == "manifest" else 3)
    share([pictures], release, adding, owner=people["owner"])
    assert verify(release).packages == 4
    assert verify(release).leftovers == 0
    assert len(list(Release(release).open(people["alice"]))) == 4


def test_no_key_and_salt_ever_repeat(tmp_path, pictures, settings, people):
    seen = []
    for number in range(3):
        share([pictures], tmp_path / f"release{number}", settings, owner=people["owner"])
        seen += salts(tmp_path / f"release{number}")
    assert len({salt for _, salt in seen}) == len({package for package, _ in seen}) == len(seen) == 9


def test_an_unfinished_share_with_other_settings_is_refused(tmp_path, pictures, settings, people, killed_after):
    revive = killed_after(1)
    with pytest.raises(Killed):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    revive()
    other = dataclasses.replace(settings, protection="encrypted")
    with pytest.raises(TargetExistsError, match="other settings"):
        share([pictures], tmp_path / "release", other, owner=people["owner"])


def test_a_torn_package_in_the_staging_folder_is_done_anew(tmp_path, pictures, settings, people, killed_after):
    revive = killed_after(2)
    with pytest.raises(Killed):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    revive()
    torn = sorted((tmp_path / "release.partial/packages").rglob("*.mveil"))[0]
    torn.write_bytes(torn.read_bytes()[:50])
    assert share([pictures], tmp_path / "release", settings, owner=people["owner"]).unchanged == 1
    assert verify(tmp_path / "release").packages == 3


def test_a_full_disk_is_one_clear_error(tmp_path, pictures, settings, people, monkeypatch):
    def full(path, data, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(inputs, "write_bytes", full)
    with pytest.raises(MedveilError, match="No space left"):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert not (tmp_path / "release").exists()
    monkeypatch.setattr(inputs, "write_bytes", atomic.write_bytes)
    assert share([pictures], tmp_path / "release", settings, owner=people["owner"]).done == 3


def test_a_book_that_somebody_else_wrote_is_refused(tmp_path, pictures, settings, people, killed_after):
    """Whoever can write to the storage can wrap a book for the owner; she must not use its keys."""
    revive = killed_after(1)
    with pytest.raises(Killed):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    revive()
    draft = tmp_path / "release.partial" / "owner.age"
    body = people["owner"].unwrap(draft.read_bytes())
    payload, _ = canonical.loads(body, what="book")
    theirs = people["mallory"].sign(b"medveil/v1/draft", payload)
    for forged in (body[:-3] + b"\x00\x01\x02", canonical.dumps([payload, theirs]), canonical.dumps([b"", b""]), b"x"):
        draft.write_bytes(wrap(forged, people["owner"].recipient))
        with pytest.raises(NoFittingKeyError, match="or its notes were changed"):
            share([pictures], tmp_path / "release", settings, owner=people["owner"])
    draft.write_bytes(wrap(body, people["owner"].recipient))
    assert share([pictures], tmp_path / "release", settings, owner=people["owner"]).done == 2


def test_an_unfinished_share_is_its_owners(tmp_path, pictures, settings, people, killed_after):
    revive = killed_after(1)
    with pytest.raises(Killed):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    revive()
    with pytest.raises(NoFittingKeyError, match="did not begin"):
        share([pictures], tmp_path / "release", settings, owner=people["mallory"])


def test_notes_that_somebody_else_wrote_are_refused(tmp_path, pictures, settings, people, release, monkeypatch):
    """In a finished release the book lies in the ledger, which only its owners sign; and only they have its key."""
    (path,) = forgery.entry_paths(release)
    fields = forgery.read_entry(path)
    assert share([pictures], release, settings, owner=people["owner"]).unchanged == 3
    forgery.write_entry(path, fields, people["mallory"])
    with pytest.raises(IntegrityError, match="not signed by an owner"):
        share([pictures], release, settings, owner=people["owner"])
    forgery.write_entry(path, fields | {"notes": fields["notes"][:-1] + b"\x00"}, people["owner"])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nothing-seen-yet"))
    with pytest.raises(IntegrityError):
        share([pictures], release, settings, owner=people["owner"])


@pytest.mark.slow  # tests/releases/test_crash.py kills at a sample of moments by default
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_kill_minus_nine_at_any_moment(tmp_path, pictures, people):
    """The real thing: a process killed with SIGKILL at growing delays; each time the next run finishes the work."""
    for number in range(7):
        Picture.fromarray(picture(number, 160, 160)).save(pictures / f"more{number}.png")
    script = (
        "import sys; from pathlib import Path\n"
        "from medveil.keys.identity import Identity\n"
        "from medveil.releases.settings import ShareSettings\n"
        "from medveil.releases.sharing import share\n"
        "owner = Identity.load(Path(sys.argv[1]))\n"
        "share([Path(sys.argv[2])], Path(sys.argv[3]), ShareSettings(jobs=1), owner=owner)\n"
    )
    from medveil.keys.identity import generate

    generate(tmp_path / "o.key")
    command = [sys.executable, "-c", script, str(tmp_path / "o.key"), str(pictures), str(tmp_path / "release")]
    for delay in (0.3, 0.5, 0.6, 0.7):
        process = subprocess.Popen(command)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "release").exists():
            verify(tmp_path / "release")
    subprocess.run(command, check=True)
    assert verify(tmp_path / "release").packages == 10
    assert len({salt for _, salt in salts(tmp_path / "release")}) == 10


def test_a_staged_package_that_a_recipient_made_is_thrown_away(
    tmp_path, pictures, settings, people, release, killed_after
):
    """Ida sees identity, so she can seal packages; with write access to the storage she must not have them signed."""
    for number in (7, 8):
        Picture.fromarray(picture(number)).save(pictures / f"new{number}.png")
    adding = dataclasses.replace(settings, add=True)
    revive = killed_after(1)
    with pytest.raises(Killed):
        share([pictures], release, adding, owner=people["owner"])
    revive()
    (path,) = (tmp_path / "release.partial/packages").rglob("*.mveil")
    ring, state = ring_of(release, people["ida"]), states.load(release)
    origin, _ = open_identity(Package.from_bytes(path.read_bytes()), ring)
    manifest = state.manifest
    plan = PackingPlan(
        manifest.release, manifest.epoch, manifest.level, manifest.profile, manifest.tiers, manifest.grids,
        False, bytes(32), ring, bytes(32),
    )  # fmt: skip
    forged = pack_attachment(b"a forged finding", origin, plan)
    place = path.parents[1] / entry_of(forged, ring).path.removeprefix("packages/")
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(forged.to_bytes())
    stamp_of(place).write_bytes(stamp_of(path).read_bytes())
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    attaching = dataclasses.replace(adding, attach=(pictures,))
    result = share([pictures], release, attaching, owner=people["owner"])
    assert (result.done, result.failed) == (7, [])
    named = {entry.path for entry in states.load(release).manifest.packages}
    assert f"packages/{place.parent.name}/{place.name}" not in named
    assert verify(release).packages == 10
    assert not (tmp_path / "release.partial").exists()


def test_no_stamp_gets_into_a_release(tmp_path, pictures, settings, people, killed_after):
    revive = killed_after(2)
    with pytest.raises(Killed):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert len(list((tmp_path / "release.partial").rglob("*.mac"))) in (1, 2)
    revive()
    share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert not list((tmp_path / "release").rglob("*.mac"))


def test_notes_of_one_release_never_serve_for_another(tmp_path, pictures, settings, people, killed_after):
    """Put into another staging folder they would give two releases the same keys: a grant of one opens the other."""
    revive = killed_after(1)
    for name in ("one", "two"):
        with pytest.raises(Killed):
            share([pictures], tmp_path / name, settings, owner=people["owner"])
    revive()
    old = (tmp_path / "one.partial/owner.age").read_bytes()
    own = (tmp_path / "two.partial/owner.age").read_bytes()
    (tmp_path / "two.partial/owner.age").write_bytes(old)
    with pytest.raises(IntegrityError, match="another output"):
        share([pictures], tmp_path / "two", settings, owner=people["owner"])
    (tmp_path / "two.partial/owner.age").write_bytes(own)
    assert share([pictures], tmp_path / "two", settings, owner=people["owner"]).failed == []
    share([pictures], tmp_path / "one", settings, owner=people["owner"])
    (tmp_path / "one").rename(tmp_path / "sent")
    revive = killed_after(0)
    with pytest.raises(Killed):
        share([pictures], tmp_path / "one", settings, owner=people["owner"])
    revive()
    (tmp_path / "one.partial/owner.age").write_bytes(old)
    with pytest.raises(IntegrityError, match="finished already"):
        share([pictures], tmp_path / "one", settings, owner=people["owner"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a named pipe")
def test_a_pipe_among_staged_packages_holds_nobody_up(tmp_path, pictures, settings, people, killed_after):
    revive = killed_after(1)
    with pytest.raises(Killed):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    revive()
    (path,) = (tmp_path / "release.partial/packages").rglob("*.mveil")
    for name in (path, stamp_of(path)):
        name.unlink(missing_ok=True)
        os.mkfifo(name)
    assert share([pictures], tmp_path / "release", settings, owner=people["owner"]).done == 3


def test_what_a_killed_rotate_staged_is_cleared_by_the_next_command(tmp_path, release, people, monkeypatch):
    real, written = rotating.write_bytes, []

    def write(path, data, **options):
        if written:
            raise Killed
        written.append(path)
        real(path, data, **options)

    monkeypatch.setattr(rotating, "write_bytes", write)
    with pytest.raises(Killed):
        rotating.rotate(release, people["owner"], jobs=1)
    assert written[0].exists()
    grant(release, Request((people["deputy"].recipient,), {}), people["owner"])
    assert not (tmp_path / "release.partial").exists()
    assert verify(release).packages == 3
