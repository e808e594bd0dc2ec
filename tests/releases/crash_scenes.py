"""Commands that are killed, the release that they are given, and what has to be there afterwards."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from tests.pictures import picture
from tests.releases.crashing import Disk, Image, Stopped, Tree, put_tree, tree_of, watched

from medveil.codecs.lapped.codec import LappedCodec
from medveil.errors import MedveilError, NoFittingKeyError
from medveil.keys.identity import Identity, generate
from medveil.keys.tiers import KeyRing, Tier
from medveil.releases.deputies import owned_state, read_book
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.listing import list_originals
from medveil.releases.records.owner_records import today
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify

PEOPLE = ("owner", "alice", "bob", "carol", "ida")
Summary = dict[str, Any]


@dataclass(frozen=True)
class Cast:
    """Keys and originals, outside of what is watched, and the folder that is watched.

    Attributes:
        root: holds `release`, `release.partial` and the owner's pins.
        known: what a state, by its digest, opened to for whom. `verify` has compared every byte with that digest.
    """

    folder: Path
    keys: dict[str, Identity] = field(repr=False)
    known: dict[tuple[bytes, str], list[Any]] = field(repr=False, default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> Cast:
        folder.mkdir(parents=True, exist_ok=True)
        keys = {name: generate(folder / f"{name}.key") for name in PEOPLE}
        for number, place in enumerate(("first", "later")):
            (folder / place).mkdir()
            Picture.fromarray(picture(number, 32, 32)).save(folder / place / f"{place}.png")
            (folder / f"{place}.txt").write_text(place)
        return cls(folder, keys)

    @property
    def root(self) -> Path:
        return self.folder / "watched"

    @property
    def release(self) -> Path:
        return self.root / "release"

    def share(self) -> None:
        """A new release."""
        alice, ida = self.keys["alice"].recipient, self.keys["ida"].recipient
        settings = ShareSettings(
            to=(alice, ida), identity=(ida,), at={ida: Tier.EXACT}, attach=(self.folder / "first.txt",), jobs=1
        )
        result = share([self.folder / "first"], self.release, settings, owner=self.keys["owner"])
        assert result.failed == []

    def add(self) -> None:
        """An image and an attachment more."""
        settings = ShareSettings(add=True, attach=(self.folder / "later.txt",), jobs=1)
        result = share([self.folder / "later"], self.release, settings, owner=self.keys["owner"])
        assert result.failed == []

    def grant_one_package(self) -> None:
        """For carol, of the picture alone."""
        rows = list_originals(self.release, self.keys["owner"])
        only = next(row.package for row in rows if row.path.endswith("first.png"))
        carol = self.keys["carol"].recipient
        grant(self.release, Request((carol,), {carol: Tier.DIAGNOSTIC}, only=(only,)), self.keys["owner"])

    def grant(self) -> None:
        """For bob, who had none, and for alice, whose former one it replaces."""
        alice, bob = self.keys["alice"].recipient, self.keys["bob"].recipient
        request = Request((alice, bob), {alice: Tier.EXACT, bob: Tier.DIAGNOSTIC})
        grant(self.release, request, self.keys["owner"])

    def revoke(self) -> None:
        """Alice's."""
        revoke(self.release, [self.keys["alice"].recipient], self.keys["owner"])

    def rotate(self) -> None:
        """All keys."""
        rotate(self.release, self.keys["owner"], jobs=1)

    # What is there

    def summary(self) -> Summary | None:
        """What a release is, as everybody who may open it sees it; None where there is none.

        Raises whatever `verify` and `open` raise.
        """
        if not self.release.exists() or not any(self.release.iterdir()):
            return None
        found = verify(self.release, owner=self.keys["owner"].recipient)
        release = Release(self.release)
        opened = {name: self._opened(release, key) for name, key in self.keys.items()}
        state = owned_state(self.release, self.keys["owner"], repair=False)
        book = read_book(self.release, state, self.keys["owner"])
        names = {key.recipient.text: name for name, key in self.keys.items()}
        return {
            "leftovers": found.leftovers,
            "packages": found.packages,
            "epoch": state.manifest.epoch,
            "ledger": [entry.action.value for entry in state.ledger.entries],
            "grant files": len(state.ledger.grants),
            "grants": sorted(
                [names[note.recipient.text], note.tier.value, note.sees_identity, len(note.only), note.is_owner]
                for note in book.grants
            ),
            "opened": opened,
        }

    def _opened(self, release: Release, key: Identity) -> list[Any]:
        try:
            ring = release.access_of(key).ring
        except NoFittingKeyError:
            return []
        state = release.ledger.digests[-1], key.fingerprint
        if state not in self.known:
            self.known[state] = self._contents(release, ring)
        return self.known[state]

    def _contents(self, release: Release, ring: KeyRing) -> list[Any]:
        codec = LappedCodec()
        opened = [release.open_package(entry, ring, codec) for entry in release.manifest.packages]
        return sorted([str(one.path), one.tier.value, _digest(one.content)] for one in opened if one is not None)


def _digest(content: Any) -> str:
    data = content.pixels.tobytes() if hasattr(content, "pixels") else content.data
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Scene:
    """A command and what it is run on.

    Attributes:
        name: of the command.
        start: what stands in the watched folder before.
        run: the command.
        allowed: summaries that a kill may leave, by name: `none` or `old`, and `new`.
        after: by the same names, the summary once the command has been run again.
    """

    name: str
    start: Tree = field(repr=False)
    run: Callable[[], None]
    allowed: dict[str, Summary | None] = field(repr=False)
    after: dict[str, Summary | None] = field(repr=False)


