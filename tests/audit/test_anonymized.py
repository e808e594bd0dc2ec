"""An open release as a target: pictures find their originals, attackers can apply the method, and errors are told."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from tests import image_files
from tests.audit.scenes import use_small_effort
from tests.cli.shell import run
from tests.pictures import picture

from medveil.anonymizers.registry import get_anonymizer
from medveil.audit.targets.anonymized import anonymized_target
from medveil.audit.targets.target import Kind, Limits
from medveil.datasets.manifest import read_manifest
from medveil.errors import IntegrityError, UsageError
from medveil.images import read
from medveil.keys.identity import Identity
from medveil.releases.anonymizing import Row, anonymize
from medveil.report.first_page import recipients, released

OWNER = Identity.fresh()
SETTINGS = {"pixelate": {"cells": "8"}, "mixup": {"size": "32"}, "k-same": {"k": "3", "size": "64"}}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Six released images of six patients, and six of others beside them."""
    root = tmp_path_factory.mktemp("clinic")
    rows = []
    for number in range(12):
        folder = root / "all" / ("shared" if number < 6 else "others")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(image_files.png(picture(number, 64, 48)))
        rows.append((f"all/{folder.name}/{number}.png", f"p{number}"))
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "patient_id"), *rows])
    patients = {record.path.name: record.patient for record in read_manifest(root / "manifest.csv")}
    for method, settings in SETTINGS.items():
        anonymize(
            [root / "all" / "shared"], root / method, root / f"{method}.csv", get_anonymizer(method, settings),
            owner=OWNER, again=True, jobs=1,
            rows=lambda tasks: {task.number: Row(patients[task.path.name]) for task in tasks},
        )  # fmt: skip
    return root


def target(clinic, method="pixelate", *, link=None, owner=None, manifest=True, **limits):
    return anonymized_target(
        clinic / method, clinic / "all", clinic / f"{link or method}.csv",
        clinic / "manifest.csv" if manifest else None, owner, limits=Limits(100, 100, 100, **limits), working=32,
        seed=0,
    )  # fmt: skip


def test_pictures_are_those_of_their_originals(clinic):
    found = target(clinic, owner=OWNER.recipient)
    assert (found.kind, len(found.subjects), len(found.outside), found.patients_known) == (Kind.OPEN, 6, 6, True)
    (images,) = found.image_sets
    for subject in found.subjects:
        expected = get_anonymizer("pixelate", SETTINGS["pixelate"]).apply([subject.image], bytes(32))
        assert np.array_equal(images.stored(subject), expected.pixels)
        assert found.case_of(subject).observation.picture.shape == (32, 32)
        assert found.mechanism.publish(subject, bytes(32)).picture == pytest.approx(
            found.case_of(subject).observation.picture
        )
    assert [check.ok for check in found.form_checks()] == [True, True]
    told = dict(released(found.facts))
    assert told["Images"] == "6 pictures by pixelate, cells 8"
    assert told["Owner"] == OWNER.fingerprint
    assert recipients(found.facts) == ["Everybody: an open release has no key."]
    assert "nobody vouches" in dict(released(target(clinic).facts))["Owner"]


@pytest.mark.parametrize("method", ["mixup", "k-same"])
def test_a_picture_of_several_is_that_of_each(clinic, method):
    found = target(clinic, method)
    (images,) = found.image_sets
    groups = {}
    for subject in found.subjects:
        stored = images.stored(subject)
        assert (stored.shape, stored.dtype) == ((64, 48), np.uint8)
        groups.setdefault(found.case_of(subject).observation.picture.tobytes(), []).append(subject.number)
    assert {len(group) for group in groups.values()} == {2 if method == "mixup" else 3}
    tries = [found.mechanism.publish(found.outside[0], bytes([number]) * 32).picture for number in (0, 0, 1)]
    assert np.array_equal(tries[0], tries[1])
    assert np.array_equal(tries[0], tries[2]) == (method == "k-same")  # nearest partners, or random ones


