"""Killed, out of power or out of space at any change of the disk: the release opens, and the command resumes.

By default a sample, at strides that have no factor in common with the rounds of a command; under -m slow every step.
"""

import contextlib
import dataclasses

import pytest
from tests import campaign_summary
from tests.code_memory import remembered_codes
from tests.releases import crash_scenes
from tests.releases.crash_scenes import Cast, Tally, fill, interrupt, kill, kill_again, look, recorded
from tests.releases.crashing import Disk, put_tree, tree_of, watched

from medveil.errors import IntegrityError, TargetExistsError
from medveil.releases.records import ledger as ledgers
from medveil.releases.records import state as states
from medveil.releases.verifying import verify

COMMANDS = ("share", "add", "grant", "revoke", "rotate")
ONE_FOLDER = {"one folder kept", "one folder dropped"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """The cast and its scenes by name; pictures are coded once."""
    cast = Cast.make(tmp_path_factory.mktemp("crash") / "cast")
    with remembered_codes():
        yield cast, {scene.name: scene for scene in crash_scenes.scenes(cast)}


@pytest.fixture(scope="module")
def disks(stage):
    """What each command does to the disk."""
    cast, scenes = stage
    return {name: recorded(cast, scene) for name, scene in scenes.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_after_any_step(stage, disks, name):
    """What was not flushed is kept, or lost, or of names only those in one folder are: a twenty-third of the cases."""
    cast, scenes = stage
    images = disks[name].images
    chosen = [image for image in images if image.loss not in ONE_FOLDER][::-23]
    chosen += [image for image in images if image.loss in ONE_FOLDER][::97]
    tally = Tally()
    kill(cast, scenes[name], chosen, tally)
    assert tally.problems == []
    assert set(tally.states) == set(scenes[name].allowed)


@pytest.mark.parametrize("name", COMMANDS)
def test_interrupted_or_out_of_space_at_some_steps(stage, disks, name):
    cast, scenes = stage
    count, tally = len(disks[name].steps), Tally()
    interrupt(cast, scenes[name], range(3, count, 101), tally)
    fill(cast, scenes[name], range(0, count, 89), tally, for_good=True)
    fill(cast, scenes[name], range(9, count, 107), tally, for_good=False)
    assert tally.problems == []


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_twice(stage, disks, name):
    cast, scenes = stage
    tally = Tally()
    kill_again(cast, scenes[name], disks[name].images[5::97], 41, tally)
    assert tally.problems == []


@pytest.fixture(scope="module")
def summary():
    """What the whole of it came to, by command; written to build/crash_safety.json when all have run."""
    found = {}
    yield found
    if found:
        cases = sum(one["cases"][kind] for one in found.values() for kind in one["cases"])
        problems = sum(len(one["problems"]) for one in found.values())
        campaign_summary.write("crash_safety", {"cases": cases, "problems": problems, "commands": found})


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_everything_that_can_happen_at_any_step(stage, disks, name, summary):
    cast, scenes = stage
    scene, images, steps = scenes[name], disks[name].images, range(len(disks[name].steps))
    tallies = {kind: Tally() for kind in ("killed", "interrupted", "disk full", "one refusal", "killed twice")}
    kill(cast, scene, images, tallies["killed"])
    interrupt(cast, scene, steps, tallies["interrupted"])
    fill(cast, scene, steps, tallies["disk full"], for_good=True)
    fill(cast, scene, steps, tallies["one refusal"], for_good=False)
    kill_again(cast, scene, images[::8], 6, tallies["killed twice"])
    problems = [problem for tally in tallies.values() for problem in tally.problems]
    cases = {kind: tally.cases for kind, tally in tallies.items()}
    summary[name] = {"file-system steps": len(steps), "cases": cases, "problems": problems}
    assert problems == []


@pytest.mark.parametrize("killed", ["add", "rotate"])
def test_another_command_after_one_that_was_killed(stage, disks, killed):
    """It takes the other's announcement back; the other then does what is left."""
    cast, scenes = stage
    wanted = [*scenes["grant"].allowed["new"]["ledger"], killed]
    announced = [image for image in disks[killed].images if any(path.endswith(".next") for path in image.tree)]
    name = "release/ledger/00000002.cbor"  # under both names while the switch is being made
    unswitched = [image for image in announced if f"{name}.next" in image.tree and name not in image.tree]
    assert len(unswitched) > 8
    for image in unswitched[::16]:
        put_tree(image.tree, cast.root)
        scenes["grant"].run()
        assert look(cast) == scenes["grant"].allowed["new"]
        scenes[killed].run()
        after = look(cast)
        assert (after["ledger"], after["leftovers"]) == (wanted, 0)
        assert after["packages"] == scenes[killed].allowed["new"]["packages"]
        assert sorted(path.name for path in cast.root.iterdir()) == ["release", "state"]


def test_what_is_promised_rests_on_what_was_flushed(stage, monkeypatch):
    """Without any flushing the losses are found: the test can fail."""
    cast, scenes = stage
    for module in ("medveil.files.atomic.flush_folders", "medveil.releases.writing.commit.flush_folders"):
        monkeypatch.setattr(module, lambda folders: None)
    tally = Tally()
    images = recorded(cast, scenes["rotate"]).images
    monkeypatch.undo()
    kill(cast, scenes["rotate"], [image for image in images if image.loss in ONE_FOLDER][::40], tally)
    assert tally.problems


def test_a_reader_who_comes_during_the_switch(stage, monkeypatch):
    cast, scenes = stage
    real, ran = ledgers.load, []

    def load(folder):
        if not ran:
            ran.append(scenes["rotate"].run)
            ran[0]()
        return real(folder)

    put_tree(scenes["rotate"].start, cast.root)
    with contextlib.suppress(IntegrityError):
        monkeypatch.setattr(ledgers, "load", load)
        assert states.load(cast.release).ledger.head.action is ledgers.Action.ROTATE
        return
    pytest.fail("the reader met a manifest and a ledger of two states")


def test_settling_twice_changes_nothing_more(stage, disks):
    cast, _ = stage
    image = disks["rotate"].images[-40]
    put_tree(image.tree, cast.root)
    once = states.settle(cast.release, states.load(cast.release))
    tree = tree_of(cast.root)
    assert dataclasses.replace(states.settle(cast.release, once)) == once
    assert tree_of(cast.root) == tree


def test_leftovers_are_said_and_count_for_nothing(stage, disks):
    cast, _ = stage
    found = set()
    for image in disks["add"].images:
        if "release/manifest.cbor.next" in image.tree:
            put_tree(image.tree, cast.root)
            found.add(verify(cast.release).leftovers)
    assert min(found) > 0


def test_somebody_elses_folder_stays(stage):
    cast, scenes = stage
    put_tree({"release.partial": None, "release.partial/a": None, "release.partial/a/thesis.txt": b"work"}, cast.root)
    with pytest.raises(TargetExistsError, match="not made by it"):
        scenes["share"].run()
    assert (cast.root / "release.partial/a/thesis.txt").read_bytes() == b"work"


def test_the_model_of_the_disk(tmp_path):
    """A name that was not flushed is lost, and so is content; what was flushed is not."""
    import os

    root = tmp_path / "disk"
    put_tree({"old": b"1"}, root)
    disk = Disk(root)
    with watched(disk):
        handle = os.open(root / "new", os.O_WRONLY | os.O_CREAT)
        os.write(handle, b"2")
        os.close(handle)
        os.replace(root / "new", root / "old")
        handle = os.open(root, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    disk.check_all_was_seen()
    assert [step.call for step in disk.steps] == ["open", "write", "replace", "fsync"]
    trees = [(image.moment, image.loss, dict(image.tree)) for image in disk.images]
    assert trees == [
        ("before", "kept", {"old": b"1"}),
        ("0 open", "kept", {"old": b"1", "new": b""}),
        ("1 write", "kept", {"old": b"1", "new": b"2"}),
        ("2 replace", "kept", {"old": b"2"}),
        ("2 replace", "emptied", {"old": b""}),
    ]
    (root / "unseen").write_bytes(b"")
    with pytest.raises(AssertionError):
        disk.check_all_was_seen()
