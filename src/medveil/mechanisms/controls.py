"""Controls: mechanisms of which it is known how they come out. An audit that does not see them is too weak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from medveil.errors import UsageError
from medveil.images.image import Image
from medveil.images.intensity import grey_image
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.expected_breaks import expected_breakers
from medveil.mechanisms.instance_encodings import LinearEncoding, WeightedMixing
from medveil.mechanisms.levels import Protection
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Picture, Subject
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.weak_codes import (
    ContentWeight,
    IdentityPermutation,
    RandomCodes,
    ReferenceDecoys,
    RevealedCells,
    SeededDecoys,
    TwoTimePad,
    UnmaskedLevels,
    UnpaddedLengths,
    Unprotected,
)
from medveil.protection.levels import Obfuscated

SPARSITY = 16
"""S of the controls of codec primis."""
RATIOS: tuple[int | None, ...] = (1, 3, 7, None)
"""S_n / S_x of the curve of matched decoys; None for all empty cells."""
SHARES = (0.001, 0.01, 0.1)
"""Shares of the entries that are told, of the sensitivity curve."""
RELEASE = "@release"
"""What the names of controls on the release's own codec end with."""
_COARSE_STEP = 16_384  # 1/1024 grey values: a third to three quarters of the places of a code are used, by content
_FINE_STEP = 32  # 1/1024 grey values; about a twentieth of the step of the weights
_VECTOR = 256


@dataclass(frozen=True)
class Setup:
    """What controls are made from.

    Attributes:
        working: side S of the working pictures.
        cache: where codes are kept.
        secret: 32 bytes, from which secrets are drawn that a mechanism has for all images.
        pool: pictures of nobody under attack, to mix others with.
        space: the release's own codec, for the controls that end with @release; None leaves those out.
    """

    working: int
    cache: CodeCache
    secret: bytes = field(repr=False)
    pool: tuple[Picture, ...] = field(default=(), repr=False)
    space: PublicCodec | None = None


@dataclass(frozen=True)
class Control:
    """A mechanism with what is expected of it.

    Attributes:
        name: as in reports.
        title: a few words for a report.
        make: the mechanism.
        positive: whether it has to be broken; else nothing may be found.
        must: whether the audit is too weak where it does not come out so; else it is a point of a curve.
        like: of a point of a curve the control that stands for it in `expected_breaks`.
        shuffled: the audit gives the images other patients' numbers, at random.
        release: it works on the release's own codec and on original images; else on working pictures.
        many: it takes many patients who come several times to see the leak; it works on invented ones.
    """

    name: str
    title: str
    make: Callable[[Setup], Mechanism] = field(repr=False)
    positive: bool = True
    must: bool = True
    like: str = ""
    shuffled: bool = False
    release: bool = False
    many: bool = False

    @property
    def expected(self) -> tuple[str, ...]:
        """Names of attacks that are expected to break it; of a point of a curve, those that are to try."""
        return expected_breakers(self.like or self.name)


def working_image(subject: Subject) -> Image:
    """What most controls publish: the working picture."""
    return grey_image(subject.picture)


def primis_space(working: int, *, fixed: bool, step: int | None = None) -> PublicCodec:
    """Codec primis at S = 16 on working pictures.

    Args:
        step: quantisation step in 1/1024 grey value, None for that of the shipped weights.
    """
    from medveil.codecs.primis.codec import shipped_weights
    from medveil.codecs.primis.interpretable_primis import ArrangedPrimis

    codec = ArrangedPrimis(shipped_weights(SPARSITY), step)
    return PublicCodec(codec, codec.profile(quality_centidb=0, sparsity=SPARSITY, deep=0), fixed=fixed, working=working)


def matched_decoys(ratio: int | None = 1) -> Control:
    """Level `obfuscated` of medveil itself with S_n = ratio * S_x decoys a vector; None for all empty cells.

    Stands for: sparse coding with ambiguation as it should be done, values of decoys distributed like true ones
    (PRIMIS; Razeghi et al.). Their places give it away: codecs use cells unevenly, and decoys are uniform. No
    deviation: it is our `ambiguate`.
    """
    decoys = _VECTOR if ratio is None else ratio * SPARSITY
    words = "all empty cells" if ratio is None else f"S_n = {ratio} S_x"
    return Control(
        "matched-decoys" if ratio == 1 else f"matched-decoys-{'all' if ratio is None else ratio}",
        f"decoys with the values of true entries, {words}",
        _of_pictures(Protection, fixed=False, level=Obfuscated(decoys), name="matched-decoys"),
        must=ratio == 1, like="matched-decoys",
    )  # fmt: skip


def reference_decoys(decoys: int = 0) -> Control:
    """See `ReferenceDecoys`; S_n = 0 for all empty cells."""
    return Control(
        f"reference-decoys-{decoys}" if decoys else "reference-decoys",
        "decoys above the range of true values (the published law)",
        _of_pictures(ReferenceDecoys, fixed=False, step=_FINE_STEP, decoys=decoys),
        must=not decoys, like="reference-decoys",
    )  # fmt: skip


