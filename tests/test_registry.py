"""Things by name: near names, what is missing, what breaks, what comes twice; other packages are made for it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest
from tests.cli.shell import run

from medveil.attacks import registry as attacks
from medveil.codecs.registry import codec_of_profile, get_codec
from medveil.errors import MissingDependencyError, UsageError
from medveil.registry import Availability, Registry

_GROUP = "medveil.attacks"
_SOUND = """
class Guesser:
    name, title, knows, needs, cost = "guesser", "guesses", "nothing", "nothing", "seconds"
    goal, requires, trains = "keys", (), False
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install packages with one attack each: name of the attack → text of its module."""

    def install(*packages: tuple[str, str]) -> None:
        monkeypatch.syspath_prepend(str(tmp_path))
        for number, (name, text) in enumerate(packages):
            module = f"other_{tmp_path.name.replace('-', '_')}_{number}"
            (tmp_path / f"{module}.py").write_text(text)
            about = tmp_path / f"{module}-1.0.dist-info"
            about.mkdir()
            (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
            (about / "entry_points.txt").write_text(f"[{_GROUP}]\n{name} = {module}:Guesser\n")
        importlib.invalidate_caches()

    return install


def known(**built_in):
    return Registry("colour", built_in, group=_GROUP, extra="paint", hint="see the chart")


def test_what_comes_with_medveil_is_found_without_a_look_at_the_installed_packages(monkeypatch):
    """Once for every image of a share that took a tenth of its time."""

    def scan(**_):
        raise AssertionError("the installed packages were looked through")

    profile = get_codec("lapped").profile(quality_centidb=4000, sparsity=None, deep=0)
    monkeypatch.setattr(importlib.metadata, "entry_points", scan)
    assert codec_of_profile(profile, None).name == get_codec("lapped").name == "lapped"


def test_what_is_there_is_made():
    colours = known(red=lambda *mixed: ("red", *mixed), text="textwrap:TextWrapper")
    assert colours.make("red") == ("red",)
    assert colours.make("red", 3) == ("red", 3)
    assert colours.make("text", 12).width == 12
    assert colours.names() == ("red", "text")


def test_a_near_name_is_told_and_what_was_asked_for_is_not():
    colours = known(red=dict, green=dict)
    with pytest.raises(UsageError) as caught:
        colours.make("grene")
    assert caught.value.message == "there is no colour of that name; there are red, green"
    assert caught.value.hint == "did you mean green?"
    with pytest.raises(UsageError) as caught:
        colours.make("Smith^John")
    assert caught.value.hint == "see the chart"
    assert "Smith" not in caught.value.message


def test_a_missing_package_is_named_with_what_installs_it():
    colours = known(red=dict, blue="package_that_is_not_there.colours:Blue")
    with pytest.raises(MissingDependencyError) as caught:
        colours.make("blue")
    assert caught.value.message == "colour blue needs package_that_is_not_there, which is not installed"
    assert caught.value.hint == 'pip install "medveil[paint]"'
    assert [(each.name, each.ok) for each in colours.availabilities()] == [("red", True), ("blue", False)]


def test_a_name_is_given_once():
    colours = known(red=dict)
    colours.register("blue")(dict)
    for name in ("red", "blue"):
        with pytest.raises(UsageError, match=f"there is a colour {name} already"):
            colours.register(name)
    assert colours.names() == ("red", "blue")


def test_another_package_brings_one(installed):
    installed(("guesser", _SOUND))
    assert attacks.chosen_attacks(("guesser",))[0].title == "guesses"
    assert "guesser" in attacks.attack_names()
    assert attacks.unavailable_attacks() == ()


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("import package_that_is_not_there", "needs package_that_is_not_there, which is not installed"),
        ("raise ValueError('secret')", "is not available: it fails to load (ValueError)"),
        ("def (", "is not available: it fails to load (SyntaxError)"),
        ("import sys; sys.exit(3)", "is not available: it fails to load (SystemExit)"),
        ("x = 1", "is not available: it fails to load (AttributeError)"),
        ("Guesser = 3", "is not available: it fails to load (TypeError)"),
        ("class Guesser:\n def __init__(self): 1 / 0", "is not available: it fails to load (ZeroDivisionError)"),
        (_SOUND.replace('"guesser"', '"other"'), "is not available: it calls itself by another name"),
    ],
)
def test_a_broken_package_is_unavailable_and_stops_nothing(installed, text, because):
    before = attacks.attack_names()
    installed(("guesser", text))
    assert attacks.attack_names() == before
    hint = "see to the package that it comes with"
    assert attacks.unavailable_attacks() == (Availability("guesser", False, f"attack guesser {because}", hint),)
    with pytest.raises(MissingDependencyError) as caught:
        attacks.chosen_attacks(("guesser",))
    assert caught.value.message == f"attack guesser {because}"
    assert run("attacks", "--json").json["unavailable"] == [{"name": "guesser", "because": f"attack guesser {because}"}]


def test_a_taken_name_is_refused(installed):
    installed(("unet", _SOUND.replace("guesser", "unet")))
    (unet,) = attacks.chosen_attacks(("unet",))
    assert unet.title != "guesses"
    ((name, ok, because),) = [(each.name, each.ok, each.because) for each in attacks.unavailable_attacks()]
    assert (name, ok) == ("unet", False)
    assert because == "attack unet is not available: another package brings it, and the name is taken"


def test_of_two_packages_with_one_name_neither_is_taken(installed):
    installed(("guesser", _SOUND), ("guesser", _SOUND))
    with pytest.raises(MissingDependencyError, match="2 packages bring one of that name"):
        attacks.chosen_attacks(("guesser",))


def test_what_there_is_is_told_without_what_it_needs():
    """`info` and `attacks` answer at once: what is heavy is looked for, and not imported."""
    heavy = ("torch", "monai", "scipy", "sklearn", "skimage", "matplotlib", "pandas", "PIL", "pydicom", "nibabel")
    code = (
        "import sys; from tests.cli.shell import run; told = [run(c).code for c in ('info', 'attacks')]; "
        f"print(told, [name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 0] []"


def test_what_a_built_in_one_needs_is_looked_for_before(monkeypatch):
    made = Registry("colour", {"red": "colorsys:rgb_to_hls"}, extra="paint", needs={"red": ("torch",)})
    assert [each.ok for each in made.availabilities()] == [True]
    monkeypatch.setitem(sys.modules, "torch", None)
    (red,) = made.availabilities()
    assert (red.ok, red.because) == (False, "colour red needs torch, which is not installed")
    with pytest.raises(MissingDependencyError) as caught:
        made.make("red")
    assert caught.value.hint == 'pip install "medveil[paint]"'


def test_a_recognizer_without_its_package_is_told_and_never_left_out_in_silence(monkeypatch):
    every = {each.name for each in (*attacks.all_recognizers(), *attacks.unavailable_recognizers())}
    assert every == set(attacks.RECOGNIZERS.names())
    monkeypatch.setitem(sys.modules, "cv2", None)
    told = {each.name: each.told for each in attacks.unavailable_recognizers()}
    assert told["sift"] == 'recognizer sift needs cv2, which is not installed: pip install "medveil[matching]"'
    assert {each.name for each in attacks.all_recognizers()} == every - set(told)
    with pytest.raises(MissingDependencyError) as caught:
        attacks.RECOGNIZERS.make("xfeat")
    assert caught.value.hint == 'pip install "medveil[matching]"'


@pytest.mark.parametrize("name", ["none", "all", "a,b", "a b", "", "-a", "Red", "a--b", "../a", "a\n"])
def test_names_that_lists_and_files_cannot_hold_are_refused(installed, name):
    with pytest.raises(UsageError, match="lower-case letters and digits"):
        known().register(name)
    known().register("light-blue_2")


def test_an_attack_of_another_package_that_may_not_be_called_so_is_told_as_unavailable(installed):
    installed(("none", _SOUND), ("a b", _SOUND), ("guesser", _SOUND))
    assert not {"none", "a b"} & set(attacks.attack_names())
    assert "guesser" in attacks.attack_names()
    told = {each.name: each.because for each in attacks.unavailable_attacks()}
    assert {"none", "a b"} <= set(told)
    assert "neither none nor all" in told["none"]
    with pytest.raises(UsageError):
        attacks.chosen_attacks(["a b"])
