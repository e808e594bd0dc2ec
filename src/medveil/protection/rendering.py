"""What a stranger sees who decodes a public code as if it were the code of an image.

Nothing of it is needed to open a release. It answers "what does the file look like?": of a sealed one, a picture whose
law, given uniform keystreams, doesn't depend on the image; of an obfuscated one, whatever the decoys leave to be seen.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, CodeMap, Composition, Profile, SparseCode
from medveil.images.image import FileKind, Image, Source
from medveil.protection.ambiguation import AmbiguatedCode
from medveil.protection.sealing import PublicCode, check_public

_SIZE_STEP = 16


def public_as_code(public: PublicCode, composition: Composition, side: bytes = b"") -> SparseCode:
    """A public code taken at face value.

    Positions and signs are taken as they stand. The masked level stream is noise to an entropy decoder, so the
    magnitudes are read from its bytes instead, one byte each and over again when they run out: 1 + the number of its
    trailing zero bits, which is about how magnitudes are distributed.

    Args:
        public: a sealed code.
        composition: its public composition.
        side: side bytes to decode with; the true ones are masked, so any that the codec accepts.

    Raises:
        IntegrityError: the public code doesn't have this composition.
    """
    check_public(public, composition)
    masked = np.frombuffer(public.levels or b"\1", np.uint8).astype(np.int32) | 256
    magnitudes = 1 + np.log2(masked & -masked).astype(np.int32)
    maps: list[CodeMap] = []
    drawn = 0
    for public_map in public.maps:
        count = len(public_map.positions)
        own: NDArray[np.int32] = magnitudes[(drawn + np.arange(count)) % len(magnitudes)]
        maps.append(CodeMap(public_map.cells, public_map.positions, np.where(public_map.signs, -own, own)))
        drawn += count
    return SparseCode(tuple(maps), side)


def ambiguated_as_code(ambiguated: AmbiguatedCode, side: bytes = b"") -> SparseCode:
    """An ambiguated code taken at face value, true entries and decoys alike, with side bytes to decode it with."""
    return SparseCode(ambiguated.code.maps, side)


def stranger_pixels(
    public: PublicCode | AmbiguatedCode, codec: Codec, profile: Profile, bucket: Bucket
) -> NDArray[np.generic]:
    """The pixels that decoding the public code as it stands gives, in the bucket's size or up to 48 pixels less.

    The stranger doesn't have the side bytes; those of an even grey texture stand in. It has the bucket's size, or, of
    the sizes within the bucket, one that makes as many cells as an ambiguated code shows.
    """
    if isinstance(public, PublicCode):
        composition = codec.composition(profile, bucket)
        side = codec.encode(_texture(bucket.height, bucket.width, profile), profile, composition).side
        return codec.decode(public_as_code(public, composition, side), profile, bucket)
    shown = sum(code_map.cells for code_map in public.code.maps)
    for fewer_rows, fewer_columns in product(range(0, Bucket.STEP, _SIZE_STEP), repeat=2):
        texture = _texture(bucket.height - fewer_rows, bucket.width - fewer_columns, profile)
        stand_in = codec.encode(texture, profile, None)
        if sum(code_map.cells for code_map in stand_in.maps) == shown:
            break
    return codec.decode(ambiguated_as_code(public, stand_in.side), profile, bucket)


def _texture(height: int, width: int, profile: Profile) -> Image:
    """Middle grey with a fixed grain of about 4 % of the range: enough for a codec to choose a usual step."""
    bits, dtype = (12, np.uint16) if profile.deep else (8, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    grain = ((rows * 73_856_093) ^ (columns * 19_349_663)) % 31 - 15
    pixels = (1 << (bits - 1)) + (grain << (bits - 8))
    return Image(np.ascontiguousarray(pixels.astype(dtype)), bits, Source(FileKind.PNG, b""))
