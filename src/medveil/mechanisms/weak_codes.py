"""Controls that publish codes badly: decoys and lengths that tell, keys used twice, masks left out, cells told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.codecs import entropy
from medveil.codecs.code import Bucket, CodeMap, Composition, MapShape, SparseCode
from medveil.codecs.coding import Coding
from medveil.keys.tiers import Section
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.levels import (
    EncryptedInSteps,
    Protection,
    associated,
    padded_bytes,
    section_key,
    shown,
)
from medveil.mechanisms.observation import Observation, Shown, Subject
from medveil.mechanisms.public_codec import PublicCodec
from medveil.protection import padding
from medveil.protection.encrypting import decrypt, encrypt
from medveil.protection.keystream import Keystream, Stream, bounded, derive
from medveil.protection.levels import Obfuscated, Sealed
from medveil.protection.sealing import public_bytes

_GAMMA = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio


class ReferenceDecoys(Protection):
    """The decoys of the published reference code of PRIMIS, whose values lie beyond the true ones.

    Stands for: the sharing phase of the reference implementation (Shiri et al., J. Biomed. Inform. 150 (2024) 104583).
    Let a be the least and b the largest positive value of the true code, c the least and d the greatest (nearest zero)
    of its negative values. Half of all cells, chosen at random, get b + U (b - a), the other half d + U (d - c), with U
    uniform in [0, 1); true entries keep their cells. So no decoy is below any true negative entry.

    Deviations: ranges are those of one image, not of a batch of images of several patients; values are integers of a
    very fine step instead of floats, so that a decoy at the very end of a range is moved inwards by one, and one of
    level zero to one; randomness is ChaCha20 instead of the generator of a numerics library; of S_n decoys a vector,
    where they are not to fill all empty cells, the places are uniform among the empty ones; the secret is the code
    itself, packed and encrypted, instead of a list of indices.

    Args:
        decoys: S_n a code vector, 0 for all empty cells.
    """

    name = "reference-decoys"
    in_place = True

    def __init__(self, space: PublicCodec, cache: CodeCache, *, decoys: int = 0, **how: Any) -> None:
        super().__init__(space, cache, **how)
        self.decoys = decoys

    def publish(self, subject: Subject, key: bytes) -> Observation:
        code = self.code_of(subject)
        stream = Keystream(derive(key, b"medveil/audit/decoys"), "reference")
        maps = _with_reference_decoys(code.maps, self.space.vector_length, self.decoys, stream)
        secret_key = section_key(key, Section.SUPPORT)
        secret = encrypt(padding.to_steps(entropy.pack(code)), secret_key, associated(Section.SUPPORT))
        public = entropy.pack(SparseCode(tuple(each.as_map for each in maps), b""))
        lengths = {Section.CODE: len(public), Section.SUPPORT: len(secret)}
        return self.observation(subject, key, lengths, maps, secret)

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        plain = decrypt(observation.stream, section_key(key, Section.SUPPORT), associated(Section.SUPPORT))
        return entropy.unpack(padding.remove(plain))


def _with_reference_decoys(
    maps: tuple[CodeMap, ...], vector_length: int, decoys: int, stream: Stream
) -> tuple[Shown, ...]:
    """The public code: see `ReferenceDecoys`. A sign of which the code has no entry borrows the other's range."""
    levels = np.concatenate([each.levels for each in maps]).astype(np.int64)
    positive, negative = levels[levels > 0], levels[levels < 0]
    positive = positive if len(positive) else -negative if len(negative) else np.array([1, 2])
    negative = negative if len(negative) else -positive
    ranges = {
        True: (int(positive.max()), int(positive.max() - positive.min())),
        False: (int(negative.max()) + 1, int(negative.max() - negative.min())),
    }
    found = []
    for each in maps:
        places = _empty_cells(each, vector_length, decoys, stream)
        above = stream.permutation(each.cells)[places] < each.cells // 2
        values = np.empty(len(places), np.int64)
        for sign, (first, width) in ranges.items():
            here = above == sign
            values[here] = first + bounded(stream, max(width, 1), int(here.sum()))
        values[values == 0] = 1
        positions = np.concatenate([each.positions, places])
        order = np.argsort(positions, kind="stable")
        every = np.concatenate([each.levels, values])[order]
        found.append(Shown(each.cells, positions[order], every.astype(np.int32)))
    return tuple(found)


def _empty_cells(each: CodeMap, vector_length: int, decoys: int, stream: Stream) -> NDArray[np.int64]:
    """All empty cells, or `decoys` random ones of each vector."""
    priority = np.full(each.cells, each.cells, np.int64)
    empty = np.setdiff1d(np.arange(each.cells), each.positions, assume_unique=True)
    if not decoys or not vector_length:
        return empty
    priority[empty] = stream.permutation(each.cells)[empty]
    first = np.sort(np.argsort(priority.reshape(-1, vector_length), axis=1)[:, :decoys], axis=1)
    places = (first + vector_length * np.arange(len(first))[:, None]).reshape(-1)
    found: NDArray[np.int64] = places[priority[places] < each.cells]
    return found


