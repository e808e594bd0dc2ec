"""Controls leak what they are there to leak, and nothing else."""

import numpy as np
import pytest
from tests.pictures import picture

from medveil.attacks.registry import all_attacks
from medveil.codecs.code import Bucket, SparseCode
from medveil.codecs.registry import get_codec
from medveil.errors import IntegrityError, UsageError
from medveil.images.intensity import grey_image
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.controls import (
    Setup,
    all_controls,
    control_named,
    decoy_curve,
    primis_space,
    reference_decoys,
    seeded_decoys,
    working_image,
)
from medveil.mechanisms.expected_breaks import EXPECTED_BREAKS
from medveil.mechanisms.instance_encodings import LinearEncoding, WeightedMixing
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Subject
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.weak_codes import SeededDecoys, SeededStream, seeded_words
from medveil.mechanisms.working_pictures import Window, working_picture

KEY, OTHER = b"k" * 32, b"o" * 32
WORKING = 64


def subject(number: int) -> Subject:
    image = grey_image(picture(number, 120, 100).astype(np.float32))
    small = working_picture(image.pixels, Bucket.of(*image.pixels.shape), Window(), WORKING)
    return Subject(number, number, 0, image, small)


SUBJECTS = [subject(number) for number in range(4)]
_lapped = get_codec("lapped")
SETUP = Setup(
    WORKING, CodeCache(), b"s" * 32, tuple(each.picture for each in SUBJECTS[1:]),
    PublicCodec(_lapped, _lapped.profile(quality_centidb=3400, sparsity=None, deep=0), fixed=True, working=WORKING),
)  # fmt: skip
CONTROLS = {each.name: each for each in (*decoy_curve(), *all_controls(seed_bits=12, release=True))}


def published(name: str, number: int = 0, key: bytes = KEY) -> Case:
    return CONTROLS[name].make(SETUP).case_of(SUBJECTS[number], key)


def same_code(one: SparseCode, other: SparseCode) -> bool:
    pairs = zip(one.maps, other.maps, strict=True)
    return one.side == other.side and all(
        np.array_equal(a.positions, b.positions) and np.array_equal(a.levels, b.levels) for a, b in pairs
    )


def opens(mechanism: Mechanism, seen: Observation, key: bytes, code: SparseCode) -> bool:
    """Whether a key gives the true code."""
    try:
        found = mechanism.open(seen, key)
    except IntegrityError:
        return False
    return found is not None and same_code(found, code)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_repeatable_and_opens_where_there_is_a_key(name: str) -> None:
    mechanism = CONTROLS[name].make(SETUP)
    first, again = (mechanism.case_of(SUBJECTS[0], KEY) for _ in range(2))
    one, two = first.observation, again.observation
    assert (one.stream, one.lengths, one.place, one.commitments) == (
        two.stream,
        two.lengths,
        two.place,
        two.commitments,
    )
    for ours, theirs in zip((*one.maps, *one.revealed), (*two.maps, *two.revealed), strict=True):
        assert np.array_equal(ours.positions, theirs.positions)
        assert np.array_equal(ours.values, theirs.values)
    if one.encoding is not None:
        assert np.array_equal(one.encoding, two.encoding)
        assert mechanism.space is None
    opened = mechanism.open(one, first.key)
    if first.code is not None and opened is not None:
        assert same_code(opened, first.code)
        assert not opens(mechanism, one, OTHER, first.code)
    assert (opened is None) == (name.split("@")[0] in {
        "linear-encoding", "weighted-mixing", "unprotected", "shuffled-identities", "random-codes",
    })  # fmt: skip


