from collections.abc import Callable
from math import lgamma, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medveil.codecs import entropy
from medveil.codecs.code import CodeMap, SparseCode
from medveil.errors import IntegrityError
from medveil.protection.ambiguation import AmbiguatedCode, _write_map, ambiguate, purify
from medveil.protection.enumerative import decode_subsets, encode_subsets
from medveil.protection.keystream import Keystream

SameCode = Callable[[SparseCode, SparseCode], bool]


def log2_choose(entries: int, chosen: int) -> float:
    return (lgamma(entries + 1) - lgamma(chosen + 1) - lgamma(entries - chosen + 1)) / log(2)


def vectors(count: int, channels: int, true_ones: int, seed: int = 0) -> CodeMap:
    """Every vector with as many nonzeros; low channels are used more, and have larger levels."""
    rng = np.random.default_rng(seed)
    weight = rng.random((count, channels)) * (1 + np.arange(channels))
    channel = np.sort(np.argsort(weight, axis=1)[:, :true_ones], axis=1)
    positions = (channel + channels * np.arange(count)[:, None]).ravel()
    levels = rng.geometric(0.2 + 0.6 * (positions % channels) / channels) * rng.choice([-1, 1], len(positions))
    return CodeMap(count * channels, positions, levels.astype(np.int32))


def ranked(cells: int, entries: int, seed: int = 0) -> CodeMap:
    rng = np.random.default_rng(seed)
    positions = np.unique(rng.exponential(cells / 12, entries).astype(np.int64))
    positions = positions[positions < cells]
    return CodeMap(cells, positions, rng.choice(np.array([-2, -1, 1, 2], np.int32), len(positions)))