def test_recognizers_see_what_the_files_show(clinic):
    assert target(clinic).people is None
    found = target(clinic, recognized=100, known=100)
    people = found.people
    assert (len(people.reals), len(people.pictures), people.secret) == (6, 6, False)
    for each in people.pictures:
        (member,) = each.members
        (subject,) = (each for each in people.reals if each.number == member.image)
        assert member.patient == subject.patient
        view, made = each.view(), people.publisher(found.outside)(subject, bytes(32))
        assert np.array_equal(view.plane, made.plane)
        assert view.facts == made.facts
        assert (view.facts["height"], view.facts["attribute kind"]) == (64, "png")
        assert view.facts["bytes"] > 100
        assert people.real(subject).plane == pytest.approx(subject.image.pixels)


def test_an_attacker_mixes_images_of_one_data_set_as_the_method_does(tmp_path):
    lines, rows = ["image,patient_id,source"], {}
    for number in range(12):
        folder, source = ("shared" if number < 4 else "others"), ("down", "across")[number % 2]
        (tmp_path / "all" / folder).mkdir(parents=True, exist_ok=True)
        values = (6 * np.mgrid[:32, :32][number % 2] + number).astype(np.uint8)
        (tmp_path / "all" / folder / f"{number}.png").write_bytes(image_files.png(values))
        lines.append(f"all/{folder}/{number}.png,p{number},{source}")
        rows[str(number)] = Row(f"p{number}", (source, ""))
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    anonymize(
        [tmp_path / "all" / "shared"], tmp_path / "mixup", tmp_path / "mixup.csv",
        get_anonymizer("mixup", {"size": "32"}), owner=OWNER, again=True, jobs=1,
        rows=lambda tasks: {task.number: rows[task.path.stem] for task in tasks},
    )  # fmt: skip
    found = target(tmp_path, "mixup", recognized=100, known=100)
    publish = found.people.publisher(found.outside)
    for subject in found.people.reals:
        plane, axis = publish(subject, bytes([subject.number]) * 32).plane, int(subject.image.pixels[0, 0] % 2)
        assert float(plane.std(axis=1 - axis).max()) < 1 < float(plane.std(axis=axis).max())


def test_facts_of_dicom_files_are_those_that_everybody_reads(tmp_path):
    (tmp_path / "all").mkdir()
    for number in range(2):
        pixels = 16 * picture(number, 40, 48).astype(np.uint16)
        data = image_files.dicom(
            pixels, bits_stored=12, Modality="DX", ViewPosition=("PA", "AP")[number], PatientName="Doe^John"
        )
        (tmp_path / "all" / f"{number}.dcm").write_bytes(data)
    labels = ("normal", "viral")
    (tmp_path / "manifest.csv").write_text(
        "image,patient_id,label\n" + "".join(f"all/{n}.dcm,p{n},{label}\n" for n, label in enumerate(labels))
    )
    anonymize(
        [tmp_path / "all"], tmp_path / "open", tmp_path / "open.csv", get_anonymizer("pixelate", {"cells": "8"}),
        owner=OWNER, again=True, jobs=1, columns=("label",),
        rows=lambda tasks: {task.number: Row(f"p{task.number}", (), (labels[int(task.path.stem)],)) for task in tasks},
    )  # fmt: skip
    people = anonymized_target(
        tmp_path / "open", tmp_path / "all", tmp_path / "open.csv", tmp_path / "manifest.csv", None,
        limits=Limits(9, 9, recognized=9, known=9), working=32, seed=0,
    ).people  # fmt: skip
    for each in people.pictures:
        (subject,) = (one for one in people.reals if one.number == each.members[0].image)
        told, made, real = each.view(), people.publisher(())(subject, bytes(32)), people.real(subject)
        assert {**told.facts, "bytes": 0} == {**made.facts, "bytes": 0}
        assert told.facts["bytes"] == pytest.approx(made.facts["bytes"], abs=8)  # UIDs have more or fewer digits
        assert (told.facts["bits"], told.facts["attribute 00185101"] in ("PA", "AP")) == (12, True)
        assert told.facts["label label"] in labels
        assert {name: told.facts[name] for name in ("label label", "attribute 00185101")} == {
            name: real.facts[name] for name in ("label label", "attribute 00185101")
        }
        assert not any("Doe" in str(value) for value in (*told.facts.values(), *real.facts.values()))
        assert np.array_equal(told.plane, made.plane)