def scenes(cast: Cast) -> list[Scene]:
    """All of them. Wants `remembered_codes` around it, and around what is done with them."""
    put_tree({}, cast.root)
    made = [_scene(cast, "share", cast.share)]
    put_tree({}, cast.root)
    with pins_of(cast.root):
        cast.share()
        cast.grant_one_package()
    start = tree_of(cast.root)
    for name, run in (("add", cast.add), ("grant", cast.grant), ("revoke", cast.revoke), ("rotate", cast.rotate)):
        put_tree(start, cast.root)
        made.append(_scene(cast, name, run))
    return made


def _scene(cast: Cast, name: str, command: Callable[[], None]) -> Scene:
    def run() -> None:
        with pins_of(cast.root):
            command()

    start, old = tree_of(cast.root), look(cast)
    run()
    new = look(cast)
    run()
    again = look(cast)
    former = "none" if old is None else "old"
    return Scene(name, start, run, {former: old, "new": new}, {former: new, "new": again})


def look(cast: Cast) -> Summary | None:
    """The summary, on a machine that never saw the release."""
    elsewhere = cast.folder / "elsewhere"
    put_tree({}, elsewhere)
    with pins_of(elsewhere):
        return cast.summary()


@contextmanager
def pins_of(folder: Path) -> Iterator[None]:
    """Keep the pins there."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before


# What is done to a scene


@dataclass
class Tally:
    """What came out.

    Attributes:
        states: what a kill or a refusal left: none, old or new -> how often.
        problems: what was wrong, in words.
    """

    states: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return sum(self.states.values()) + len(self.problems)


def recorded(cast: Cast, scene: Scene, after: Image | None = None) -> Disk:
    """The command run to its end, with an image of every moment; after a kill, where its image is given."""
    if after is None:
        put_tree(scene.start, cast.root, moment=_midnight())
    else:
        put_tree(after.tree, cast.root, after.changed, _midnight())
    disk = Disk(cast.root, flushed=after.flushed if after else None)
    with watched(disk):
        scene.run()
    disk.check_all_was_seen()
    return disk


def kill(cast: Cast, scene: Scene, images: Sequence[Image], tally: Tally) -> None:
    """Put every image on the disk as a kill left it, look at it, and run the command again."""
    for image in images:
        put_tree(image.tree, cast.root, image.changed, _midnight())
        _check(cast, scene, f"killed after {image.moment}, {image.loss}", tally)


def interrupt(cast: Cast, scene: Scene, steps: Sequence[int], tally: Tally) -> None:
    """Stop the command before each of the steps; the process cleans up as it ends, as after Control-C."""
    for number in steps:
        put_tree(scene.start, cast.root, moment=_midnight())
        disk = Disk(cast.root, stop_at=number, keep_images=False)
        try:
            with watched(disk):
                scene.run()
            if number < len(disk.steps):  # else two ids began alike, and a folder less was made
                tally.problems.append(f"{scene.name}: something caught the stop at step {number}")
        except Stopped:
            _check(cast, scene, f"stopped before step {number}", tally)


def fill(cast: Cast, scene: Scene, steps: Sequence[int], tally: Tally, *, for_good: bool) -> None:
    """Let the disk be full from a step on, for good or for that step alone; medveil's own error has to come."""
    for number in steps:
        put_tree(scene.start, cast.root, moment=_midnight())
        until = -1 if for_good else number + 1
        disk = Disk(cast.root, full_from=number, full_until=until, keep_images=False)
        moment = f"full at step {number}"
        try:
            with watched(disk):
                scene.run()
        except MedveilError:
            pass
        except Exception as error:  # noqa: BLE001
            tally.problems.append(f"{scene.name} {moment} {disk.steps[number]}: {type(error).__name__} {error}")
            continue
        if number >= len(disk.steps):
            continue
        step = disk.steps[number]
        _check(cast, scene, f"{moment} {step.call} {step.path}", tally, pinned=not step.path.startswith("state"))


def _check(cast: Cast, scene: Scene, moment: str, tally: Tally, *, pinned: bool = True) -> None:
    """Look, run again, look again. Without room for a pin the machine remembers nothing, and the command goes on."""
    try:
        found = look(cast)
        state = next((name for name, one in scene.allowed.items() if _same(found, one)), None)
        assert state is not None, f"neither the old nor the new state: {found}"
        scene.run()
        again = look(cast)
        assert again == scene.after[state], f"run again, it became {again}"
        names = sorted(path.name for path in cast.root.iterdir())
        assert names == ["release", "state"] or (not pinned and names == ["release"]), (
            f"run again, it left {[*names, *map(str, cast.root.glob('*.partial/**/*'))]}"
        )
        uneven = [path for path in cast.release.rglob("*") if path.stat().st_mtime != _midnight()]
        assert not uneven, f"run again, it left times of {[str(path.relative_to(cast.release)) for path in uneven]}"
        tally.states[state] = tally.states.get(state, 0) + 1
    except Exception as error:  # noqa: BLE001
        tally.problems.append(f"{scene.name} {moment}: {type(error).__name__} {error}")


def _same(found: Summary | None, allowed: Summary | None) -> bool:
    if found is None or allowed is None:
        return found is allowed
    return {**found, "leftovers": 0} == allowed


def _midnight() -> float:
    return datetime.datetime.fromisoformat(today()).replace(tzinfo=datetime.UTC).timestamp()


def kill_again(cast: Cast, scene: Scene, first: Sequence[Image], every: int, tally: Tally) -> None:
    """Kill the command, run it again, and kill it again, after some of its steps."""
    for image in first:
        put_tree(image.tree, cast.root)
        former = next(iter(scene.allowed))
        if not _same(look(cast), scene.allowed[former]):
            continue  # what was done already is done by the next run for a second time: rotate
        kill(cast, scene, recorded(cast, scene, image).images[::every], tally)
