"""A release as a data set to train on: the same pixels in any worker, nothing plain on disk, patients kept apart."""

from __future__ import annotations

import copy
import ctypes
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from tests.pictures import picture
from torch.utils.data import DataLoader

import medveil
from medveil.errors import IntegrityError, NoFittingKeyError, UsageError
from medveil.keys.tiers import Tier
from medveil.releases.granting import revoke
from medveil.releases.listing import list_originals
from medveil.releases.rotating import rotate

_IN_CREATE, _IN_MODIFY, _IN_ISDIR = 0x100, 0x2, 0x40000000


def opened(release, identity, **more):
    """What `Release.open` gives, scaled to 0 … 1."""
    return [
        torch.from_numpy(image.pixels.astype(np.float32) / image.value_range[1])[None]
        for image in medveil.Release(release).open(identity, **more)
    ]


def same(found, expected):
    return len(found) == len(expected) and all(
        torch.allclose(a, b, atol=1e-6) for a, b in zip(found, expected, strict=True)
    )


class Watch:
    """Every file that anybody makes or changes directly in these folders, as the kernel tells (inotify)."""

    def __init__(self, folders):
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
        assert self._descriptor >= 0
        for folder in folders:
            assert libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _IN_CREATE | _IN_MODIFY) >= 0

    def close(self):
        """Names that were seen; folders end in a slash."""
        found, data = set(), b""
        while True:
            try:
                data += os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                break
        os.close(self._descriptor)
        while data:
            _, mask, _, length = struct.unpack_from("iIII", data)
            name = data[16 : 16 + length].rstrip(b"\0").decode()
            found.add(name + "/" * bool(mask & _IN_ISDIR))
            data = data[16 + length :]
        return found


def listing(*folders):
    return {
        str(path): hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
        for folder in folders
        for path in folder.rglob("*")
    }


def train_watched(tmp_path, repository, release, people, method, transform):
    """Two epochs with two workers: (what they printed, what the hook logged, what the kernel saw, files changed)."""
    places = {name: tmp_path / "watched" / name for name in ("home", "cwd")}
    for place in places.values():
        place.mkdir(parents=True)
    # Workers send batches through a socket below TMPDIR, whose whole path may have 107 bytes.
    places["tmp"] = Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))
    log, key = tmp_path / "log", tmp_path / "alice.key"
    key.write_text(people["alice"].to_text())
    key.chmod(0o600)
    homes = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
    environment = os.environ | dict.fromkeys(homes, str(places["home"]))
    environment |= {"TMPDIR": str(places["tmp"]), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(repository / "src"), str(repository)])
    folders = [release, release / "packages", *places.values()]
    before, watch = listing(release, *places.values()), Watch(folders)
    command = [sys.executable, "-m", "tests.releases.watched_training", release, key, method, log, transform]
    try:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=120, env=environment, cwd=places["cwd"]
        )
        assert done.returncode == 0, done.stderr
        seen, after = watch.close(), listing(release, *places.values())
    finally:
        shutil.rmtree(places["tmp"])
    events = [tuple(json.loads(line)) for line in log.read_text().splitlines()]
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return json.loads(done.stdout), events, seen, changed


def faults(events, seen, changed):
    """What is not allowed: all but /dev/null, memory without a name, and the folders of multiprocessing's sockets."""
    bad = {
        (kind, name)
        for _, kind, name in events
        if kind not in ("package", "epoch")
        and name != "/dev/null"
        and not (kind == "os.truncate" and name.startswith("/memfd:"))
        and not (kind == "os.mkdir" and os.path.basename(name).startswith("pymp-"))
    }
    bad |= {("seen", name) for name in seen if not (name.startswith("pymp-") and name.endswith("/"))}
    return bad | {("changed", name) for name in changed}


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and asks inotify")


@linux
@pytest.mark.parametrize(
    "method", ["fork", *(pytest.param(each, marks=pytest.mark.slow) for each in ("spawn", "forkserver"))]
)
def test_two_epochs_in_two_workers_write_nothing_and_open_each_package_once(
    tmp_path, repository, release, people, method
):
    said, events, seen, changed = train_watched(tmp_path, repository, release, people, method, "look")
    assert faults(events, seen, changed) == set()
    expected = [
        hashlib.sha256(image.numpy().tobytes()).hexdigest()
        for image in medveil.Release(release).dataset(people["alice"])
    ]
    assert said["epochs"] == [expected, expected]
    assert said["cached"] == [3, 3 * 80 * 96]
    read = [(process, kind == "epoch") for process, kind, _ in events if kind in ("package", "epoch")]
    processes = {process for process, end in read if not end}
    assert len(processes) == 3  # the parent, once, for the check of the whole release; then both workers
    assert [end for _, end in read] == [False] * 6 + [True] * 2