class SeededStream:
    """A stream that a short seed expands to, by SplitMix64; for what a careless program draws its decoys with.

    Word i (from 0) is mix(seed + (i + 1) * 0x9E3779B97F4A7C15), all modulo 2**64, where mix(z) is: z ^= z >> 30,
    z *= 0xBF58476D1CE4E5B9, z ^= z >> 27, z *= 0x94D049BB133111EB, z ^= z >> 31 (Steele, Lea and Flood, OOPSLA 2014).
    Bytes are those of words, little-endian; `permutation(n)` takes the next n words and gives the rank of each.
    """

    word_bits = 64

    def __init__(self, seed: int) -> None:
        self._seed = np.array([seed], np.uint64)
        self._drawn = 0

    def bytes(self, count: int) -> bytes:
        return self.words(-(-count // 8)).astype("<u8").tobytes()[:count]

    def words(self, count: int) -> NDArray[np.uint64]:
        first, self._drawn = self._drawn, self._drawn + count
        found: NDArray[np.uint64] = seeded_words(self._seed, count, first)[0]
        return found

    def permutation(self, cells: int) -> NDArray[np.int64]:
        ranks = np.empty(cells, np.int64)
        ranks[np.argsort(self.words(cells), kind="stable")] = np.arange(cells)
        return ranks


def seeded_words(seeds: NDArray[np.uint64], count: int, first: int = 0) -> NDArray[np.uint64]:
    """Words `first` … `first + count - 1` of the `SeededStream` of each seed: (seeds, count).

    The decoys of the first map begin at word 0: word i is the priority of its cell i, and of the empty cells of a
    vector those of least priority show decoys.
    """
    with np.errstate(over="ignore"):
        steps = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(_GAMMA)
        z = seeds.astype(np.uint64)[:, None] + steps[None, :]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


class SeededDecoys(Protection):
    """`obfuscated`, with decoys drawn from a stream that a short seed expands to.

    Stands for: noise from a numerics library that was seeded with 32 bits (torch.manual_seed, numpy.random.seed), as in
    the reference code of PRIMIS and much research software. Deviations: SplitMix64 instead of MT19937 or Philox, since
    only the length of the seed matters here; fewer bits where a preset says so.

    Args:
        bits: length of the seed, 1 to 64.
    """

    def __init__(self, space: PublicCodec, cache: CodeCache, *, decoys: int = 0, bits: int = 32, **how: Any) -> None:
        super().__init__(space, cache, level=Obfuscated(decoys), name="seeded-decoys", **how)
        self.bits = bits

    def seed_of(self, key: bytes) -> int:
        """The seed under a key; what `seed-enumeration` looks for."""
        return int.from_bytes(derive(key, b"medveil/audit/seed")[:8], "big") >> (64 - self.bits)

    def decoy_stream(self, key: bytes) -> Stream:
        return SeededStream(self.seed_of(key))


class TwoTimePad(Protection):
    """`sealed`, with one key for all packages.

    Stands for: a keystream used twice, the classic mistake with stream ciphers, and for one permutation of pixels or
    cells for a whole data set, as in much of the literature on perceptual image encryption. Deviation: the attacker's
    own images are sealed under the same key, and, as everybody who publishes has it, she has that key too.

    Args:
        secret: 32 bytes, from which the one key is derived.
    """

    def __init__(self, space: PublicCodec, cache: CodeCache, *, secret: bytes, **how: Any) -> None:
        super().__init__(space, cache, level=Sealed(), name="two-time-pad", **how)
        self._key = derive(secret, b"medveil/audit/two-time-pad")

    def key_of(self, key: bytes) -> bytes:
        return self._key

    def publish(self, subject: Subject, key: bytes) -> Observation:
        return super().publish(subject, self._key)


class Unprotected(Protection):
    """The code as it is, for everybody to see.

    Stands for: no protection at all, or one that a mistake has switched off. The side bytes (size, mean, step, DC) stay
    out, as they do in what is seen of every protection. Nothing in it is secret, so any key opens it.
    """

    name = "unprotected"
    in_place = True

    def publish(self, subject: Subject, key: bytes) -> Observation:
        code = self.code_of(subject)
        lengths = {section: padded_bytes(len(entropy.pack(part))) for section, part in self.codes(code)}
        return self.observation(subject, key, lengths, shown(code), b"")

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        return None


class _InPlace(Keystream):
    """A keystream whose permutations move nothing."""

    def permutation(self, cells: int) -> NDArray[np.int64]:
        return np.arange(cells)


class _SealedInPlace(Sealed):
    in_place = True
    streams = _InPlace


class IdentityPermutation(Protection):
    """`sealed`, with masked signs and levels, but every entry in its own cell.

    Stands for: a seal whose permutation is left out, or is the identity by mistake; and for selective encryption, which
    masks the values of coefficients and leaves their places. No deviation: level `Sealed` with another stream.
    """

    name = "identity-permutation"
    level = _SealedInPlace()
    in_place = True


class _LevelsInTheClear(Keystream):
    """A keystream that masks no level stream."""

    def __init__(self, key: bytes, label: str) -> None:
        super().__init__(key, label)
        self._clear = label == "levels"

    def bytes(self, count: int) -> bytes:
        return bytes(count) if self._clear else super().bytes(count)


class _SealedPlaces(Sealed):
    streams = _LevelsInTheClear


class UnmaskedLevels(Protection):
    """`sealed`, with permuted places and masked signs, but the level stream in the clear.

    Stands for: a seal of which one mask is left out, or is all zeros by mistake; and for formats that encrypt
    coefficients and leave their headers. No deviation: level `Sealed` with another stream.
    """

    name = "unmasked-levels"
    level = _SealedPlaces()


class _SealedByContent(Sealed):
    def shape(self, section: str, code: SparseCode, coding: Coding, bucket: Bucket) -> Composition:
        maps = tuple(MapShape(each.cells, len(each.positions)) for each in code.maps)
        return Composition(maps, super().shape(section, code, coding, bucket).level_bytes)


class ContentWeight(Protection):
    """`sealed`, but with as many entries as the image needs, instead of a number that its size alone decides.

    Stands for: sparse codes of a quality instead of a sparsity, as every rate-controlled codec makes them, protected by
    a permutation and masks. Cells and entries of all maps, and so the length, depend on the image; places, signs and
    levels are as well hidden as before. Deviation: the level stream keeps its fixed length, so that the number of
    entries is the only leak. Needs codes of fixed composition, whose levels fit that stream, at a step so coarse that
    the places of a code are not used up: at the step of the shipped weights nearly every image fills all of them.
    """

    name = "content-weight"
    level = _SealedByContent()


class _EncryptedAsLong(EncryptedInSteps):
    def padded(self, packed: bytes, coding: Coding, bucket: Bucket) -> bytes:
        return packed

    def unpadded(self, plain: bytes) -> bytes:
        return plain


class UnpaddedLengths(Protection):
    """`encrypted`, but with sections as long as their content.

    Stands for: compress, then encrypt, as most archives and transports do. The length of a compressed image tells of
    its content. Deviation: none but that the codec is ours.
    """

    name = "unpadded-lengths"
    level = _EncryptedAsLong()


class RevealedCells(Protection):
    """`sealed`, where the attacker is told some of the true entries: cell, sign and level.

    Stands for: no scheme, but a leak of known size. How small a share still lets an attack show something is how
    sensitive the audit is.

    Args:
        share: 0 … 1, of the nonzeros of the code; at least one entry of every image is told.
    """

    def __init__(self, space: PublicCodec, cache: CodeCache, *, share: float, **how: Any) -> None:
        super().__init__(space, cache, level=Sealed(), name=f"revealed-{100 * share:g}", **how)
        self.share = share

    def publish(self, subject: Subject, key: bytes) -> Observation:
        stream = Keystream(derive(key, b"medveil/audit/revealed"), "entries")
        told = _told(self.code_of(subject).maps, self.share, stream)
        return replace(super().publish(subject, key), revealed=told)


def _told(maps: tuple[CodeMap, ...], share: float, stream: Stream) -> tuple[Shown, ...]:
    """A uniform share of the entries of all maps together."""
    total = sum(len(each.positions) for each in maps)
    chosen = np.zeros(total, bool)
    chosen[stream.permutation(total)[: max(1, round(share * total))]] = True
    found, start = [], 0
    for each in maps:
        own = chosen[start : start + len(each.positions)]
        found.append(Shown.of(each).kept(own))
        start += len(each.positions)
    return tuple(found)


class RandomCodes(Protection):
    """Uniformly random codes of the public composition: nothing of the image is published.

    Stands for: perfect secrecy. Entries are in uniform cells with uniform signs and levels 1 or -1; the stream is
    random bytes. An attack that seems to find something here is scored wrongly. Needs codes of fixed composition.
    """

    name = "random-codes"
    in_place = True

    def publish(self, subject: Subject, key: bytes) -> Observation:
        stream = Keystream(derive(key, b"medveil/audit/random"), "code")
        maps, lengths, levels = [], {}, b""
        sections = [section for section, _ in self.codes(self.code_of(subject))]
        for section, shape in zip(sections, self.space.compositions(self.bucket_of(subject)), strict=True):
            for each in shape.maps:
                positions = np.sort(stream.permutation(each.cells)[: each.nonzeros])
                signs = 1 - 2 * bounded(stream, 2, each.nonzeros).astype(np.int32)
                maps.append(Shown(each.cells, positions, signs))
            levels += stream.bytes(shape.level_bytes)
            lengths[section] = public_bytes(shape)
        return self.observation(subject, key, lengths, maps, levels)

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        return None
