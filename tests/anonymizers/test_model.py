"""Models of methods that learn: written whole, private, read only where they are sound and fit; and the commands."""

from __future__ import annotations

import json
import os
import stat

import numpy as np
import pytest
from tests import image_files
from tests.anonymizers.toy_learner import Unmean
from tests.cli.shell import run
from tests.pictures import picture

from medveil.anonymizers.model import CARD_FILE, MODEL_FILE, AnonymizerModel, read_model, write_model
from medveil.anonymizers.registry import ANONYMIZERS, get_anonymizer, model_for
from medveil.errors import FormatVersionError, TargetExistsError, UnreadableInputError, UsageError

pytest.importorskip("safetensors", reason="models need safetensors")


@pytest.fixture(autouse=True)
def learner(monkeypatch):
    monkeypatch.setitem(ANONYMIZERS._registered, "unmean", Unmean)


@pytest.fixture
def model():
    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([7], np.int64)}
    return AnonymizerModel("unmean", {"weight": 2}, arrays, {"images": 3, "note": "ä"})


def test_a_model_comes_back_whole_and_is_private(tmp_path, model):
    written = write_model(tmp_path / "model", model)
    found = read_model(tmp_path / "model")
    assert (found.method, found.settings, found.facts, found.digest) == (
        "unmean", {"weight": 2}, {"images": 3, "note": "ä"}, written.digest,
    )  # fmt: skip
    assert set(found.arrays) == {"a", "b"}
    assert all(np.array_equal(found.arrays[name], array) for name, array in model.arrays.items())
    assert found.arrays["a"].dtype == np.int64
    if os.name == "posix":
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "model", *(tmp_path / "model").iterdir())]
        assert modes == [0o700, 0o600, 0o600]
    card = (tmp_path / "model" / CARD_FILE).read_text()
    assert all(word in card for word in ("never lie in `public/`", written.digest.hex(), "setting weight | 2"))
    with pytest.raises(TargetExistsError):
        write_model(tmp_path / "model", model)


def test_equal_models_have_equal_digests_whatever_the_order_of_their_arrays(model):
    turned = AnonymizerModel(model.method, model.settings, dict(reversed(model.arrays.items())), model.facts)
    assert turned.to_bytes() == model.to_bytes()
    with pytest.raises(ValueError, match="arrays of a model are"):
        AnonymizerModel("unmean", {}, {"a": np.zeros(3)}).to_bytes()


@pytest.mark.parametrize("at", ["array", "end", "header"])
def test_damage_is_told_from_another_file(tmp_path, model, at):
    write_model(tmp_path, model)
    path = tmp_path / MODEL_FILE
    data = bytearray(path.read_bytes())
    if at == "array":
        data[-3] ^= 1
    elif at == "end":
        del data[-4:]
    else:
        data = data.replace(b'"b":{"dtype":"F32"', b'"b":{"dtype":"F99"')
    path.write_bytes(data)
    with pytest.raises(UnreadableInputError, match="damaged"):
        read_model(tmp_path)
    path.write_bytes(b"something else")
    with pytest.raises(UsageError, match="not a model"):
        read_model(tmp_path)
    path.write_bytes(model.to_bytes().replace(b'\\"format\\":1', b'\\"format\\":9'))
    with pytest.raises(FormatVersionError):
        read_model(tmp_path)
    path.unlink()
    with pytest.raises(UsageError, match="no model in that folder"):
        read_model(tmp_path)


def test_a_model_is_applied_with_the_settings_it_was_learned_with(model):
    assert get_anonymizer("unmean", {"bias": "3"}, model).stated == {"weight": 2, "bias": 3}
    with pytest.raises(UsageError, match="learned with another weight"):
        get_anonymizer("unmean", {"weight": "1"}, model)
    with pytest.raises(UsageError, match="not one of the method unmean"):
        get_anonymizer("unmean", {}, AnonymizerModel("other", {}, {}))
    with pytest.raises(UsageError, match="uses no model"):
        get_anonymizer("pixelate", {}, model)