@linux
@pytest.mark.slow
def test_the_watch_catches_a_transform_that_writes(tmp_path, repository, release, people):
    _, events, seen, changed = train_watched(tmp_path, repository, release, people, "fork", "leave_pictures")
    found = faults(events, seen, changed)
    logged = [name for kind, name in found if kind == "write"]
    assert len(logged) == 3
    assert all(name.endswith(".png") for name in logged)  # the hook
    assert {("changed", name) for name in logged} < found  # the listing
    assert [name for kind, name in found if kind == "seen" and name.endswith(".native")]  # the kernel, of what is gone


def test_without_labels_items_are_the_images_that_open_gives(release, people):
    data = medveil.Release(release).dataset(people["alice"])
    assert len(data) == 3
    assert all(image.dtype == torch.float32 and image.shape == (1, 80, 96) for image in data)
    assert same(list(data), opened(release, people["alice"]))
    assert same(list(data), opened(release, people["alice"]))  # the second time from memory
    assert np.array_equal(data.image(1).pixels, list(medveil.Release(release).open(people["alice"]))[1].pixels)
    with pytest.raises(UsageError, match="whose the images are"):
        data.split()


def test_a_key_file_opens_as_its_identity_does(tmp_path, release, people):
    key = tmp_path / "alice.key"
    key.write_text(people["alice"].to_text())
    key.chmod(0o600)
    assert same(list(medveil.Release(release).dataset(key)), opened(release, people["alice"]))
    with pytest.raises(NoFittingKeyError):
        medveil.Release(release).dataset(people["mallory"])