def test_controls_are_the_documented_ones() -> None:
    names = [each.name for each in all_controls(release=True)]
    assert len(names) == len(set(names)) == 20
    assert [each.name for each in all_controls() if not each.positive] == ["random-codes", "shuffled-identities"]
    assert [each.name for each in all_controls() if each.shuffled] == ["shuffled-identities"]
    assert {each.name for each in all_controls(release=True) if each.release} == {
        "unprotected@release", "identity-permutation@release", "unmasked-levels@release", "revealed-10@release",
    }  # fmt: skip
    assert {each.name for each in all_controls() if not each.must} == {"revealed-0.1", "revealed-1"}
    assert all(each.expected for each in all_controls(release=True) if each.positive)
    assert "20 bits" in control_named("seeded-decoys", seed_bits=20).title
    with pytest.raises(UsageError):
        control_named("decoys")


def test_attacks_and_controls_agree_on_who_breaks_what() -> None:
    """One table: every attack has a row, and names controls that must be broken and not the points of a curve."""
    controls = all_controls(release=True)
    assert set(EXPECTED_BREAKS) == {attack.name for attack in all_attacks()}
    for attack, row in EXPECTED_BREAKS.items():
        assert len(set(row)) == len(row)
        assert set(row) == {each.name for each in controls if each.must and attack in each.expected}


def test_points_of_a_curve_are_tried_by_what_must_break_its_end() -> None:
    curve = [control_named(name) for name in ("revealed-0.1", "revealed-1", "revealed-10@release")]
    assert {each.expected for each in curve} == {control_named("revealed-10").expected} == {("code-decoder",)}
    assert len({each.expected for each in decoy_curve()}) == 1


