"""The two-image game in small: the attacker finds every control, and nothing in sealed packages.

Coins and keys come from the operating system, so limits leave room for chance: 5 standard deviations and more.
"""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import provenance
from benchmarks.two_image_attacker import features, upper_advantage
from benchmarks.two_image_game import FAULTS, Board, Recorded, game, pictures, planted, play

from medveil.protection import sealing
from medveil.protection.keystream import Keystream

SIZES = (300, 100, 400)
# The remaining one is faint: pictures of this size have too few signs to show it.
EVIDENT_FAULTS = [fault for fault in FAULTS if "53 of 100" not in fault]


@pytest.fixture(scope="module")
def board() -> Board:
    return Board.of(*pictures(64))


def test_bound_is_the_exact_one() -> None:
    assert upper_advantage(0, 20) == pytest.approx(2 * (1 - 0.01 ** (1 / 20)) - 1, abs=1e-9)
    assert upper_advantage(20, 20) == 1
    assert upper_advantage(10_000, 20_000) == pytest.approx(2.3263 / 20_000**0.5, abs=1e-4)


def test_the_pictures_are_very_different_and_of_one_bucket(board: Board) -> None:
    disc, chest = pictures(64)
    assert disc.shape == chest.shape == (64, 64)
    assert abs(disc.mean() - chest.mean()) > 50
    assert np.mean(board.supports[0] != board.supports[1]) > 0.03
    assert len(set(board.supports.sum(axis=1).tolist())) == 1


def test_the_game_seals_as_medveil_does(board: Board) -> None:
    key = bytes(range(32))
    for code in board.codes:
        ours = sealing.seal_with(code, board.composition, Recorded(key, Keystream))
        real = sealing.seal(code, board.composition, key)
        assert ours.to_bytes(board.composition) == real.to_bytes(board.composition)


def test_revealed_cells_are_what_the_permutation_says(board: Board) -> None:
    packages = play(board, 20, np.random.default_rng(0), shares=(1.0,))
    differing = int(np.sum(board.supports[0] != board.supports[1]))
    assert np.array_equal(packages.votes[:, 0].sum(axis=1), packages.answers * differing)


def strongest_feature(board: Board, fault: str = "") -> float:
    """Largest difference between the means of a feature for both pictures, in standard errors; 100 packages."""
    packages = play(board, 100, np.random.default_rng(0), streams=planted(fault))
    rows, second = features(board, packages), packages.answers > 0
    difference = np.abs(rows[second].mean(axis=0) - rows[~second].mean(axis=0))
    spread = (rows[second].var(axis=0) / second.sum() + rows[~second].var(axis=0) / (~second).sum()) ** 0.5
    return float(np.max(difference / np.maximum(spread, 1e-6)))


def test_no_feature_tells_sealed_packages_apart(board: Board) -> None:
    assert strongest_feature(board) < 8


@pytest.mark.parametrize("fault", EVIDENT_FAULTS)
def test_a_feature_shows_each_planted_fault(board: Board, fault: str) -> None:
    assert strongest_feature(board, fault) > 12


@pytest.mark.slow
def test_nothing_is_found_in_sealed_packages_and_revealed_cells_are(board: Board) -> None:
    pytest.importorskip("torch", reason="the attacker's networks need torch")
    sealed, revealed = game(board, SIZES, shares=(0.1,))
    assert abs(sealed["advantage"]) < 0.27
    assert sealed["lower_99"] < sealed["advantage"] < sealed["upper_99"]
    assert revealed["lower_99"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("fault", EVIDENT_FAULTS)
def test_the_attacker_finds_each_planted_fault(board: Board, fault: str) -> None:
    pytest.importorskip("torch", reason="the attacker's networks need torch")
    assert game(board, SIZES, streams=planted(fault))[0]["lower_99"] > 0.9


def test_stored_evidence_says_where_it_comes_from() -> None:
    stored = provenance.load("two_image_game")
    if stored is None:
        pytest.skip("has not been measured")
    assert stored["command"].endswith("two_image_game")
    assert stored["results"]["sealed"]["packages"] >= 20_000