def labels_file(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return tmp_path / "labels.csv"


def test_labels_by_path_for_who_sees_names(tmp_path, release, people):
    labels = labels_file(
        tmp_path,
        "image,label,patient_id\noriginals/b/IM1.png,viral,p2\n./originals\\a\\IM1.png,normal,p1\n"
        "originals/b/c/IM2.png,,p1\nx/none.png,normal,p9\n",
    )
    data = medveil.Release(release).dataset(people["ida"], labels=labels)
    assert (len(data), data.classes, data.labels.unlabelled, data.labels.unknown_rows) == (2, ("normal", "viral"), 1, 1)
    by_path = {row.path: row.package for row in list_originals(release, people["ida"])}
    whole = medveil.Release(release).dataset(people["ida"])
    for (image, target), row, package, patient in zip(data, data.rows, data.packages, data.patients, strict=True):
        assert by_path[row["image"].replace("\\", "/").removeprefix("./")] == package
        assert data.classes[target] == row["label"]
        assert patient == row["patient_id"]
        assert torch.equal(image, whole[whole.packages.index(package)])


def test_labels_by_package_for_who_does_not(tmp_path, release, people):
    packages = [row.package for row in list_originals(release, people["ida"])]
    rows = f"{packages[0]},one\n{packages[2].upper()}.png,two\n"
    data = medveil.Release(release).dataset(
        people["alice"], labels=labels_file(tmp_path, "package,grade\n" + rows), target="grade"
    )
    assert {data.packages[i]: data.classes[data.targets[i]] for i in range(len(data))} == {
        packages[0]: "one",
        packages[2]: "two",
    }
    paths = labels_file(tmp_path, "image,label\na/IM1.png,normal\n")
    with pytest.raises(UsageError, match="none of the 1 rows") as refused:
        medveil.Release(release).dataset(people["alice"], labels=paths)
    assert "package ids" in refused.value.hint
    assert "IM1" not in str(refused.value) + refused.value.hint


def test_paths_are_compared_from_their_ends_where_one_only_may_be_meant(tmp_path, release, people):
    text = "image,label\n/2020/originals/b/c/IM2.png,one\nIM1.png,two\n"  # two images end in IM1.png
    data = medveil.Release(release).dataset(people["ida"], labels=labels_file(tmp_path, text))
    assert [row["label"] for row in data.rows] == ["one"]
    assert (data.labels.unlabelled, data.labels.unknown_rows) == (2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("picture,label\na,b\n", "no column that names the image"),
        ("image,finding\na,b\n", "no column 'label'"),
        ("image,label\noriginals/a/IM1.png,x\noriginals/a/IM1.png,y\n", "two rows"),
        ("image,label,patient_id\na/IM1.png,x,p\nb/IM1.png,y,\n", "without a patient"),
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path, release, people, text, message):
    with pytest.raises(UsageError, match=message):
        medveil.Release(release).dataset(people["ida"], labels=labels_file(tmp_path, text))


def test_attachments_are_no_images_and_the_tier_is_the_one_asked_for(tiered, people):
    data = medveil.Release(tiered).dataset(people["ida"])
    assert len(data) == 2
    assert same(list(data), opened(tiered, people["ida"]))
    for tier in (Tier.DIAGNOSTIC, Tier.PREVIEW):
        lowered = list(medveil.Release(tiered).dataset(people["ida"], tier=tier))
        assert same(lowered, opened(tiered, people["ida"], tier=tier))
        assert not same(lowered, list(data))
    preview = list(medveil.Release(tiered).dataset(people["alice"]))  # who was granted no more
    assert same(preview, opened(tiered, people["ida"], tier=Tier.PREVIEW))


def test_no_key_shows_and_none_is_pickled_or_copied(release, people):
    data = medveil.Release(release).dataset(people["alice"])
    text = repr(data) + repr(data._source) + str(vars(data))
    keys = data._source.ring.epochs[0]
    for secret in (keys.tier_key, people["alice"].to_text().split()[-1].encode()):
        assert len(secret) >= 32
        assert repr(secret)[2:-1] not in text
        assert secret.hex() not in text
    for way in (copy.copy, copy.deepcopy, lambda each: torch.save(each, os.devnull)):
        with pytest.raises(UsageError, match="holds its keys"):
            way(data)


def test_a_package_that_was_changed_before_is_found_when_the_data_set_is_made(release, people):
    damage(sorted(release.rglob("*.mveil"))[1])
    with pytest.raises(IntegrityError, match="was changed"):
        medveil.Release(release).dataset(people["alice"])


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.slow
def test_a_package_that_is_changed_later_ends_the_training(release, people):
    data = medveil.Release(release).dataset(people["alice"])
    damage(sorted(release.rglob("*.mveil"))[1])
    assert data[0].shape == data[2].shape
    with pytest.raises(IntegrityError, match="was changed: its digest is not the signed one"):
        list(DataLoader(data, num_workers=1))


def test_a_rotated_release_is_told_from_a_damaged_one(release, people):
    data = medveil.Release(release).dataset(people["alice"])
    rotate(release, people["owner"], jobs=1)
    with pytest.raises(IntegrityError, match="changed by its owner"):
        data[0]


def test_who_was_taken_out_keeps_what_is_open_and_gets_no_new_data_set(release, people):
    data = medveil.Release(release).dataset(people["alice"])
    revoke(release, [people["alice"].recipient], people["owner"])
    assert len(list(data)) == 3
    with pytest.raises(NoFittingKeyError):
        medveil.Release(release).dataset(people["alice"])


def test_patients_are_on_one_side_only(tmp_path, people):
    from medveil.releases.settings import ShareSettings
    from medveil.releases.sharing import share

    folder, lines = tmp_path / "in", ["image,label,patient_id,fold"]
    folder.mkdir()
    for number in range(9):
        Picture.fromarray(picture(number, 24, 24)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},p{number // 2},{'train' if number < 6 else 'test'}")
    settings = ShareSettings(to=(people["alice"].recipient,), identity=(people["alice"].recipient,), jobs=1)
    share([folder], tmp_path / "release", settings, owner=people["owner"])
    data = medveil.Release(tmp_path / "release").dataset(
        people["alice"], labels=labels_file(tmp_path, "\n".join(lines)), size=32
    )
    drawn = set()
    for seed in range(8):
        training, validation = data.split(0.4, seed=seed)
        sides = [set(side.patients) for side in (training, validation)]
        assert [side.patients for side in (training, validation)] == [
            tuple(data.patients[i] for i in side.indices) for side in (training, validation)
        ]
        assert not sides[0] & sides[1]
        assert len(sides[1]) == 2
        assert sorted([*training.indices, *validation.indices]) == list(range(9))
        drawn.add(frozenset(sides[1]))
    assert len(drawn) > 2
    learned = data.where("fold", "train")
    assert (len(learned), set(learned.patients), learned.classes) == (6, {"p0", "p1", "p2"}, ("a", "b"))
    inner, outer = learned.split(0.4)
    assert not set(inner.patients) & set(outer.patients)
    assert (inner.targets, inner.packages) == tuple(
        tuple(known[learned.indices[i]] for i in inner.indices) for known in (data.targets, data.packages)
    )
    assert [row["patient_id"] for row in inner.rows] == list(inner.patients)
    assert "p0" not in repr(inner)
    image, target = next(iter(DataLoader(data.where("fold", "test"), batch_size=3)))
    assert image.shape == (3, 1, 32, 32)
    assert target.dtype == torch.int64
    for wrong in (lambda: data.where("fold", "none"), lambda: data.where("age", "1"), lambda: data.split(1.0)):
        with pytest.raises(UsageError):
            wrong()


def test_two_threads_may_read_at_once(release, people):
    data = medveil.Release(release).dataset(people["alice"])
    found = {}

    def read(name):
        found[name] = list(data)

    threads = [threading.Thread(target=read, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(each, opened(release, people["alice"])) for each in found.values())
    assert data.cached == (3, 3 * 80 * 96)


def test_release_is_reached_without_torch():
    code = "import sys, medveil; medveil.Release.dataset; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
