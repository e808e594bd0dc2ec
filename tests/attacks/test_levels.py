"""Simulated packages are like real ones, repeatable, and open with their key."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medveil.codecs.code import Bucket, SparseCode
from medveil.datasets.phantoms import draw_patient
from medveil.errors import IntegrityError
from medveil.images import read
from medveil.keys.identity import generate
from medveil.keys.tiers import KeyRing, Tier
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.levels import code_of, mechanism_of, observe
from medveil.mechanisms.observation import Shown, Subject
from medveil.mechanisms.working_pictures import Window
from medveil.protection.keystream import commit
from medveil.releases.access import find_access
from medveil.releases.packages.package import load_package
from medveil.releases.records import state as states
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
WORKING = 32
SETTINGS = {
    "sealed-lapped": ShareSettings(codec="lapped", quality=34.0, jobs=1),
    "sealed-lapped-tiers": ShareSettings(codec="lapped", quality=34.0, tiers=(Tier.EXACT, Tier.PREVIEW), jobs=1),
    "sealed-primis-preview": ShareSettings(codec="primis", tiers=(Tier.PREVIEW,), jobs=1),
    "encrypted-lapped-preview": ShareSettings(protection="encrypted", quality=34.0, tiers=(Tier.PREVIEW,), jobs=1),
    "encrypted-primis-exact": ShareSettings(protection="encrypted", codec="primis", tiers=(Tier.EXACT,), jobs=1),
    "obfuscated-primis": ShareSettings(protection="obfuscated", codec="primis", decoys=24, jobs=1),
    "obfuscated-lapped": ShareSettings(protection="obfuscated", codec="lapped", quality=34.0, jobs=1),
}


class Scene:
    """A release of one phantom, and the mechanism that it was published by."""

    def __init__(self, folder: Path, settings: ShareSettings) -> None:
        owner = generate(folder / "owner.key")
        brightness = draw_patient(1, seed=5).visits[0].brightness[::3, ::4]
        original = folder / "originals" / "phantom.png"
        original.parent.mkdir()
        Pillow.fromarray(np.rint(brightness * 255).astype(np.uint8)).save(original)
        share([original.parent], folder / "release", settings, owner=owner)
        state = states.load(folder / "release")
        self.manifest, self.entry = state.manifest, state.manifest.packages[0]
        self.package = load_package(folder / "release", self.entry, state.manifest)
        self.ring: KeyRing = find_access(folder / "release", state.ledger, state.manifest, owner).ring
        from medveil.releases.weights import codec_of

        codec = codec_of(folder / "release", state.manifest, self.ring)
        self.mechanism = mechanism_of(state.manifest, codec, window=Window(), working=WORKING, cache=CodeCache())
        image = read(original)
        bucket = Bucket.of(*image.pixels.shape)
        self.subject = Subject(0, 0, 0, image, self.mechanism.space.working_picture(image.pixels, bucket))


_scenes: dict[str, Scene] = {}


@pytest.fixture(params=SETTINGS)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    if request.param not in _scenes:
        _scenes[request.param] = Scene(tmp_path_factory.mktemp("scene"), SETTINGS[request.param])
    return _scenes[request.param]


def same_code(one: SparseCode, other: SparseCode) -> bool:
    pairs = zip(one.maps, other.maps, strict=True)
    return one.side == other.side and all(
        np.array_equal(a.positions, b.positions) and np.array_equal(a.levels, b.levels) for a, b in pairs
    )


def test_a_simulated_package_shows_what_a_real_one_of_the_image_shows(scene: Scene) -> None:
    simulated = scene.mechanism.case_of(scene.subject, KEY).observation
    real = observe(scene.package, scene.entry, 0.5, scene.mechanism)
    assert simulated.bucket == real.bucket
    assert [each.cells for each in simulated.maps] == [each.cells for each in real.maps]
    assert [len(each.positions) for each in simulated.maps] == [len(each.positions) for each in real.maps]
    assert len(simulated.commitments) == len(real.commitments) == len(real.lengths) == len(simulated.lengths)
    if scene.manifest.protection == "obfuscated":  # decoys differ, so what they take differs by a few bytes
        assert simulated.lengths[0] == pytest.approx(real.lengths[0], rel=0.02)
        assert len(simulated.stream) == pytest.approx(len(real.stream), rel=0.07)
        assert simulated.lengths[2:] == real.lengths[2:]
    else:
        assert simulated.lengths == real.lengths
        assert len(simulated.stream) == len(real.stream)


def test_an_observation_holds_what_the_file_holds(scene: Scene) -> None:
    real = observe(scene.package, scene.entry, 0.5, scene.mechanism)
    assert real.lengths == tuple(len(scene.package.sections[name]) for name, _ in scene.package.header.sections)
    assert real.commitments == scene.entry.commitments
    assert real.place == 0.5
    held = b"".join(scene.package.sections.values())
    assert real.stream[-64:] in held
    assert real.stream[:64] in held


def test_the_true_code_of_a_package_is_the_simulated_one(scene: Scene) -> None:
    true = code_of(scene.package, scene.ring, scene.mechanism)
    published = scene.mechanism.case_of(scene.subject, KEY)
    assert published.code is not None
    assert same_code(true, published.code)
    picture = scene.mechanism.space.true_picture(true, scene.package.header.bucket)
    assert np.abs(picture - scene.subject.picture).mean() < 4


def test_a_ring_of_a_lower_tier_has_no_true_code(scene: Scene) -> None:
    with pytest.raises(IntegrityError):
        code_of(scene.package, scene.ring.lowered(Tier.PREVIEW), scene.mechanism)


def test_the_key_opens_and_another_does_not(scene: Scene) -> None:
    published = scene.mechanism.case_of(scene.subject, KEY)
    opened = scene.mechanism.open(published.observation, KEY)
    assert opened is not None
    assert published.code is not None
    assert same_code(opened, published.code)
    try:
        wrong = scene.mechanism.open(published.observation, OTHER)
    except IntegrityError:
        return
    assert scene.manifest.protection == "sealed"
    assert wrong is None or not same_code(wrong, published.code)


def test_one_key_publishes_one_thing_and_two_keys_two(scene: Scene) -> None:
    first, again = (scene.mechanism.case_of(scene.subject, KEY).observation for _ in range(2))
    other = scene.mechanism.case_of(scene.subject, OTHER).observation
    assert (first.stream, first.lengths, first.place) == (again.stream, again.lengths, again.place)
    assert all(map(_equal, first.maps, again.maps))
    assert first.commitments == again.commitments
    assert first.stream != other.stream
    assert first.place != other.place
    assert not set(first.commitments) & set(other.commitments)
    assert not first.maps or not all(map(_equal, first.maps, other.maps))


def _equal(one: Shown, other: Shown) -> bool:
    return np.array_equal(one.positions, other.positions) and np.array_equal(one.values, other.values)


def test_commitments_are_those_of_the_keys_that_open() -> None:
    from medveil.keys.tiers import Section
    from medveil.mechanisms.levels import section_key

    scene = _scenes["obfuscated-primis"]
    assert scene.mechanism.case_of(scene.subject, KEY).observation.commitments[1] == commit(
        section_key(KEY, Section.SUPPORT)
    )


def test_sealed_maps_are_uniform_whatever_the_image() -> None:
    """Over many keys, a cell that is nonzero in the true code shows an entry as often as any other."""
    scene = _scenes["sealed-lapped"]
    published = [scene.mechanism.case_of(scene.subject, number.to_bytes(32, "big")) for number in range(40)]
    code = published[0].code
    assert code is not None
    number = max(range(len(code.maps)), key=lambda index: len(code.maps[index].positions))
    shape = scene.mechanism.space.compositions(scene.package.header.bucket)[0].maps[number]
    shown, negative = np.zeros(shape.cells), 0
    for each in published:
        seen = each.observation.maps[number]
        assert len(seen.positions) == shape.nonzeros
        assert set(np.unique(seen.values)) <= {-1, 1}
        shown[seen.positions] += 1
        negative += int((seen.values < 0).sum())
    share, draws = shape.nonzeros / shape.cells, 40 * len(code.maps[number].positions)
    at_true = shown[code.maps[number].positions].sum() / draws
    assert abs(at_true - share) < 5 * np.sqrt(share * (1 - share) / draws)
    signs = 40 * shape.nonzeros
    assert abs(negative / signs - 0.5) < 5 * np.sqrt(0.25 / signs)
    stream = np.frombuffer(b"".join(each.observation.stream for each in published), np.uint8)
    assert abs(np.unpackbits(stream).mean() - 0.5) < 5 * np.sqrt(0.25 / (8 * len(stream)))


def test_decoys_of_one_key_hide_nothing_from_itself() -> None:
    """Two obfuscations of one image under two keys share their true entries, and little else."""
    scene = _scenes["obfuscated-primis"]
    one, two = (scene.mechanism.case_of(scene.subject, key) for key in (KEY, OTHER))
    assert one.code is not None
    for first, second, true in zip(one.observation.maps, two.observation.maps, one.code.maps, strict=True):
        both = np.intersect1d(first.positions, second.positions)
        assert np.isin(true.positions, both).all()
        assert len(both) < len(first.positions) * 0.7


def test_a_shelf_codes_an_image_once_and_lets_go_of_what_is_unused() -> None:
    scene = _scenes["sealed-lapped"]
    counting = _Counting(scene.mechanism.space)
    code_cache = CodeCache(limit=1)
    first = code_cache.code(counting, scene.subject.image)
    assert code_cache.code(counting, scene.subject.image) is first
    assert counting.coded == 1
    brighter = scene.subject.image.pixels // 2

    code_cache.code(counting, scene.subject.image.with_pixels(brighter))
    code_cache.code(counting, scene.subject.image)
    assert counting.coded == 3


class _Counting:
    """A space that counts how often it codes."""

    def __init__(self, space) -> None:
        self._space, self.settings, self.coded = space, space.settings, 0

    def code(self, image):
        self.coded += 1
        return self._space.code(image)
