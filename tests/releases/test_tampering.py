"""With a pin, `verify` finds every flipped byte and every structural change of a release, as 11 or 12, nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image as Picture
from tests.pictures import picture

from medveil.errors import FormatVersionError, IntegrityError
from medveil.keys.identity import Identity, generate
from medveil.keys.tiers import Tier
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify

SAMPLE = 41  # every so many bytes in the default suite; all of them in the slow one


class Scene:
    """A small release with a history, its earlier states, and another release of the same owner and of Mallory."""

    def __init__(self, root: Path) -> None:
        self.people = {name: generate(root / f"{name}.key") for name in ("owner", "alice", "bob", "mallory")}
        self.root = root
        for number in range(3):
            path = root / f"in{number}" / f"{number}.png"
            path.parent.mkdir()
            Picture.fromarray(picture(number)[:64, :64]).save(path)
        owner = self.people["owner"]
        self.release = self._share("release", owner, ["in0"])
        share([root / "in1"], self.release, ShareSettings(add=True, jobs=1), owner=owner)
        self.before_grant = shutil.copytree(self.release, root / "before-grant")
        grant(self.release, Request((self.people["bob"].recipient,), {}), owner)
        self.before_revoke = shutil.copytree(self.release, root / "before-revoke")
        revoke(self.release, [self.people["bob"].recipient], owner)
        self.sibling = self._share("sibling", owner, ["in2"])
        self.resigned = self._share("resigned", self.people["mallory"], ["in0", "in1"])

    def _share(self, name: str, owner: Identity, inputs: list[str]) -> Path:
        settings = ShareSettings(to=(self.people["alice"].recipient,), tiers=(Tier.PREVIEW,), jobs=1)
        share([self.root / each for each in inputs], self.root / name, settings, owner=owner)
        return self.root / name


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("tampering")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        yield Scene(root)


@pytest.fixture
def copy(tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This test's own copy, on a machine that has seen the release in its latest state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(scene.root / "state"))
    return shutil.copytree(scene.release, tmp_path / "release")


def found(release: Path) -> None:
    with pytest.raises((IntegrityError, FormatVersionError)) as caught:
        verify(release)
    assert caught.value.exit_code in (11, 12)
    assert caught.value.message


def flip_all(release: Path, step: int) -> int:
    """Flip one bit of every step-th byte of every file in turn; returns how many."""
    verify(release)
    count = 0
    for path in sorted(p for p in release.rglob("*") if p.is_file()):
        data = path.read_bytes()
        for offset in range(count % step, len(data), step):
            changed = bytearray(data)
            changed[offset] ^= 1 << (offset % 8)
            path.write_bytes(changed)
            found(release)
            count += 1
        path.write_bytes(data)
    verify(release)
    return count


def test_a_sample_of_all_bytes(copy: Path) -> None:
    assert flip_all(copy, SAMPLE) > 300


@pytest.mark.slow
def test_every_single_byte(copy: Path) -> None:
    size = sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
    assert flip_all(copy, 1) == size


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_every_file_cut_short_or_lengthened(copy: Path, cut: int) -> None:
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.write_bytes(data + b"\0" if cut == 1 else data[:cut] if cut else b"")
        found(copy)
        path.write_bytes(data)
    verify(copy)


def test_every_file_removed(copy: Path) -> None:
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.unlink()
        found(copy)
        path.write_bytes(data)
    verify(copy)


@pytest.mark.parametrize("folder", ["packages", "grants", "ledger"])
def test_every_folder_removed(copy: Path, folder: str) -> None:
    shutil.rmtree(copy / folder)
    found(copy)


def test_every_two_files_exchanged(copy: Path) -> None:
    files = sorted(p for p in copy.rglob("*") if p.is_file())
    for one in files:
        for other in files:
            if one < other:
                first, second = one.read_bytes(), other.read_bytes()
                one.write_bytes(second)
                other.write_bytes(first)
                found(copy)
                one.write_bytes(first)
                other.write_bytes(second)


def test_every_file_renamed(copy: Path) -> None:
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        path.rename(path.with_name("0" * 32 + path.suffix))
        found(copy)
        path.with_name("0" * 32 + path.suffix).rename(path)


def test_every_file_behind_a_link(copy: Path, tmp_path: Path) -> None:
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        moved = tmp_path / "elsewhere"
        path.rename(moved)
        path.symlink_to(moved)
        found(copy)
        path.unlink()
        moved.rename(path)


@pytest.mark.parametrize("folder", ["packages", "grants", "ledger"])
def test_a_folder_behind_a_link(copy: Path, tmp_path: Path, folder: str) -> None:
    (copy / folder).rename(tmp_path / "elsewhere")
    (copy / folder).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found(copy)


@pytest.mark.parametrize(
    "name", ["readme.txt", ".hidden", "packages/aa/x.mveil", "grants/x.age", "ledger/00000009.cbor", "ledger/notes",
             "manifest.cbor.next", "manifest.sig.next", "ledger/00000004.cbor.next", "owner.age", "weights/x"],
)  # fmt: skip
def test_a_file_added(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(b"something")
    found(copy)


def older(scene: Scene, copy: Path) -> None:
    shutil.rmtree(copy)
    shutil.copytree(scene.before_revoke, copy)


def much_older(scene: Scene, copy: Path) -> None:
    shutil.rmtree(copy)
    shutil.copytree(scene.before_grant, copy)


def older_manifest(scene: Scene, copy: Path) -> None:
    for name in ("manifest.cbor", "manifest.sig"):
        shutil.copy(scene.before_revoke / name, copy / name)


def older_ledger(scene: Scene, copy: Path) -> None:
    shutil.rmtree(copy / "ledger")
    shutil.copytree(scene.before_revoke / "ledger", copy / "ledger")


def revoked_grants_back(scene: Scene, copy: Path) -> None:
    for path in (scene.before_revoke / "grants").iterdir():
        shutil.copy(path, copy / "grants" / path.name)


def resigned(scene: Scene, copy: Path) -> None:
    """All of Mallory's own release, under the id of ours: she cannot have the id, since she would sign it herself."""
    for name in ("manifest.cbor", "manifest.sig"):
        shutil.copy(scene.resigned / name, copy / name)


