"""What stands in the open beside the codes: ids, salts, commitments, how sections begin and end. All of it is to be
drawn at random or derived from a key, so that nothing in it tells of an image, of a file or of a patient.

Are two of these values more alike than two random ones, and two of one patient more alike than that? Is one of them a
hash of what the package was made of, or the picture in small behind a constant? What was done under a key that nobody
else has, such as a keyed hash of the file, only the program that made the release can tell.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medveil.audit.checks.collisions import Group, equal_levels, rare
from medveil.audit.results import FormCheck
from medveil.images.image import Image
from medveil.images.intensity import grey_of
from medveil.mechanisms.working_pictures import resized
from medveil.metrics.image_quality import PEAK

HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s")
MATCHED_BYTES = 6
"""Of a value that begin or end as a hash does: 2^48 guesses, against some ten thousand comparisons a package."""
_CHANCE = 1e-9  # of each test; a sound release fails one of them in ten million
_HASHED = 200  # packages whose values are held against hashes
_LEAST_PACKAGES = 8  # for bits one by one: below, chance is too coarse

Values = Mapping[str, Mapping[int, bytes]]
"""Kind of public value to the value of each package that has one, by its place; all of a kind are equally long."""


@dataclass(frozen=True)
class MadeOf:
    """What the owner knows of a package, for checks alone: nothing of it is told.

    Attributes:
        package: its id.
        patient: a name of the patient; equal for equal patients.
        words: names by which somebody may have called it: paths, parts of them, the patient's name.
        image: reads the file that it was made of: its bytes, and the image in it; None for what cannot be read.
    """

    package: bytes
    patient: str = field(repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    image: Callable[[], tuple[bytes, Image | None]] = field(default=lambda: (b"", None), repr=False)


def value_checks(values: Values, made: Sequence[MadeOf | None], public: Sequence[bytes]) -> list[FormCheck]:
    """Checks of the public values of packages.

    Args:
        values: of all packages.
        made: what each was made of; None where that is not known.
        public: what everybody knows of the release, such as its id: a hash may be of that beside.
    """
    known = [place for place, one in enumerate(made) if one is not None]
    chosen = sorted({known[int(index)] for index in np.linspace(0, len(known) - 1, min(len(known), _HASHED))})
    hits: Counter[str] = Counter()
    thumbnails = _Thumbnails(values)
    for place in chosen:
        one = made[place]
        if one is not None:
            data, image = one.image()
            hits.update(_hashed(values, place, one, (data, image), public))
            thumbnails.take(place, image)
    return [
        _alike(values), _alike_within_patients(values, made), _no_hashes(hits, len(chosen)), thumbnails.check()
    ]  # fmt: skip


def _alike(values: Values) -> FormCheck:
    """Equal bytes at equal places of two packages, and bits that lean to one side: constants, masks used twice."""
    told, odd = [], []
    for name, every in values.items():
        group = Group()
        group.levels = [np.frombuffer(value, np.uint8) for value in every.values()]
        found = equal_levels(group)
        chance = _leaning(group.levels)
        if not found.ok or chance < _CHANCE:
            odd.append(name)
            told.append(f"{name}: {found.found:.0f} equal bytes where {found.expected:.1f} are expected, bits as "
                        f"uneven by chance {chance:.2g}")  # fmt: skip
    return FormCheck(
        "values-random", "Public values of two packages are no more alike than random ones",
        _listed(told, "Ids, salts, commitments, first and last blocks of sections: nothing beyond chance."), not odd,
        tried=any(len(every) > 1 for every in values.values()),
    )  # fmt: skip


def _leaning(values: Sequence[NDArray[np.uint8]]) -> float:
    """How often random values would have bits, place by place, that are as often one as theirs."""
    from scipy import stats

    if len(values) < _LEAST_PACKAGES or not values[0].size:
        return 1.0
    bits = np.unpackbits(np.stack(values), axis=1)
    ones = bits.sum(0, dtype=np.int64)
    # The exact chance of each place, together by Fisher's method, which for discrete values errs on the safe side.
    tails = stats.binom.sf(np.maximum(ones, len(values) - ones) - 1, len(values), 0.5)
    return float(stats.chi2.sf(-2 * np.log(np.minimum(2 * tails, 1.0)).sum(), 2 * len(tails)))


def _alike_within_patients(values: Values, made: Sequence[MadeOf | None]) -> FormCheck:
    """Pairs of one patient: equal bytes anywhere, how they begin and end, and equal bits."""
    pairs = _pairs_of_patients(made)
    told = []
    for name, every in values.items():
        both = [(every[one], every[other]) for one, other in pairs if one in every and other in every]
        one, other = (_table([pair[side] for pair in both]) for side in (0, 1))
        same, count = one == other, len(both)
        if not same.size:
            continue
        width = same.shape[1]
        equal = int(same.sum())
        begins, ends = (int(np.minimum.accumulate(part, axis=1).sum()) for part in (same, same[:, ::-1]))
        bits = int(np.unpackbits(one ^ other, axis=1).sum())
        chance = 1 / 256
        found = (
            rare(equal, count * width * chance, count * width * chance)
            or rare(begins, count * chance, count * chance)
            or rare(ends, count * chance, count * chance)
            or rare(bits, count * width * 4.0, count * width * 2.0)
        )
        if found:
            told.append(
                f"{name}: {equal} equal bytes where {count * width * chance:.1f} are expected, {begins} of them where "
                f"they begin and {ends} where they end"
            )
    return FormCheck(
        "values-say-nothing-of-patients", "Public values of one patient are no more alike than those of two",
        _listed(told, f"{len(pairs)} pairs of packages of one patient: nothing beyond chance."), not told,
        tried=len(pairs) > 0,
    )  # fmt: skip


def _table(values: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.stack([np.frombuffer(value, np.uint8) for value in values]) if values else np.zeros((0, 0), np.uint8)


def _pairs_of_patients(made: Sequence[MadeOf | None]) -> list[tuple[int, int]]:
    """Places of two packages of one patient, each with the next one by its words: packages stand in the order of their
    ids, and neighbours in that order have like ids. Such pairs are as good as independent.
    """
    whose: dict[str, list[tuple[tuple[str, ...], int]]] = defaultdict(list)
    for place, one in enumerate(made):
        if one is not None:
            whose[one.patient].append((one.words, place))
    ordered = [[place for _, place in sorted(each)] for each in whose.values()]
    return [pair for places in ordered for pair in pairwise(places)]


def _hashed(
    values: Values, place: int, one: MadeOf, content: tuple[bytes, Image | None], public: Sequence[bytes]
) -> list[str]:
    """Kinds of values of a package that begin or end as a hash of its file, pixels, paths or patient does."""
    data, image = content
    plain = [data] if data else []
    plain += [np.ascontiguousarray(image.frames).tobytes()] if image is not None else []
    ends = {end for digest in _digests(one, plain, public) for end in _ends(digest)}
    return [name for name, every in values.items() if ends & set(_ends(every.get(place, b"")))]


def _no_hashes(hits: Mapping[str, int], packages: int) -> FormCheck:
    told = ", ".join(f"{count} of {packages} {name}" for name, count in hits.items())
    return FormCheck(
        "values-are-no-hashes", "No public value is a hash of a file, its pixels, its path or its patient",
        f"{told} begin or end as such a hash does." if told
        else f"{packages} packages, {len(HASHES)} hash functions, whole and truncated: none.",
        not told, tried=packages > 0,
    )  # fmt: skip


def _digests(one: MadeOf, contents: Sequence[bytes], public: Sequence[bytes]) -> Iterator[bytes]:
    """Hashes of everything that a package was made of, alone and together with what everybody knows."""
    words = [word for word in {*one.words, one.patient} if word]
    short = [form.encode() for word in words for form in dict.fromkeys((word, word.lower(), f"{word}\n"))]
    for content in contents:
        for name in HASHES:
            yield hashlib.new(name, content).digest()
        digest = hashlib.sha256(content)
        short += [digest.digest(), digest.hexdigest().encode()]  # a hash of the hash, or one with the release beside
    for text in short:
        for name in HASHES:
            yield hashlib.new(name, text).digest()
            for salt in public:
                yield hashlib.new(name, salt + text).digest()
                yield hashlib.new(name, text + salt).digest()
                yield hmac.new(salt, text, name).digest()


class _Thumbnails:
    """Public values with the picture in small taken off them: what is left is random, or a constant that masked it."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._left: dict[tuple[str, int, bool], list[NDArray[np.uint8]]] = defaultdict(list)
        self._taken = 0

    def take(self, place: int, image: Image | None) -> None:
        """The image of a package: as many means of areas as a value has bytes, in every arrangement."""
        if image is None or image.frames.shape[0] != 1 or image.frames.shape[3] != 1:
            return
        plane = grey_of(image, np.float32)
        small: dict[tuple[int, int], NDArray[np.uint8]] = {}
        for name, every in self._values.items():
            value = np.frombuffer(every.get(place, b""), np.uint8)
            for rows in (each for each in range(1, len(value) + 1) if len(value) % each == 0):
                shape = rows, len(value) // rows
                if shape not in small:
                    small[shape] = np.rint(resized(plane, *shape)).clip(0, PEAK).astype(np.uint8).ravel()
                for added, left in ((False, value ^ small[shape]), (True, value - small[shape])):
                    self._left[name, rows, added].append(left)
        self._taken += 1

    def check(self) -> FormCheck:
        odd = []
        for (name, _, _), every in self._left.items():
            group = Group()
            group.levels = list(every)
            if not equal_levels(group).ok or _leaning(every) < _CHANCE:
                odd.append(name)
        told = ", ".join(dict.fromkeys(odd))
        return FormCheck(
            "values-hold-no-thumbnail", "No public value is the picture in small, masked with a constant",
            f"{told}: what is left without the picture is no more random." if told
            else f"{self._taken} packages, pictures of one mean a byte: nothing beyond chance.",
            not told, tried=self._taken > 1,
        )  # fmt: skip