def test_no_reference_decoy_is_as_low_as_a_true_negative_value() -> None:
    found = published("reference-decoys")
    assert found.code is not None
    negatives = np.concatenate([each.levels[each.levels < 0] for each in found.code.maps])
    positives = np.concatenate([each.levels[each.levels > 0] for each in found.code.maps])
    decoys, cells = [], 0
    for shown, true in zip(found.observation.maps, found.code.maps, strict=True):
        assert len(shown.positions) == shown.cells == true.cells
        assert np.array_equal(shown.values[true.positions], true.levels)
        decoys.append(np.delete(shown.values, true.positions))
        cells += shown.cells
    noise = np.concatenate(decoys)
    assert noise.min() > negatives.max()
    assert noise.max() <= 2 * max(positives.max() - positives.min() // 2, -negatives.min())
    above = noise >= positives.max()
    assert 0.4 < above.mean() < 0.6
    lowest = np.sort(np.concatenate([shown.values for shown in found.observation.maps]))[: len(negatives)]
    assert np.array_equal(lowest, np.sort(negatives))


def test_reference_decoys_of_a_number_are_as_many_in_every_vector() -> None:
    found = reference_decoys(20).make(SETUP).case_of(SUBJECTS[0], KEY)
    assert found.code is not None
    for shown, true in zip(found.observation.maps, found.code.maps, strict=True):
        counts = np.bincount(shown.positions // 256) - np.bincount(true.positions // 256)
        assert set(counts) == {20}
        assert np.isin(true.positions, shown.positions).all()


@pytest.mark.parametrize(
    ("name", "shown"), [("matched-decoys", 32), ("matched-decoys-3", 64), ("matched-decoys-7", 128)]
)
def test_matched_decoys_are_as_many_as_the_ratio_says(name: str, shown: int) -> None:
    for each in published(name).observation.maps:
        counts = np.bincount(each.positions // 256)
        assert counts.min() == counts.max()
        assert shown - 4 <= counts[0] <= shown


def test_decoys_on_all_empty_cells_leave_none_empty() -> None:
    assert all(len(each.positions) == each.cells for each in published("matched-decoys-all").observation.maps)


def test_words_of_seeds_are_those_of_splitmix64() -> None:
    """First outputs of SplitMix64 for the seeds 0 and 1234567, as its authors' code gives them."""
    words = seeded_words(np.array([0, 1234567], np.uint64), 3)
    assert words[0].tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert words[1].tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    stream = SeededStream(1234567)
    assert stream.words(2).tolist() + stream.words(1).tolist() == words[1].tolist()
    assert SeededStream(0).bytes(11) == words[0].astype("<u8").tobytes()[:11]


def test_a_seed_gives_the_decoys_of_the_first_vector_away() -> None:
    """Under the true seed the decoys have lower words than all cells that show nothing; under another they don't."""
    mechanism = seeded_decoys(12).make(SETUP)
    assert isinstance(mechanism, SeededDecoys)
    found = mechanism.case_of(SUBJECTS[0], KEY)
    assert found.code is not None
    seed = mechanism.seed_of(KEY)
    assert seed < 1 << 12
    words = seeded_words(np.arange(1 << 12, dtype=np.uint64), 256)
    first = found.observation.maps[0].positions
    shown = np.zeros(256, bool)
    shown[first[first < 256]] = True
    lower = (words[:, shown] < words[:, ~shown].min(axis=1)[:, None]).sum(axis=1)
    true_ones = int((found.code.maps[0].positions < 256).sum())
    assert lower[seed] >= shown.sum() - true_ones
    assert np.flatnonzero(lower >= shown.sum() - true_ones).tolist() == [seed]


def test_one_key_for_all_gives_the_xor_of_the_level_streams_away() -> None:
    mechanism = CONTROLS["two-time-pad"].make(SETUP)
    one, two = (mechanism.case_of(each, key) for each, key in zip(SUBJECTS, (KEY, OTHER), strict=False))
    assert one.key == two.key
    opened = mechanism.open(one.observation, two.key)
    assert opened is not None
    assert one.code is not None
    assert same_code(opened, one.code)
    assert one.observation.commitments == two.observation.commitments


def test_with_levels_in_the_clear_the_stream_begins_with_the_side_bytes() -> None:
    for name in ("unmasked-levels", "unmasked-levels@release"):
        found, masked = published(name), published(name.replace("unmasked-levels", "identity-permutation"))
        assert found.code is not None
        side = found.code.side
        assert found.observation.stream[1:].startswith(side) or found.observation.stream[2:].startswith(side)
        assert side not in masked.observation.stream
        for shown, true in zip(found.observation.maps, found.code.maps, strict=True):
            if 20 < len(true.positions) < shown.cells // 2:
                assert not np.isin(true.positions, shown.positions).all()


def test_content_shows_in_the_number_of_entries_only_where_it_should() -> None:
    even = Subject(9, 9, 0, SUBJECTS[0].image, np.full((WORKING, WORKING), 90, np.float32))
    for name, differs in (("content-weight", True), ("identity-permutation", False)):
        mechanism = CONTROLS[name].make(SETUP)
        counts = [
            sum(len(each.positions) for each in mechanism.case_of(who, KEY).observation.maps)
            for who in (SUBJECTS[0], even)
        ]
        assert (counts[0] != counts[1]) == differs
    lengths = {published("content-weight", number).observation.lengths[0] for number in range(4)}
    assert len(lengths) > 1


def test_lengths_that_are_not_padded_tell_images_apart() -> None:
    exact = [published("unpadded-lengths", number).observation.lengths[0] for number in range(4)]
    assert len(set(exact)) == 4
    assert [published("unpadded-lengths", number, OTHER).observation.lengths[0] for number in range(4)] == exact


def test_without_the_permutation_entries_are_where_they_are_and_signs_are_masked() -> None:
    found = published("identity-permutation")
    assert found.code is not None
    agreeing, total = 0, 0
    for shown, true in zip(found.observation.maps, found.code.maps, strict=True):
        assert np.isin(true.positions, shown.positions).all()
        own = shown.values[np.searchsorted(shown.positions, true.positions)]
        agreeing, total = agreeing + int((own == np.sign(true.levels)).sum()), total + len(own)
    assert abs(agreeing / total - 0.5) < 5 * np.sqrt(0.25 / total)


@pytest.mark.parametrize("share", [0.1, 1, 10])
def test_so_many_entries_are_told_and_they_are_true(share: float) -> None:
    found = published(f"revealed-{share:g}")
    assert found.code is not None
    total = sum(len(each.positions) for each in found.code.maps)
    assert sum(len(each.positions) for each in found.observation.revealed) == max(1, round(total * share / 100))
    for told, true in zip(found.observation.revealed, found.code.maps, strict=True):
        where = np.searchsorted(true.positions, told.positions)
        assert np.array_equal(true.positions[where], told.positions)
        assert np.array_equal(true.levels[where], told.values)


def test_what_is_unprotected_is_the_picture() -> None:
    mechanism = CONTROLS["unprotected"].make(SETUP)
    found = mechanism.case_of(SUBJECTS[0], KEY).observation
    assert mechanism.space is not None
    seen = mechanism.space.picture(found.maps, found.bucket)
    assert np.corrcoef(seen.reshape(-1), SUBJECTS[0].picture.reshape(-1))[0, 1] > 0.95


def test_random_codes_do_not_depend_on_the_image() -> None:
    one, two = published("random-codes", 0).observation, published("random-codes", 1).observation
    assert one.stream == two.stream
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(one.maps, two.maps, strict=True))
    sealed = CONTROLS["identity-permutation"].make(SETUP).case_of(SUBJECTS[0], KEY).observation
    assert one.lengths == sealed.lengths
    assert [len(each.positions) for each in one.maps] == [len(each.positions) for each in sealed.maps]
    assert len(one.stream) == len(sealed.stream)


@pytest.mark.parametrize("each_image", [False, True])
def test_a_linear_encoding_keeps_the_angles_between_patches(each_image: bool) -> None:
    mechanism = LinearEncoding(b"s" * 32, each_image=each_image)
    one, two = (mechanism.case_of(SUBJECTS[0], key).observation.encoding for key in (KEY, OTHER))
    assert one is not None
    assert two is not None
    assert one.shape == (16, 256)
    assert not np.allclose(one, two)
    spectra = [np.linalg.svd(each, compute_uv=False) for each in (one, two)]
    assert np.allclose(*spectra, atol=1e-4)
    same_rows = np.allclose(np.sort(one, axis=0), np.sort(two, axis=0), atol=1e-5)
    assert same_rows != each_image
    plain = SUBJECTS[0].picture.reshape(4, 16, 4, 16).transpose(0, 2, 1, 3).reshape(16, 256) / 255 - 0.5
    assert np.allclose(np.linalg.svd(plain, compute_uv=False), spectra[0], atol=1e-4)


@pytest.mark.parametrize("count", [2, 4])
def test_a_mixture_without_its_signs_is_near_the_picture(count: int) -> None:
    found = WeightedMixing(SETUP.pool, count).case_of(SUBJECTS[0], KEY).observation.encoding
    assert found is not None
    centred = SUBJECTS[0].picture / 127.5 - 1
    others = [np.abs(each / 127.5 - 1) for each in SETUP.pool]
    likeness = [np.corrcoef(np.abs(found).reshape(-1), each.reshape(-1))[0, 1] for each in (np.abs(centred), *others)]
    assert int(np.argmax(likeness)) == 0
    assert abs(np.corrcoef(found.reshape(-1), centred.reshape(-1))[0, 1]) < 0.1
    assert 0.4 < (np.sign(found) == np.sign(np.abs(found))).mean() < 0.6


def test_a_mixture_needs_a_pool() -> None:
    with pytest.raises(ValueError, match="pool"):
        WeightedMixing(SETUP.pool[:1], 4)


def test_controls_publish_working_pictures() -> None:
    assert working_image(SUBJECTS[0]).pixels.shape == (WORKING, WORKING)
    assert primis_space(WORKING, fixed=True).compositions(Bucket(WORKING, WORKING))[0].maps[0].nonzeros == 16 * 16
