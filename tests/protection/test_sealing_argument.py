"""The sealing argument, tested: each checker passes on medveil and flags the planted mistake it is there for.

A checker returns what it found wrong, "" if nothing. The law of a public code is computed, not sampled: a tiny code
(6 cells, 2 entries, levels -3 .. 3) is sealed under every keystream, and the outcomes are counted.
"""

import functools
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from medveil.codecs.code import CodeMap, Composition, MapShape, SparseCode
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.protection import keystream, sealing
from medveil.protection.keystream import Keystream, Stream, fresh_salt

CELLS, ENTRIES, LEVELS, WORD_BITS = 6, 2, 3, 3
COMPOSITION = Composition((MapShape(CELLS, ENTRIES),), 1)


def tiny_code(levels: dict[int, int]) -> SparseCode:
    positions = np.array(sorted(levels), np.int64)
    return SparseCode((CodeMap(CELLS, positions, np.array([levels[at] for at in sorted(levels)], np.int32)),), b"")


@functools.cache
def every_tiny_code() -> list[SparseCode]:
    values = [level for level in range(-LEVELS, LEVELS + 1) if level]
    return [
        tiny_code(dict(zip(support, levels, strict=True)))
        for entries in range(ENTRIES + 1)
        for support in itertools.combinations(range(CELLS), entries)
        for levels in itertools.product(values, repeat=entries)
    ]


def pack_tiny(code: SparseCode, composition: Composition) -> bytes:
    """Two bits a magnitude, 0 for a null: the level stream of a tiny code lies in the low half of one byte."""
    return bytes([sum(abs(int(level)) << 2 * at for at, level in enumerate(code.maps[0].levels))])


@pytest.fixture
def tiny_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing.entropy, "pack_levels", pack_tiny)


class FixedStream:
    """A keystream that gives what it was told."""

    word_bits = WORD_BITS

    def __init__(self, words: tuple[int, ...] = (), order: np.ndarray | None = None, data: bytes = b"") -> None:
        self.script, self.order, self.data = list(words), order, data

    def words(self, count: int) -> np.ndarray:
        if count > len(self.script):
            raise EOFError
        drawn, self.script = self.script[:count], self.script[count:]
        return np.array(drawn, np.uint64)

    def bytes(self, count: int) -> bytes:
        assert count == len(self.data)
        return self.data

    def permutation(self, cells: int) -> np.ndarray:
        return keystream.permutation(self, cells) if self.order is None else self.order


# Uniform draws


def uneven_bounded(draw: Callable[[Stream, int, int], np.ndarray]) -> str:
    """Two draws below 3 from every sequence of 3 words of 3 bits: of those that suffice, each pair as often."""
    counts = np.zeros(9, int)
    for words in itertools.product(range(8), repeat=3):
        try:
            first, second = draw(FixedStream(words), 3, 2)
        except EOFError:
            continue
        counts[3 * first + second] += 1
    return "" if len(set(counts)) == 1 else f"pairs come up {counts.tolist()} times"


def modulo_bounded(stream: Stream, bound: int, count: int) -> np.ndarray:
    return (stream.words(count) % np.uint64(bound)).astype(np.int64)


def test_bounded_is_uniform_and_a_modulo_bias_is_caught() -> None:
    assert uneven_bounded(keystream.bounded) == ""
    assert uneven_bounded(modulo_bounded) != ""


@functools.cache
def orders_of_all_words() -> dict[tuple[int, ...], int]:
    """How many of the word sequences give each permutation of 6 cells; those with a repetition give none."""
    counts: dict[tuple[int, ...], int] = {}
    for words in itertools.product(range(1 << WORD_BITS), repeat=CELLS):
        if len(set(words)) == CELLS:
            order = keystream.order_of(np.array(words, np.uint64), WORD_BITS)
            assert order is not None
            counts[tuple(order.tolist())] = counts.get(tuple(order.tolist()), 0) + 1
    return counts


def test_every_permutation_comes_from_as_many_word_sequences() -> None:
    counts = orders_of_all_words()
    assert len(counts) == 720
    assert set(counts.values()) == {28}
    repeated = (words for words in itertools.product(range(4), repeat=4) if len(set(words)) < 4)
    assert all(keystream.order_of(np.array(words, np.uint64), 2) is None for words in repeated)


# The law of the public code

Orders = Callable[[], np.ndarray]
Pad = Callable[[SparseCode, Composition], SparseCode]


def all_orders() -> np.ndarray:
    return np.array(sorted(orders_of_all_words()))


def orders_per_block() -> np.ndarray:
    halves = list(itertools.permutations(range(3)))
    return np.array([[*first, *(3 + cell for cell in second)] for first in halves for second in halves])