def resigned_ledger(scene: Scene, copy: Path) -> None:
    resigned(scene, copy)
    shutil.rmtree(copy / "ledger")
    shutil.copytree(scene.resigned / "ledger", copy / "ledger")


def sibling_package(scene: Scene, copy: Path) -> None:
    (foreign,) = (scene.sibling / "packages").rglob("*.mveil")
    ours = sorted((copy / "packages").rglob("*.mveil"))[0]
    shutil.copy(foreign, ours)


def sibling_package_added(scene: Scene, copy: Path) -> None:
    (foreign,) = (scene.sibling / "packages").rglob("*.mveil")
    (copy / "packages" / foreign.parent.name).mkdir(exist_ok=True)
    shutil.copy(foreign, copy / "packages" / foreign.parent.name / foreign.name)


def sibling_grant(scene: Scene, copy: Path) -> None:
    foreign = sorted((scene.sibling / "grants").iterdir())[0]
    shutil.copy(foreign, sorted((copy / "grants").iterdir())[0])


def sibling_ledger_entry(scene: Scene, copy: Path) -> None:
    shutil.copy(scene.sibling / "ledger" / "00000000.cbor", copy / "ledger" / "00000000.cbor")


def sibling_entry_appended(scene: Scene, copy: Path) -> None:
    shutil.copy(scene.sibling / "ledger" / "00000000.cbor", copy / "ledger" / "00000004.cbor")


def entries_exchanged(scene: Scene, copy: Path) -> None:
    one, other = copy / "ledger" / "00000001.cbor", copy / "ledger" / "00000002.cbor"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def last_entry_dropped(scene: Scene, copy: Path) -> None:
    sorted((copy / "ledger").iterdir())[-1].unlink()


def first_entry_dropped(scene: Scene, copy: Path) -> None:
    sorted((copy / "ledger").iterdir())[0].unlink()


STRUCTURAL: list[Callable[[Scene, Path], None]] = [
    older, much_older, older_manifest, older_ledger, revoked_grants_back, resigned, resigned_ledger, sibling_package,
    sibling_package_added, sibling_grant, sibling_ledger_entry, sibling_entry_appended, entries_exchanged,
    last_entry_dropped, first_entry_dropped,
]  # fmt: skip


@pytest.mark.parametrize("change", STRUCTURAL, ids=lambda change: change.__name__)
def test_a_structural_change(scene: Scene, copy: Path, change: Callable[[Scene, Path], None]) -> None:
    change(scene, copy)
    found(copy)


def test_named_owner_or_head_find_a_release_that_was_signed_anew(scene: Scene, tmp_path: Path) -> None:
    """Somebody's own whole release has another id and no pin: only a named owner or head tells."""
    with pytest.raises(IntegrityError, match="another owner"):
        verify(scene.resigned, owner=scene.people["owner"].recipient)
    with pytest.raises(IntegrityError, match="head"):
        verify(scene.resigned, head=verify(scene.release).head)


def test_the_scene_is_sound(copy: Path) -> None:
    assert verify(copy).words == "verified"
