"""What a stranger sees who decodes a public code as if it were the code of an image.

Nothing of it is needed to open a release. It answers "what does the file look like?": of a sealed one, a picture whose
law, given uniform keystreams, doesn't depend on the image; of an obfuscated one, whatever the decoys leave to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, CodeMap, Composition, Profile, SparseCode
from medveil.codecs.coding import Coding
from medveil.images.image import FileKind, Image, Source
from medveil.protection.ambiguation import AmbiguatedCode
from medveil.protection.sealing import PublicCode, check_public

_SIZE_STEP = 16


def public_as_code(public: PublicCode, composition: Composition, side: bytes = b"") -> SparseCode:
    """A public code taken at face value: positions and signs as they stand, and `stand_in_magnitudes`.

    Args:
        public: a sealed code.
        composition: its public composition.
        side: side bytes to decode with; the true ones are masked, so any that the codec accepts.

    Raises:
        IntegrityError: the public code doesn't have this composition.
    """
    check_public(public, composition)
    magnitudes = stand_in_magnitudes(public.levels, [len(each.positions) for each in public.maps])
    maps = tuple(
        CodeMap(each.cells, each.positions, np.where(each.signs, -own, own))
        for each, own in zip(public.maps, magnitudes, strict=True)
    )
    return SparseCode(maps, side)


def stand_in_magnitudes(stream: bytes, counts: Sequence[int]) -> list[NDArray[np.int32]]:
    """So many magnitudes for each map, out of a masked level stream, which is noise to an entropy decoder.

    They are read from its bytes instead, one byte each and over again when they run out: 1 + the number of its trailing
    zero bits, which is about how magnitudes are distributed.
    """
    masked = np.frombuffer(stream or b"\1", np.uint8).astype(np.int32) | 256
    magnitudes = 1 + np.log2(masked & -masked).astype(np.int32)
    starts = np.cumsum([0, *counts])[:-1]
    return [
        magnitudes[(start + np.arange(count)) % len(magnitudes)] for start, count in zip(starts, counts, strict=True)
    ]


def sealed_pixels(public: PublicCode, coding: Coding, bucket: Bucket) -> NDArray[np.generic]:
    """The pixels that decoding a sealed code as it stands gives, in the bucket's size.

    The stranger doesn't have the side bytes; those of an even grey texture stand in.
    """
    composition = coding.composition(bucket)
    side = coding.encode(texture(bucket.height, bucket.width, coding.profile), composition).side
    return coding.decode(public_as_code(public, composition, side), bucket)


def ambiguated_pixels(public: AmbiguatedCode, coding: Coding, bucket: Bucket) -> NDArray[np.generic]:
    """The pixels that true entries and decoys alike give, in the bucket's size or up to 48 pixels less.

    As `sealed_pixels`; of the sizes within the bucket, the texture has one that makes as many cells as the code shows.
    """
    shown = sum(code_map.cells for code_map in public.code.maps)
    for fewer_rows, fewer_columns in product(range(0, Bucket.STEP, _SIZE_STEP), repeat=2):
        grey = texture(bucket.height - fewer_rows, bucket.width - fewer_columns, coding.profile)
        stand_in = coding.encode(grey, None)
        if sum(code_map.cells for code_map in stand_in.maps) == shown:
            break
    return coding.decode(SparseCode(public.code.maps, stand_in.side), bucket)


def texture(height: int, width: int, profile: Profile) -> Image:
    """Middle grey with a fixed grain of about 4 % of the range: enough for a codec to choose a usual step."""
    bits, dtype = (12, np.uint16) if profile.deep else (8, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    grain = ((rows * 73_856_093) ^ (columns * 19_349_663)) % 31 - 15
    pixels = (1 << (bits - 1)) + (grain << (bits - 8))
    return Image.of_pixels(np.ascontiguousarray(pixels.astype(dtype)), bits, Source(FileKind.PNG, b""))