def law(code: SparseCode, orders: Orders, pad: Pad, masks: np.ndarray, level_masks: np.ndarray) -> dict[int, int]:
    """How often each public code (places, signs, level byte, as one integer) comes out over all keystreams."""
    padded = pad(code, COMPOSITION)
    only = padded.maps[0]
    entries = len(only.positions)
    places, signs = sealing.mask_map(
        only.positions, only.levels < 0, orders()[:, None, :], masks[None, :, :entries].repeat(len(orders()), axis=0)
    )
    places = np.broadcast_to(places, signs.shape)
    shown = np.full(signs.shape[:-1], entries)
    for entry in range(entries):
        shown = (shown * CELLS + places[..., entry]) * 2 + signs[..., entry]
    stream = pack_tiny(padded, COMPOSITION)
    levels = np.array([sealing.xor(stream, bytes([mask]))[0] for mask in level_masks])
    values, counts = np.unique(shown[..., None] * 16 + levels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


ALL_SIGNS = np.array(list(itertools.product([False, True], repeat=ENTRIES)))


def laws_that_differ(
    orders: Orders = all_orders,
    pad: Pad = pad_with_nulls,
    masks: np.ndarray = ALL_SIGNS,
    level_masks: range = range(16),
) -> str:
    """Whether any tiny code has another law than the first one."""
    first, *others = (law(code, orders, pad, masks, np.array(level_masks)) for code in every_tiny_code())
    differing = sum(other != first for other in others)
    return f"{differing} of {len(others)} codes have a law of their own" if differing else ""


def test_the_law_of_the_public_code_is_one_for_every_code() -> None:
    assert len(every_tiny_code()) == 1 + 6 * 6 + 15 * 36
    assert laws_that_differ() == ""
    outcomes = law(every_tiny_code()[-1], all_orders, pad_with_nulls, ALL_SIGNS, np.arange(16))
    assert len(outcomes) == 15 * 4 * 16
    assert len(set(outcomes.values())) == 1


def test_a_permutation_per_block_is_caught() -> None:
    assert laws_that_differ(orders=orders_per_block) != ""


def test_a_weight_that_depends_on_the_content_is_caught() -> None:
    assert laws_that_differ(pad=lambda code, composition: code) != ""


def test_unmasked_signs_and_biased_level_masks_are_caught() -> None:
    assert laws_that_differ(masks=ALL_SIGNS[:1]) != ""
    assert laws_that_differ(level_masks=range(15)) != ""


@pytest.mark.usefixtures("tiny_levels")
def test_seal_is_what_the_law_was_computed_of() -> None:
    rng = np.random.default_rng(0)
    for code in every_tiny_code()[::7]:
        order = all_orders()[rng.integers(720)]
        mask = ALL_SIGNS[rng.integers(4)]
        level_mask = bytes([rng.integers(16)])
        sign_bytes = np.packbits(mask).tobytes()
        streams = {
            "permutation/0": FixedStream(order=order),
            "signs/0": FixedStream(data=sign_bytes),
            "levels": FixedStream(data=level_mask),
        }
        public = sealing.seal_with(code, COMPOSITION, streams.__getitem__)
        padded = pad_with_nulls(code, COMPOSITION).maps[0]
        places, signs = sealing.mask_map(padded.positions, padded.levels < 0, order, mask)
        assert np.array_equal(public.maps[0].positions, places)
        assert np.array_equal(public.maps[0].signs, signs)
        assert public.levels == sealing.xor(pack_tiny(pad_with_nulls(code, COMPOSITION), COMPOSITION), level_mask)
        assert len(public.to_bytes(COMPOSITION)) == sealing.public_bytes(COMPOSITION)


@pytest.mark.usefixtures("tiny_levels")
def test_each_part_is_masked_by_a_stream_of_its_own() -> None:
    asked: list[str] = []

    def streams(label: str) -> Stream:
        asked.append(label)
        return Keystream(bytes(32), label)

    shape = Composition((MapShape(CELLS, ENTRIES),) * 3, 1)
    sealing.seal_with(SparseCode(every_tiny_code()[-1].maps * 3, b""), shape, streams)
    assert len(asked) == len(set(asked)) == 7


# Keys

Publish = Callable[[SparseCode], sealing.PublicCode]


def section_key(salt: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"section" + salt).derive(b"tier key".ljust(32))


def two_time_pad(publish: Publish) -> str:
    """Whether two public codes together say what two codes have in common."""
    first, second = every_tiny_code()[100], every_tiny_code()[400]
    difference = sealing.xor(pack_tiny(first, COMPOSITION), pack_tiny(second, COMPOSITION))
    same_places = same_levels = 0
    for _ in range(40):
        one, again, other = publish(first), publish(first), publish(second)
        same_places += np.array_equal(one.maps[0].positions, again.maps[0].positions)
        same_levels += sealing.xor(one.levels, other.levels) == difference
    return "the keystreams of two packages cancel" if same_levels == 40 or same_places == 40 else ""


@pytest.mark.usefixtures("tiny_levels")
def test_a_reused_salt_is_caught() -> None:
    assert two_time_pad(lambda code: sealing.seal(code, COMPOSITION, section_key(fresh_salt()))) == ""
    assert two_time_pad(lambda code: sealing.seal(code, COMPOSITION, section_key(bytes(16)))) != ""


def small_seed_space(fresh: Callable[[], bytes]) -> str:
    """Whether 300,000 draws repeat: from 2**32 seeds they do, but for a chance of 3e-5; from 2**128 they don't."""
    drawn = Counter(fresh() for _ in range(300_000))
    return f"{300_000 - len(drawn)} of 300000 draws were there before" if len(drawn) < 300_000 else ""


def key_bits_without_effect(stream: Callable[[bytes], bytes]) -> str:
    """Whether the stream depends on every one of the 256 key bits."""
    base = bytes(range(32))
    dead = [bit for bit in range(256) if stream(_flip(base, bit)) == stream(base)]
    return f"{len(dead)} of 256 key bits have no effect" if dead else ""


def _flip(data: bytes, bit: int) -> bytes:
    return bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(data))


