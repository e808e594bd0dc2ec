"""Tasks in an audit: the images they see, resuming, failing, and what stays out of the report."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image as Picture
from tests.audit.scenes import Noise, use
from tests.audit.task_scenes import Brightness, labelled_images, use_tasks
from tests.audit.test_audit_run import without_seconds

from medveil.audit.audit_run import audit_release
from medveil.audit.presets import find_preset
from medveil.audit.request import request_of, with_networks
from medveil.audit.results import Verdict
from medveil.errors import MedveilError, NotKeptError, UsageError
from medveil.experiments.unit import Status
from medveil.experiments.unit_store import UnitStore
from medveil.report.findings import because
from medveil.report.sentences import answer, repeat_command
from medveil.tasks.image_sets import ORIGINAL


@pytest.fixture(scope="session")
def labelled(tmp_path_factory, auditor):
    root = tmp_path_factory.mktemp("labelled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        return labelled_images(root, auditor)


@pytest.fixture
def run(labelled, auditor, tmp_path, quick, monkeypatch):
    use(monkeypatch, [Noise("noise")])

    def run(**changed):
        values = {
            "identity": auditor, "originals": labelled / "data", "manifest": labelled / "manifest.csv",
            "out": tmp_path / "audit", "preset": "tiny", "threads": 1, "attacks": ("none",), "tasks": ("brightness",),
        }  # fmt: skip
        return audit_release(labelled / "release", **(values | changed))

    return run


def test_what_tasks_see(run, labelled, monkeypatch):
    task = Brightness()
    use_tasks(monkeypatch, task)
    audit = run(compare=("lapped:30",))
    (gallery,) = task.seen
    assert gallery.sets == (ORIGINAL, "diagnostic", "preview", "lapped:30")
    assert len(gallery.images) == 12
    assert {(image.source, image.view, image.fold) for image in gallery.images} == {("north", "PA", "")}
    assert sorted({image.label for image in gallery.images}) == ["normal", "pneumonia"]
    assert len({image.patient for image in gallery.images}) == 6
    stored = {np.asarray(Picture.open(path)).tobytes() for path in (labelled / "data" / "shared").iterdir()}
    gaps = {name: [] for name in gallery.sets}
    for image in gallery.images:
        original = gallery.picture(ORIGINAL, image.number)
        assert original.dtype == np.float32
        assert original.astype(np.uint8).tobytes() in stored
        for name, found in gaps.items():
            opened = gallery.picture(name, image.number)
            assert opened.shape == original.shape
            found.append(float(np.sqrt(np.mean((opened - original) ** 2))))
    mean = {name: np.mean(found) for name, found in gaps.items()}
    assert mean[ORIGINAL] == 0 < mean["diagnostic"] < mean["lapped:30"]
    assert mean["diagnostic"] < mean["preview"]
    told = {one["name"]: one for one in audit.data["tasks"]["sets"]}
    assert [one["kind"] for one in told.values()] == ["original", "tier", "tier", "compared"]
    assert 20 < told["lapped:30"]["psnr"] < told["diagnostic"]["psnr"]
    assert "psnr" not in told[ORIGINAL]


def test_masks_that_do_not_fit_count_as_none(run, monkeypatch):
    task = Brightness()
    use_tasks(monkeypatch, task)
    audit = run()
    (gallery,) = task.seen
    masked = [image for image in gallery.images if image.masked]
    assert len(masked) == audit.data["tasks"]["masked"] == 9
    assert audit.data["tasks"]["found"]["masks_of_another_size"] == 1
    assert audit.data["tasks"]["found"]["masks_unreadable"] == 1
    for image in masked:
        mask = gallery.mask(image.number)
        assert mask.dtype == np.bool_
        assert mask.shape == gallery.picture(ORIGINAL, image.number).shape
        assert mask[8:40, 10:30].all()
        assert not mask[50, 50]


@pytest.mark.parametrize(("folds", "used"), [
    (("train", "train", "val", "train", "test", "test"), True),
    pytest.param(("train", "train", "", "train", "test", "test"), False, marks=pytest.mark.slow),
    pytest.param(("train",) * 6, False, marks=pytest.mark.slow),
])  # fmt: skip
def test_folds_are_used_where_all_make_sense(run, labelled, tmp_path, monkeypatch, folds, used):
    data = shutil.copytree(labelled, tmp_path / "copy", ignore=shutil.ignore_patterns("release", "state"))
    lines = (labelled / "manifest.csv").read_text().splitlines()
    with (data / "manifest.csv").open("w") as file:
        file.write(f"{lines[0]},fold\n")
        file.writelines(f"{line},{folds[place // 2]}\n" for place, line in enumerate(lines[1:]))
    task = Brightness()
    use_tasks(monkeypatch, task)
    audit = run(originals=data / "data", manifest=data / "manifest.csv")
    assert {image.fold for image in task.seen[0].images} == (set(folds) if used else {""})
    assert audit.data["tasks"]["found"]["folds_used"] == int(used)


def test_an_interrupted_task_goes_on_and_says_the_same(run, tmp_path, monkeypatch):
    whole = Brightness()
    use_tasks(monkeypatch, whole)
    said = []
    run(out=tmp_path / "whole", progress=lambda *line: said.append(line))
    done, total, _ = said[-1]
    assert done == total
    assert any(text.startswith("brightness: diagnostic, run 2") for *_, text in said)
    first = Brightness(stops=("diagnostic", 1), fails=KeyboardInterrupt())
    use_tasks(monkeypatch, first)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not (tmp_path / "audit").exists()
    second = Brightness()
    use_tasks(monkeypatch, second)
    with pytest.raises(UsageError, match="was begun with another compare"):
        run(resume=True, compare=("lapped:30",))
    said.clear()
    run(resume=True, progress=lambda *line: said.append(line))
    assert said[-1][:2] == (total, total)
    assert len(first.learned) == 3
    assert first.learned + second.learned == whole.learned
    assert without_seconds(tmp_path / "audit") == without_seconds(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit", "whole"]


def test_other_labels_are_another_audit(run, labelled, tmp_path, monkeypatch):
    use_tasks(monkeypatch, Brightness(stops=("preview", 0), fails=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run()
    text = (labelled / "manifest.csv").read_text().replace("pneumonia", "covid19").replace("masks/", "../masks/")
    text = text.replace("data/", f"{labelled}/data/").replace("../masks/", f"{labelled}/masks/")
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(UsageError, match="was begun with another labels or masks"):
        run(resume=True, manifest=tmp_path / "other.csv")


def test_a_task_that_fails_is_told_and_the_report_comes_out(run, tmp_path, monkeypatch):
    failing = Brightness("failing", (ORIGINAL, 1), ValueError("p0-0.png is odd"))
    use_tasks(monkeypatch, failing, Brightness())
    audit = run(tasks=("failing", "brightness"), attacks=())
    assert [result.name for result in audit.attacks] == ["noise"]
    first, second = audit.tasks
    assert (first.name, first.status, first.refusal) == ("failing", Status.FAILED, "ValueError")
    assert second.questions[0].cells[0].values["auc"].mean > 0
    assert "p0-0" not in (tmp_path / "audit" / "report.json").read_text()


def test_a_manifest_without_labels_is_refused_in_words(run, scene, monkeypatch):
    use_tasks(monkeypatch, Brightness())
    audit = run(manifest=None)
    assert audit.data["tasks"]["images"] == 0
    (task,) = audit.tasks
    assert (task.refusal, task.status) == ("The manifest names no label.", Status.REFUSED)


def test_without_an_attack_nothing_is_claimed(run, tmp_path, monkeypatch):
    use_tasks(monkeypatch, Brightness())
    audit = run()
    assert audit.conclusion is Verdict.INCONCLUSIVE
    assert audit.attacks == audit.controls == ()
    assert [tier.tier for tier in audit.fidelity] == ["diagnostic", "preview"]
    assert len(audit.checks) > 5
    assert "nothing is said of what somebody without a key gets" in because(audit)[0]
    assert "neither found a leak" not in answer(audit)
    assert repeat_command(audit.settings).endswith("--attacks none --tasks brightness")
    with pytest.raises(UsageError, match="not beside others"):
        run(attacks=("none", "noise"), out=tmp_path / "other")


@pytest.mark.slow
def test_tasks_do_not_change_what_is_attacked(run, tmp_path, monkeypatch):
    use_tasks(monkeypatch, Brightness())
    for name, tasks in (("with", ("brightness",)), ("without", ())):
        run(out=tmp_path / name, attacks=(), tasks=tasks)
    one, two = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("with", "without"))
    assert one["attacks"][0]["measured"] == two["attacks"][0]["measured"]
    assert one["fidelity"] == two["fidelity"]


def test_images_for_tasks_are_whole_patients_within_the_limit(run, monkeypatch):
    task = Brightness()
    use_tasks(monkeypatch, task, images=7)
    run()
    patients = [image.patient for image in task.seen[0].images]
    assert len(patients) == 6
    assert len(set(patients)) == 3


def test_more_images_for_tasks_than_are_attacked(run, monkeypatch):
    task = Brightness()
    use(monkeypatch, [Noise("noise")], tested_images=2, fidelity_images=2, own_images=2)
    use_tasks(monkeypatch, task)
    audit = run()
    assert audit.data["packages_with_original"] < 12
    assert len(task.seen[0].images) == 12
    assert len({image.patient for image in task.seen[0].images}) == 6


@pytest.mark.parametrize(("asked", "message"), [
    ({"tasks": ("brightnes",)}, "no task of that name"),
    ({"compare": ("lapped",)}, "not codec:number"),
    ({"compare": ("lapped:90",)}, "30 to 50 dB"),
    ({"compare": ("laped:40",)}, "no codec of that name"),
    ({"compare": ("lapped:40",), "tasks": ()}, "--compare is for tasks"),
])  # fmt: skip
def test_what_makes_no_sense_is_known_before_anything_is_read(run, tmp_path, monkeypatch, asked, message):
    use_tasks(monkeypatch, Brightness())
    with pytest.raises(UsageError, match=message):
        run(**asked)
    assert not list(tmp_path.iterdir())


def test_networks_are_chosen_by_name() -> None:
    effort = find_preset("quick").tasks.effort
    other = with_networks(effort, ["resnet18", "unet-wide"])
    assert (other.classifier, other.segmenter) == ("resnet18", "unet-wide")
    assert with_networks(effort, []) == effort
    with pytest.raises(UsageError, match="resnet18") as caught:
        with_networks(effort, ["resnet19"])
    assert "resnet18" in caught.value.hint
    with pytest.raises(UsageError, match="two networks"):
        with_networks(effort, ["resnet18", "resnet34"])
    with pytest.raises(UsageError, match="none was asked for"):
        request_of("quick", 0, [], [], [], ["resnet18"])


@pytest.mark.slow  # an interruption by default, above
def test_a_full_disk_loses_nothing_that_was_done(run, tmp_path, monkeypatch):
    first, whole = Brightness(), Brightness()
    use_tasks(monkeypatch, whole)
    run(out=tmp_path / "whole")
    use_tasks(monkeypatch, first)
    kept, keep = [], UnitStore.keep

    def full(store, key, result):
        if len(kept) == 8:  # the fidelity and the checks come before the tasks
            raise NotKeptError("a file could not be written: No space left on device", hint="--resume")
        kept.append(key)
        keep(store, key, result)

    with monkeypatch.context() as patch:
        patch.setattr(UnitStore, "keep", full)
        with pytest.raises(MedveilError, match="No space left") as caught:
            run()
    assert "--resume" in caught.value.hint
    assert not (tmp_path / "audit").exists()
    second = Brightness()
    use_tasks(monkeypatch, second)
    run(resume=True)
    assert len(second.learned) < len(whole.learned)
    assert without_seconds(tmp_path / "audit") == without_seconds(tmp_path / "whole")


def test_rare_labels_are_not_told(run, labelled, tmp_path, monkeypatch):
    use_tasks(monkeypatch, Brightness())
    text = (labelled / "manifest.csv").read_text().replace("masks/", f"{labelled}/masks/")
    text = text.replace("data/", f"{labelled}/data/").replace("normal", "Meier Anna $x", 1)
    (tmp_path / "other.csv").write_text(text)
    audit = run(manifest=tmp_path / "other.csv")
    assert audit.data["tasks"]["labels_too_rare"] >= 1
    assert "Meier" not in json.dumps(audit.data, default=str)