def test_which_model_is_meant(tmp_path, model):
    digest = write_model(tmp_path, model).digest
    assert model_for("unmean", tmp_path).digest == model_for("unmean", tmp_path, digest).digest == digest
    assert model_for("pixelate", None) is model_for("pixelate", None, b"") is None
    for name, folder, wanted, said in (
        ("unmean", None, None, "needs a model"), ("unmean", tmp_path, bytes(32), "with another model"),
        ("unmean", None, digest, "does not come with"), ("pixelate", tmp_path, None, "uses none"),
        ("unmean", tmp_path, b"", "made without one"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            model_for(name, folder, wanted)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["image,patient_id,label"]
    for number in range(6):
        folder = tmp_path / ("own" if number < 3 else "others")
        folder.mkdir(exist_ok=True)
        (folder / f"Doe{number}.png").write_bytes(image_files.png(picture(number, 32, 32)))
        lines.append(f"{folder.name}/Doe{number}.png,Doe{number},ill{number % 2}")
    (tmp_path / "others" / "Doe9.png").write_bytes(b"\x89PNG")
    (tmp_path / "manifest.csv").write_text("\n".join([*lines, "others/Doe9.png,Doe9,ill0"]) + "\n")
    return tmp_path


def learnt(*more, images="others", out="model"):
    line = ("train", "--anonymizer", "unmean", images, "--manifest", "manifest.csv", "--set", "weight=2", "-o", out)
    return run(*line, *more, "--json")


def test_from_training_to_the_audit(desk):
    made = learnt()
    assert (made.code, made.json["done"], made.json["patients"], made.json["unreadable"]) == (0, 2, 2, 1)
    assert made.json["facts"]["images"] == 2
    assert "never lie in what you release" in made.err
    assert "Doe" not in made.out + made.err + (desk / "model" / CARD_FILE).read_text()
    assert run("train", "--anonymizer", "unmean", "others", "-o", "model").code == 1
    release = ("anonymize", "own", "-o", "public", "--link", "link.csv", "--method", "unmean", "-j", "1")
    assert run(*release).code == 2
    done = run(*release, "--model", "model", "--json")
    assert (done.code, done.json["model"], done.json["settings"]) == (0, made.json["model"], {"weight": 2, "bias": 0})
    assert json.loads((desk / "public" / "release.json").read_text())["model"] == made.json["model"]
    inside = run("train", "others", "--anonymizer", "unmean", "-o", "public/model")
    assert (inside.code, "inside a release" in inside.err) == (1, True)


def test_the_attacker_gets_the_model_and_no_other(desk):
    pytest.importorskip("torch", reason="an audit needs torch")
    learnt()
    assert learnt(images="own", out="other").code == 0
    run("anonymize", "own", "-o", "public", "--link", "l.csv", "--method", "unmean", "-j", "1", "--model", "model")
    audit = (
        "audit", "public", "--originals", "own", "--link", "l.csv", "--manifest", "manifest.csv", "--attacks", "none",
        "--dry-run", "-o",
    )  # fmt: skip
    assert run(*audit, "out/a", "--model", "model").code == 0
    assert run(*audit, "out/a").code == run(*audit, "out/a", "--model", "other").code == 2
    assert run(*audit, "model/audit", "--model", "model").code == 1


def test_methods_say_that_they_need_a_model():
    assert "a model: medveil train --anonymizer unmean" in run("anonymizers").out
    listed = {each["name"]: each for each in run("anonymizers", "--json").json["anonymizers"]}
    assert (listed["unmean"]["learns"], listed["pixelate"]["learns"]) == (True, False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("--anonymizer", "unmean", "--codec", "primis"), "--codec is for codecs"),
        (("--anonymizer", "unmean", "--sparsity", "4"), "--sparsity is for codecs"),
        (("--anonymizer", "pixelate"), "nothing to learn"),
        (("--anonymizer", "blur"), "there is no method"),
        (("--set", "weight=2"), "--set is for methods"),
    ],
)
def test_what_makes_no_sense_is_refused(desk, line, said):
    done = run("train", "others", "-o", "model", *line)
    assert (done.code, said in done.err) == (2, True), done.err
    assert not (desk / "model").exists()