def test_a_seed_of_32_bits_is_caught() -> None:
    seeds = random.Random(0)
    assert small_seed_space(fresh_salt) == ""
    assert small_seed_space(lambda: hashlib.sha256(seeds.randbytes(4)).digest()[:16]) != ""
    assert key_bits_without_effect(lambda key: Keystream(key, "levels").bytes(16)) == ""
    assert key_bits_without_effect(lambda key: Keystream(key[:4].ljust(32), "levels").bytes(16)) != ""


# The game, played


def features(public: sealing.PublicCode) -> np.ndarray:
    """What a classifier sees: the sign at each cell (0 where none is) and the bits of the level stream."""
    row = np.zeros(public.maps[0].cells)
    row[public.maps[0].positions] = np.where(public.maps[0].signs, -1, 1)
    return np.concatenate([row, np.abs(row), np.unpackbits(np.frombuffer(public.levels, np.uint8))])


def win_rate(show: Callable[[SparseCode], np.ndarray], rounds: int = 1500) -> float:
    """How often a logistic classifier, trained on as many rounds, tells which of two codes was shown."""
    rng = np.random.default_rng(0)
    codes = [game_code(np.arange(8), 3), game_code(np.arange(20, 28), -1)]
    choices = rng.integers(0, 2, 2 * rounds)
    rows = np.stack([show(codes[choice]) for choice in choices])
    rows = np.column_stack([rows, np.ones(len(rows))])
    weights = np.zeros(rows.shape[1])
    for _ in range(200):
        odds = 1 / (1 + np.exp(-rows[:rounds] @ weights))
        weights += 2 / rounds * rows[:rounds].T @ (choices[:rounds] - odds) - 0.01 * weights
    return float(np.mean((rows[rounds:] @ weights > 0) == choices[rounds:]))


GAME = Composition((MapShape(48, 10),), 10)


def game_code(positions: np.ndarray, level: int) -> SparseCode:
    return SparseCode((CodeMap(48, positions, np.full(len(positions), level, np.int32)),), b"")


@pytest.fixture
def plain_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(code: SparseCode, composition: Composition) -> bytes:
        return np.abs(code.maps[0].levels).astype(np.uint8).tobytes()

    monkeypatch.setattr(sealing.entropy, "pack_levels", pack)


@pytest.mark.usefixtures("plain_levels")
def test_a_classifier_wins_no_game_unless_cells_are_revealed() -> None:
    def sealed(code: SparseCode) -> np.ndarray:
        return features(sealing.seal(code, GAME, section_key(fresh_salt())))

    def revealed(code: SparseCode) -> np.ndarray:
        """Three cells are looked up with the key's permutation: what a leak of a part of it would show."""
        key = section_key(fresh_salt())
        order = Keystream(key, "permutation/0").permutation(48)
        row = features(sealing.seal(code, GAME, key))
        return np.concatenate([row, np.abs(row[order[[0, 1, 21]]])])

    assert abs(win_rate(sealed) - 0.5) < 0.06
    assert win_rate(revealed) > 0.95
