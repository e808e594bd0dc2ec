"""What others may bring, in one file each, goes through medveil.testing, which sees broken ones."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.extend.toy_anonymizer import Posterize
from tests.extend.toy_attack import Turner
from tests.extend.toy_codec import BlockCodec
from tests.extend.toy_mechanism import TurnedBlocks
from tests.extend.toy_task import Brightness

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Goal, Guess
from medveil.codecs.code import CodeMap, SparseCode
from medveil.testing import CheckError, check_anonymizer, check_attack, check_codec, check_mechanism, check_task


def _blocks(repository: Path) -> list[str]:
    page = (repository / "docs" / "extend.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def test_the_page_shows_these_files_and_its_checks_run(repository: Path) -> None:
    checks, *files = _blocks(repository)
    folder = Path(__file__).parent
    assert files == [
        (folder / f"toy_{kind}.py").read_text() for kind in ("codec", "mechanism", "attack", "task", "anonymizer")
    ]
    done = subprocess.run([sys.executable, "-c", checks], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_names_classes_that_are_there(repository: Path) -> None:
    page = (repository / "docs" / "extend.md").read_text(encoding="utf-8")
    sources = re.findall(r'^(\w+) = "(toy_\w+):(\w+)"$', page, flags=re.MULTILINE)
    assert len(sources) == 4
    for name, module, attribute in sources:
        assert getattr(importlib.import_module(f"tests.extend.{module}"), attribute).name == name


def test_a_codec_of_one_file_holds() -> None:
    check_codec(BlockCodec())


def _levels_of_zero(code):
    (only,) = code.maps
    return SparseCode((CodeMap(only.cells, only.positions, only.levels * 0),), code.side)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"name": "No Name"}, "lower-case words"),
        ({"vector_length": None}, "vector_length is of type int"),
        ({"weights_bytes": lambda self: b"weights"}, "sha256 of the weights"),
        ({"encode": lambda self, *given: _levels_of_zero(BlockCodec.encode(self, *given))}, "no value is zero"),
        ({"decode": lambda self, *given: BlockCodec.decode(self, *given)[1:]}, "pixels come back as"),
        ({"decode": lambda self, *given: BlockCodec.decode(self, *given) // 2}, "20 dB at least; here it is"),
        ({"decode": lambda self, code, *given: np.zeros((64, 64), np.uint8)[code.side[3] :]}, "pixels come back"),
    ],
)  # fmt: skip
def test_a_broken_codec_is_seen(broken, said) -> None:
    with pytest.raises(CheckError, match=said):
        check_codec(type("Broken", (BlockCodec,), broken)())


class _Deep(BlockCodec):
    """Says that it takes 12 bits, and gives back 8."""

    def profile(self, *, quality_centidb, sparsity, deep):
        return replace(BlockCodec.profile(self, quality_centidb=quality_centidb, sparsity=sparsity, deep=0), deep=deep)


def test_a_codec_that_fails_on_twelve_bits_or_on_larger_pictures_is_seen() -> None:
    with pytest.raises(CheckError, match=r"pixels come back as .* uint16"):
        check_codec(_Deep())
    check_codec(_Deep(), _Deep().profile(quality_centidb=4000, sparsity=None, deep=0))

    def decode(self, code, profile, bucket):
        return BlockCodec.decode(self, code, profile, bucket) // (1 + (bucket.height > 64))

    with pytest.raises(CheckError, match="20 dB at least; here it is"):
        check_codec(type("Small", (BlockCodec,), {"decode": decode})())


class _Average:
    """The mean picture of the attacker's own, whatever the package."""

    name, title, goal, knows, needs, cost = "average", "an average", Goal.SUPPORT, "pictures", "nothing", "nothing"
    requires, trains = (), False

    def fit(self, knowledge):
        self.usual = np.mean([case.subject.picture for case in knowledge.own], axis=0, dtype=np.float32)
        return self

    def predict(self, observation):
        return Guess(picture=self.usual)


def test_an_attack_is_run_without_a_mechanism_of_its_own_too() -> None:
    check_attack(_Average())
    with pytest.raises(CheckError, match="a picture is"):
        check_attack(type("Broken", (_Average,), {"predict": lambda self, seen: Guess(picture=np.zeros((3, 3)))})())
    never = {"requires": (Need.STREAM,), "fit": lambda self, knowledge: 1 / 0}  # codes in the clear have none
    check_attack(type("Elsewhere", (_Average,), never)())


def test_a_codec_that_stumbles_over_damage_is_seen() -> None:
    def decode(self, code, *given):
        if len(code.side) != 4:
            raise ValueError("unexpected")
        return BlockCodec.decode(self, code, *given)

    with pytest.raises(CheckError, match="end in an IntegrityError; here it is ValueError"):
        check_codec(type("Broken", (BlockCodec,), {"decode": decode})())