def _ends(value: bytes) -> tuple[bytes, ...]:
    """How a value, or the bytes that it writes in hexadecimal digits, begins and ends."""
    if len(value) < MATCHED_BYTES:
        return ()
    found = [value[:MATCHED_BYTES], value[-MATCHED_BYTES:]]
    try:
        plain = bytes.fromhex(value[: len(value) // 2 * 2].decode("ascii"))
    except ValueError:
        return tuple(found)
    return (*found, plain[:MATCHED_BYTES], plain[-MATCHED_BYTES:])


def shifted_streams(streams: Sequence[bytes]) -> FormCheck:
    """Whether a stretch of one masked or encrypted section comes again in another one, wherever it stands.

    Blocks of eight bytes that come twice show a keystream that is used again where both plain texts are the same, such
    as zeros of a padding. Bytes that are equal too often at one distance show it where they only lean to some values.

    Args:
        streams: masked or encrypted bytes; each is of one section of one package.
    """
    repeated = _repeated_blocks(streams)
    aligned = _shifted_pairs([np.frombuffer(stream, np.uint8) for stream in streams])
    told = f"{len(streams)} sections: {repeated} blocks of {_BLOCK} bytes in two of them; {aligned.words_of_shifts}."
    return FormCheck(
        "streams-not-shifted", "No stretch of a section comes again in another one", told,
        not repeated and aligned.ok, tried=len(streams) > 1,
    )  # fmt: skip


_BLOCK = 8
_SHIFTS = (*range(1, 65), *range(128, 4097, 64))
_SHIFTED = 12  # streams that are compared in pairs, at all distances
_LONGEST = 1 << 14  # bytes of each
_CHANCE_OF_ONE = 1e-15  # of one pair at one distance


@dataclass(frozen=True)
class _Shifted:
    """Pairs of streams at all distances, and how many have too many bytes in common."""

    tried: int
    odd: int

    @property
    def ok(self) -> bool:
        return not self.odd

    @property
    def words_of_shifts(self) -> str:
        return f"{self.odd} of {self.tried} pairs at some distance have more equal bytes than chance gives"


def _repeated_blocks(streams: Sequence[bytes]) -> int:
    """How many aligned blocks of a stream come in another one at any place."""
    aligned = [_words(stream, 0) for stream in streams]
    owners = np.concatenate([np.full(len(each), number) for number, each in enumerate(aligned)] or [np.zeros(0, int)])
    blocks = np.concatenate(aligned or [np.zeros(0, np.uint64)])
    order = np.argsort(blocks, kind="stable")
    blocks, owners = blocks[order], owners[order]
    found = 0
    for number, stream in enumerate(streams):
        for start in range(_BLOCK):
            here = np.unique(_words(stream, start))
            first, last = np.searchsorted(blocks, here, "left"), np.searchsorted(blocks, here, "right")
            hits = last > first
            found += sum(bool((owners[a:b] != number).any()) for a, b in zip(first[hits], last[hits], strict=True))
    return found


def _words(stream: bytes, start: int) -> NDArray[np.uint64]:
    count = max(len(stream) - start, 0) // _BLOCK
    return np.frombuffer(stream, np.uint64, count, start) if count else np.zeros(0, np.uint64)


def _shifted_pairs(streams: Sequence[NDArray[np.uint8]]) -> _Shifted:
    chosen = [each[:_LONGEST] for each in streams if len(each) > _SHIFTS[0]][:_SHIFTED]
    tried = odd = 0
    for one, first in enumerate(chosen):
        for other, second in enumerate(chosen):
            for shift in _SHIFTS if one != other else ():
                length = min(len(first) - shift, len(second))
                if length <= 0:
                    break
                tried += 1
                equal = int(np.count_nonzero(first[shift : shift + length] == second[:length]))
                odd += rare(equal, length / 256, length / 256, _CHANCE_OF_ONE)
    return _Shifted(tried, odd)


def _listed(told: Sequence[str], otherwise: str) -> str:
    return f"{'; '.join(told)}." if told else otherwise