def seeded_decoys(bits: int = 32) -> Control:
    """See `SeededDecoys`."""
    make = _of_pictures(SeededDecoys, fixed=False, decoys=SPARSITY, bits=bits)
    return Control("seeded-decoys", f"decoys from a seed of {bits} bits", make)


def revealed_cells(share: float) -> Control:
    """See `RevealedCells`."""
    return Control(
        f"revealed-{100 * share:g}", f"sealed, {100 * share:g} % of the true entries told",
        _of_pictures(RevealedCells, fixed=True, share=share), must=share >= max(SHARES), like=_LAST_SHARE,
    )  # fmt: skip


def all_controls(*, seed_bits: int = 32, release: bool = False) -> tuple[Control, ...]:
    """Every control of a report, positive ones first.

    Args:
        seed_bits: length of the seed of `seeded-decoys`.
        release: those on the release's own codec too.
    """
    found = (
        reference_decoys(), matched_decoys(), seeded_decoys(seed_bits), *_SIMPLE,
        *(revealed_cells(share) for share in SHARES), *_NEGATIVE,
    )  # fmt: skip
    return found + (_ON_RELEASE if release else ())


def decoy_curve() -> tuple[Control, ...]:
    """Matched decoys in all numbers, for the curve of public bits against what an attacker gets."""
    return tuple(replace(matched_decoys(ratio), must=False) for ratio in RATIOS)


def control_named(name: str, *, seed_bits: int = 32) -> Control:
    """The control of this name.

    Raises:
        UsageError: there is none.
    """
    found = {each.name: each for each in (*decoy_curve(), *all_controls(seed_bits=seed_bits, release=True))}
    if name not in found:
        raise UsageError(f"there is no control of that name; there are {', '.join(found)}")
    return found[name]


def _of_pictures(
    kind: Callable[..., Protection], *, fixed: bool, step: int | None = None, **how: Any
) -> Callable[[Setup], Protection]:
    """Makes a mechanism that publishes working pictures by codec primis, with codes of fixed composition or free."""
    return lambda setup: kind(
        primis_space(setup.working, fixed=fixed, step=step), setup.cache, image_of=working_image, **how
    )


def _of_release(kind: Callable[..., Protection], *, fixed: bool, **how: Any) -> Callable[[Setup], Protection]:
    """Makes a mechanism that publishes original images by the release's own codec."""

    def make(setup: Setup) -> Protection:
        if setup.space is None:
            raise ValueError("a control on the release's own codec needs the release's codec")
        return kind(setup.space.of_kind(fixed=fixed), setup.cache, **how)

    return make


_LAST_SHARE = f"revealed-{100 * max(SHARES):g}"
_SIMPLE = (
    Control(
        "two-time-pad", "sealed, one key for all packages",
        lambda setup: _of_pictures(TwoTimePad, fixed=True, secret=setup.secret)(setup),
    ),
    Control(
        "content-weight", "sealed, with as many entries as the image needs",
        _of_pictures(ContentWeight, fixed=True, step=_COARSE_STEP), many=True,
    ),
    Control(
        "unpadded-lengths", "encrypted, as long as the compressed image", _of_pictures(UnpaddedLengths, fixed=False),
        many=True,
    ),
    Control(
        "linear-encoding", "a secret linear map of patches in random order (NeuraCrypt-like)",
        lambda setup: LinearEncoding(setup.secret), many=True,
    ),
    Control(
        "weighted-mixing", "pictures mixed with others, signs flipped (InstaHide-like)",
        lambda setup: WeightedMixing(setup.pool),
    ),
    Control("unprotected", "the code itself", _of_pictures(Unprotected, fixed=False)),
    Control(
        "identity-permutation", "sealed, the permutation left out", _of_pictures(IdentityPermutation, fixed=True)
    ),
    Control("unmasked-levels", "sealed, the level stream not masked", _of_pictures(UnmaskedLevels, fixed=True)),
)  # fmt: skip
_NEGATIVE = (
    Control(
        "random-codes", "uniformly random codes, nothing of the image", _of_pictures(RandomCodes, fixed=True),
        positive=False,
    ),
    Control(
        "shuffled-identities", "the code itself, of patients mixed up", _of_pictures(Unprotected, fixed=False),
        positive=False, shuffled=True,
    ),
)  # fmt: skip
# A sealed code of codec `lapped` is of little use without its secret side bytes, even in the clear: the thresholds in
# them say which cell is which coefficient. So the code in the clear is one of free length, whose thresholds are public;
# where only the permutation is missing, its cells are found and not its picture; and where some are told, nobody has to
# succeed.
_ON_RELEASE = tuple(
    replace(control, name=control.name + RELEASE, title=f"{control.title}, the release's codec", release=True)
    for control in (
        Control("unprotected", "the code itself", _of_release(Unprotected, fixed=False)),
        Control(
            "identity-permutation", "sealed, the permutation left out", _of_release(IdentityPermutation, fixed=True)
        ),
        Control("unmasked-levels", "sealed, the level stream not masked", _of_release(UnmaskedLevels, fixed=True)),
        Control(
            _LAST_SHARE, "sealed, 10 % of the true entries told",
            _of_release(RevealedCells, fixed=True, share=max(SHARES)), must=False, like=_LAST_SHARE,
        ),
    )
)  # fmt: skip