def test_a_codec_that_draws_is_seen() -> None:
    generator = np.random.default_rng(1)

    def encode(self, image, *given):
        noise = generator.integers(0, 8, image.pixels.shape).astype(np.uint8)
        return BlockCodec.encode(self, image.with_pixels(image.pixels // 2 + noise), *given)

    def decode(self, *given):
        return np.clip(2 * (BlockCodec.decode(self, *given).astype(int) - 3), 0, 255).astype(np.uint8)

    with pytest.raises(CheckError, match="one image has one code"):
        check_codec(type("Broken", (BlockCodec,), {"encode": encode, "decode": decode})(), least_db=5)


def test_a_mechanism_of_one_file_holds() -> None:
    check_mechanism(TurnedBlocks())


def _changed(change):
    def publish(self, subject, key):
        return change(TurnedBlocks.publish(self, subject, key))

    return {"publish": publish}


_COUNT = iter(range(1, 10**6))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"name": ""}, "lower-case words"),
        (_changed(lambda seen: replace(seen, place=next(_COUNT) / 10**6)), "in one way"),
        (_changed(lambda seen: replace(seen, encoding=seen.encoding * 0)), "another key shows other values"),
        (_changed(lambda seen: replace(seen, encoding=seen.encoding + np.float32("inf"))), "finite|other values"),
        (_changed(lambda seen: replace(seen, place=2.0)), "place is 0 to 1"),
        (_changed(lambda seen: replace(seen, bucket=replace(seen.bucket, width=7))), "multiples of 64"),
    ],
)  # fmt: skip
def test_a_broken_mechanism_is_seen(broken, said) -> None:
    with pytest.raises(CheckError, match=said):
        check_mechanism(type("Broken", (TurnedBlocks,), broken)())


def test_an_anonymizer_of_one_file_holds() -> None:
    check_anonymizer(Posterize())


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"promise": ""}, "promise says something"),
        ({"secret": True}, "draws says whether"),
        ({"apply": lambda self, images, key: images[0].with_pixels(images[0].pixels // next(_COUNT), padding=None)},
         "one key makes one picture"),
        ({"apply": lambda self, images, key: images[0]}, "no padding is left"),
        ({"apply": lambda self, images, key: images[0].with_pixels(images[0].pixels[:-2], padding=None)}, "size and"),
        ({"groups": lambda self, candidates, stream: [(0, 1), (1, 2)]}, "in one group at most"),
        ({"groups": lambda self, candidates, stream: [(99,)]}, "of the images that were given"),
    ],
)  # fmt: skip
def test_a_broken_anonymizer_is_seen(broken, said) -> None:
    with pytest.raises(CheckError, match=said):
        check_anonymizer(type("Broken", (Posterize,), broken)())


def test_an_attack_of_one_file_holds() -> None:
    check_attack(Turner(), TurnedBlocks())


class _Blind(Turner):
    def predict(self, observation):
        return Guess(picture=np.full_like(self.usual, 128, np.float32))


class _Lucky(Turner):
    """Draws from no seed."""

    def fit(self, knowledge):
        self.draw = np.random.default_rng()
        return super().fit(knowledge)

    def predict(self, observation):
        guess = super().predict(observation)
        return Guess(picture=guess.picture + self.draw.normal(0, 1, guess.picture.shape).astype(np.float32))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (type("Broken", (Turner,), {"goal": "money"}), "goal is of type Goal"),
        (type("Broken", (Turner,), {"knows": " "}), "knows says something in words"),
        (type("Broken", (Turner,), {"requires": ("pictures",)}), "requires is of Need"),
        (type("Broken", (Turner,), {"predict": lambda self, seen: Guess()}), "an opinion on something"),
        (type("Broken", (Turner,), {"predict": lambda self, seen: Guess(picture=np.zeros((3, 3)))}), "a picture is"),
        (_Blind, "tells it more than another one by two"),
        (_Lucky, "the same knowledge and seed"),
    ],
)  # fmt: skip
def test_a_broken_attack_is_seen(broken, said) -> None:
    with pytest.raises(CheckError, match=said):
        check_attack(broken(), TurnedBlocks())


def test_an_attack_that_finds_something_in_nothing_is_seen() -> None:
    with pytest.raises(CheckError, match="nothing of the image is published"):
        check_attack(Turner(), TurnedBlocks(), strong=TurnedBlocks())


def test_a_task_of_one_file_holds() -> None:
    check_task(Brightness())


def _result(change):
    return {"result": lambda self, *given: change(Brightness.result(self, *given))}


def _unsteady(found):
    (question,) = found.questions
    values = {"auc": replace(question.cells[0].values["auc"], mean=0.9 + next(_COUNT) / 10**6)}
    first = replace(question.cells[0], values=values)
    return replace(found, questions=(replace(question, cells=(first, *question.cells[1:])),))


def _fails(self, *given):
    raise ValueError("unexpected")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"measures": ""}, "measures says something"),
        ({"units": lambda self, assignment: ()}, "there are units to be done"),
        ({"units": lambda self, assignment: 2 * Brightness.units(self, assignment)}, "a key of its own"),
        ({"result": _fails}, "are not refused; here it is Status.FAILED: ValueError"),
        (_result(lambda found: replace(found, questions=())), "has questions"),
        (_result(lambda found: replace(found, name="x")), "bears the task"),
        (_result(_unsteady), "the same seed gives the same result"),
        ({"_images": lambda self, assignment: assignment.gallery.images}, "is refused by an InputError"),
    ],
)  # fmt: skip
def test_a_broken_task_is_seen(broken, said) -> None:
    with pytest.raises(CheckError, match=said):
        check_task(type("Broken", (Brightness,), broken)())