def test_a_picture_of_several_people_stands_for_each_and_who_was_left_out_is_looked_for(clinic):
    people = target(clinic, "k-same", recognized=100, known=100).people
    assert [len(picture.members) for picture in people.pictures] == [3, 3]
    assert {member.patient for picture in people.pictures for member in picture.members} == set(range(6))
    one, other = (people.publisher(())(people.reals[0], bytes([number]) * 32).plane for number in (0, 1))
    assert np.array_equal(one, other) != people.secret
    assert target(clinic, "mixup", recognized=100, known=100).people.secret


def test_the_link_file_says_who_is_who_where_no_manifest_does(clinic):
    named = target(clinic, manifest=False, recognized=100, known=100)
    assert (named.patients_known, len(named.outside)) == (True, 0)  # whose the others are is not known
    assert len({subject.patient for subject in named.subjects}) == 6


def test_an_attackers_partners_are_never_under_attack(clinic):
    found = target(clinic, "mixup")
    others = {subject.image.pixels.tobytes() for subject in found.outside}
    assert {image.pixels.tobytes() for image in found.mechanism._pool} == others


def test_what_was_changed_fails_the_checks(clinic, tmp_path):
    import shutil

    copy = shutil.copytree(clinic / "pixelate", tmp_path / "pixelate")
    (copy / "images" / "more.png").write_bytes(b"")
    shutil.copy(clinic / "pixelate.csv", tmp_path / "pixelate.csv")
    (tmp_path / "all").symlink_to(clinic / "all")
    found = target(tmp_path, manifest=False)
    assert next(check.ok for check in found.form_checks()) is False


def test_what_does_not_fit_is_told(clinic, tmp_path):
    with pytest.raises(UsageError, match="of another release"):
        target(clinic, link="mixup")
    with pytest.raises(UsageError, match="lacks one of the columns"):
        anonymized_target(
            clinic / "pixelate", clinic / "all", clinic / "manifest.csv", None, limits=Limits(9, 9), working=32, seed=0
        )
    with pytest.raises(IntegrityError, match="another owner"):
        target(clinic, owner=Identity.fresh().recipient)
    empty = tmp_path / "other"
    empty.mkdir()
    (empty / "x.png").write_bytes((clinic / "all" / "others" / "7.png").read_bytes())
    with pytest.raises(UsageError, match="none of the 6 images"):
        anonymized_target(
            clinic / "pixelate", empty, clinic / "pixelate.csv", None, limits=Limits(9, 9), working=32, seed=0
        )


def test_the_command_takes_a_link_file_for_an_open_release_and_a_key_for_none(clinic, tmp_path, monkeypatch):
    use_small_effort(monkeypatch)
    monkeypatch.setitem(sys.modules, "cv2", None)
    asked = ["audit", clinic / "pixelate", "--originals", clinic / "all", "-o", tmp_path / "out", "--dry-run"]
    done = run(*asked, "--link", clinic / "pixelate.csv", "--manifest", clinic / "manifest.csv", "--json")
    assert (done.code, done.json["images"], done.json["packages"]) == (0, 6, 6)
    assert "sift" not in done.json["recognizers"]
    assert 'sift needs cv2, which is not installed: pip install "medveil[matching]"' in done.err
    without = run(*asked)
    assert (without.code, "--link" in without.err) == (2, True)
    keyed = run(*asked, "--link", clinic / "pixelate.csv", "-i", tmp_path / "x.key")
    assert (keyed.code, "has no key" in keyed.err) == (2, True)
    sealed = run(
        "audit", clinic / "all", "--originals", clinic / "all", "-o", tmp_path / "o", "--link", "x", "--dry-run"
    )
    assert (sealed.code, "for open releases" in sealed.err) == (2, True)


def test_the_link_file_finds_originals_below_a_folder_above(clinic):
    assert {read(clinic / "all" / "shared" / f"{n}.png").pixels.tobytes() for n in range(6)} == {
        subject.image.pixels.tobytes() for subject in target(clinic).subjects
    }