def entry_mask(public: CodeMap, true: CodeMap) -> np.ndarray:
    return np.isin(public.positions, true.positions)


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half."""
    _, ranks, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    positives = int(truth.sum())
    rank_sum = float(middle[ranks][truth].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (len(truth) - positives))


@pytest.mark.parametrize(("true_ones", "decoys"), [(1, 1), (4, 4), (16, 16), (8, 24), (32, 224), (5, 0)])
def test_codes_come_back_and_every_vector_shows_as_many(true_ones: int, decoys: int, same_code: SameCode) -> None:
    code = SparseCode((vectors(60, 256, true_ones), vectors(20, 256, true_ones, 1)), b"side")
    public, secret = ambiguate(code, 256, decoys)
    for public_map in public.code.maps:
        counts = np.bincount(public_map.positions // 256)
        assert set(counts) == {true_ones + (decoys or true_ones)}
        assert np.all(np.diff(public_map.positions) > 0)
        assert np.all(public_map.levels != 0)
    assert same_code(purify(AmbiguatedCode.from_bytes(public.to_bytes()), secret), code)


@given(st.integers(1, 12), st.integers(0, 9), st.integers(0, 2), st.data())
@settings(max_examples=100, deadline=None)
def test_any_code_comes_back(channels: int, count: int, decoys: int, data: st.DataObject) -> None:
    cells = channels * count
    taken = data.draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    positions = np.flatnonzero(np.array(taken, bool))
    levels = np.array(
        data.draw(st.lists(st.sampled_from([-3, 1, 2]), min_size=len(positions), max_size=len(positions)))
    )
    code = SparseCode((CodeMap(cells, positions, levels.astype(np.int32)),), b"")
    for vector_length in (channels, 0):
        public, secret = ambiguate(code, vector_length, decoys)
        opened = purify(public, secret).maps[0]
        assert np.array_equal(opened.positions, positions)
        assert np.array_equal(opened.levels, code.maps[0].levels)


def test_maps_in_order_of_priority_get_decoys_where_true_entries_are(same_code: SameCode) -> None:
    code = SparseCode((ranked(100_000, 6000), ranked(777, 50), CodeMap(0, *_nothing()), CodeMap(90, *_nothing())), b"x")
    public, secret = ambiguate(code, 0)
    assert same_code(purify(public, secret), code)
    shown, true = public.code.maps[0], code.maps[0]
    assert len(shown.positions) == pytest.approx(2 * len(true.positions), rel=0.05)
    decoy_places = shown.positions[~entry_mask(shown, true)]
    bands = [np.bincount(places // 6250, minlength=16) for places in (true.positions, decoy_places)]
    assert np.corrcoef(*bands)[0, 1] > 0.95
    public, _ = ambiguate(code, 0, decoys=4)
    assert len(public.code.maps[0].positions) - len(true.positions) == pytest.approx(4 * 100_000 / 256, rel=0.05)


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty(0, np.int32)


@pytest.mark.parametrize(("true_ones", "decoys"), [(4, 4), (8, 8), (16, 16), (16, 48), (32, 224)])
def test_the_support_costs_within_two_percent_of_the_enumerative_code(true_ones: int, decoys: int) -> None:
    code = SparseCode((vectors(784, 256, true_ones), vectors(784, 256, true_ones, 1)), b"")
    _, secret = ambiguate(code, 256, decoys)
    ideal = 2 * 784 * log2_choose(true_ones + decoys, true_ones) / 8
    assert ideal < len(secret) < 1.02 * ideal


def test_the_level_of_a_decoy_says_nothing() -> None:
    true = vectors(3000, 64, 6)
    public, _ = ambiguate(SparseCode((true,), b""), 64, 6, Keystream(bytes(32), "decoys"))
    shown = public.code.maps[0]
    truth = entry_mask(shown, true)
    assert set(shown.levels[~truth].tolist()) <= set(true.levels.tolist())
    channels = shown.positions % 64
    usual = np.flatnonzero(np.bincount(true.positions % 64, minlength=64) >= 16)
    statistic, freedom = 0.0, 0
    for channel in usual:
        of_channel = true.levels[true.positions % 64 == channel]
        decoy_levels = shown.levels[~truth & (channels == channel)]
        values, counts = np.unique(of_channel, return_counts=True)
        expected = counts / counts.sum() * len(decoy_levels)
        observed = np.array([np.sum(decoy_levels == value) for value in values])
        assert observed.sum() == len(decoy_levels)
        statistic += float(((observed - expected) ** 2 / np.maximum(expected, 1e-9)).sum())
        freedom += len(values) - 1
    assert abs(statistic - freedom) < 6 * (2 * freedom) ** 0.5 + freedom * 0.1
    both = [min(np.sum(truth & (channels == each)), np.sum(~truth & (channels == each))) for each in range(64)]
    chosen = channels == int(np.argmax(both))  # enough of either kind that chance stays below 0.1
    deviations = [auc(score[chosen], truth[chosen]) - 0.5 for score in _scores(shown)]
    assert max(map(abs, deviations)) < 0.1


def _scores(shown: CodeMap) -> list[np.ndarray]:
    return [shown.levels.astype(float), np.abs(shown.levels).astype(float)]


def test_a_trained_classifier_on_levels_alone_is_at_chance_and_would_catch_larger_decoys() -> None:
    """Likelihood ratios of each level given its channel group, counted on one map and tried on another."""
    for factor, low, high in ((1, 0.47, 0.53), (3, 0.8, 1.0)):
        tables = []
        for seed in (0, 1):
            rng = np.random.default_rng(seed)
            levels = (rng.geometric(0.4, 48_000) * rng.choice([-1, 1], 48_000)).astype(np.int32)
            true = vectors(3000, 64, 16, seed)
            public, _ = ambiguate(SparseCode((CodeMap(true.cells, true.positions, levels),), b""), 64, 16)
            truth = entry_mask(public.code.maps[0], true)
            shown = np.where(truth, 1, factor) * public.code.maps[0].levels
            tables.append((np.clip(shown, -30, 30) + 30, truth))
        (train, train_truth), (test, test_truth) = tables
        ratio = (1 + np.bincount(train[train_truth], minlength=61)) / (1 + np.bincount(train, minlength=61))
        assert low < auc(ratio[test], test_truth) < high


def test_positions_leak_which_is_why_it_is_called_obfuscated() -> None:
    """A count of how often each channel is used, from another image, tells true places from decoys."""
    usage = np.bincount(vectors(2000, 64, 6, seed=5).positions % 64, minlength=64)
    true = vectors(2000, 64, 6, seed=6)
    public, _ = ambiguate(SparseCode((true,), b""), 64, 6)
    shown = public.code.maps[0]
    assert auc(usage[shown.positions % 64].astype(float), entry_mask(shown, true)) > 0.75


def test_places_of_decoys_are_uniform_among_empty_cells() -> None:
    code = SparseCode((CodeMap(8 * 5000, 8 * np.arange(5000), np.ones(5000, np.int32)),), b"")
    public, _ = ambiguate(code, 8, 2)
    counts = np.bincount(public.code.maps[0].positions % 8)
    assert counts[0] == 5000
    assert ((counts[1:] - 10_000 / 7) ** 2 / (10_000 / 7)).sum() < 30


def test_secrets_that_do_not_fit_are_refused() -> None:
    code = SparseCode((vectors(30, 64, 6), vectors(30, 64, 6, 1)), b"")
    public, secret = ambiguate(code, 64, 6)
    other = AmbiguatedCode(SparseCode((vectors(30, 64, 3), vectors(31, 64, 12)), b""))
    for at in (0, 5, 20, len(secret) - 1):
        with pytest.raises(IntegrityError):
            purify(public, secret[:at])
    with pytest.raises(IntegrityError):
        purify(public, secret + b"\0")
    with pytest.raises(IntegrityError):
        purify(other, secret)


@given(st.binary(max_size=120))
@settings(max_examples=100, deadline=None)
def test_hostile_secrets_end_with_a_code_or_an_error(noise: bytes) -> None:
    public, secret = ambiguate(SparseCode((vectors(30, 64, 6),), b""), 64, 6)
    for data in (noise, secret[:16] + noise, noise + secret[len(noise) :]):
        try:
            purify(public, data)
        except IntegrityError:
            continue


def test_requests_that_make_no_sense_are_refused() -> None:
    code = SparseCode((vectors(3, 64, 2),), b"")
    for vector_length, decoys in ((64, -1), (-1, 0), (7, 1)):
        with pytest.raises(ValueError, match=r"decoys|whole"):
            ambiguate(code, vector_length, decoys)


def test_subsets_of_vectors_of_any_number_of_entries() -> None:
    rng = np.random.default_rng(0)
    entries = rng.integers(0, 40, 300)
    chosen = rng.random(int(entries.sum())) < 0.3
    true_ones = np.add.reduceat(np.append(chosen, False), np.minimum(np.cumsum(entries) - entries, len(chosen)))
    true_ones = np.where(entries > 0, true_ones, 0)
    data = encode_subsets(chosen, entries)
    assert np.array_equal(decode_subsets(data, entries, true_ones), chosen)
    for bad in (data + b"\0", b"\1"):
        with pytest.raises(IntegrityError):
            decode_subsets(bad, entries, true_ones)
    with pytest.raises(IntegrityError):
        decode_subsets(data, entries, entries + 1)


def test_side_bytes_in_the_clear_are_refused() -> None:
    code = SparseCode((vectors(2, 8, 2),), b"thumbnail")
    with pytest.raises(IntegrityError, match="in the clear"):
        AmbiguatedCode.from_bytes(entropy.pack(code))


def test_vectors_as_long_as_a_map_are_refused() -> None:
    """Reading takes a step for each entry of a vector: with vectors of a whole map, hours."""
    public = CodeMap(1 << 17, np.arange(1 << 17), np.ones(1 << 17, np.int32))
    secret = b"\0" + _write_map(public, np.ones(1 << 17, bool), 1 << 17)
    with pytest.raises(IntegrityError, match="fit"):
        purify(AmbiguatedCode(SparseCode((public,), b"")), secret)
    longest = CodeMap(1 << 12, np.arange(40), np.ones(40, np.int32))
    secret = b"\0" + _write_map(longest, np.arange(40) % 2 == 0, 256)
    assert len(purify(AmbiguatedCode(SparseCode((longest,), b"")), secret).maps[0].levels) == 20
