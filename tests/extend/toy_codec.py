"""A codec in one file: the mean of every 4 × 4 pixels. Entry point: medveil.codecs, blocks = toy_codec:BlockCodec."""

import numpy as np

from medveil.codecs.code import Bucket, CodeMap, Composition, MapShape, Profile, SparseCode
from medveil.errors import IntegrityError, UsageError

BLOCK = 4


class BlockCodec:
    name = "blocks"
    successive = False  # its code is complete: it needs no preview's code
    reproducible = True  # integers only, so that an exact picture can be built on it
    vector_length = 0

    def profile(self, *, quality_centidb, sparsity, deep):
        if sparsity or deep:
            raise UsageError("codec blocks has no sparsity, and is for images of 8 bits", hint="leave both out")
        return Profile(self.name, quality_centidb)

    def weights_bytes(self):
        return b""

    def composition(self, profile, bucket):
        cells = (bucket.height // BLOCK) * (bucket.width // BLOCK)
        return Composition((MapShape(cells, cells),), level_bytes=2 * cells + 64)

    def packed_bytes(self, profile, bucket):
        return self.composition(profile, bucket).level_bytes  # more than any code needs, packed

    def encode(self, image, profile, budget, base=None):
        height, width = image.pixels.shape
        bucket = Bucket.of(height, width)
        whole = np.pad(image.pixels, ((0, bucket.height - height), (0, bucket.width - width)), mode="edge")
        blocks = whole.reshape(bucket.height // BLOCK, BLOCK, bucket.width // BLOCK, BLOCK)
        levels = np.rint(blocks.mean((1, 3))).astype(np.int32).ravel() - 128
        places = np.flatnonzero(levels)
        side = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        return SparseCode((CodeMap(len(levels), places, levels[places]),), side)

    def decode(self, code, profile, bucket, base=None):
        height, width = int.from_bytes(code.side[:2], "big"), int.from_bytes(code.side[2:], "big")
        (only,) = code.maps
        if len(code.side) != 4 or not height or not width or Bucket.of(height, width) != bucket:
            raise IntegrityError("the side bytes of a code are not those of an image of its size class")
        levels = np.full(only.cells, 128, np.int32)
        levels[only.positions] += only.levels
        blocks = np.clip(levels, 0, 255).reshape(bucket.height // BLOCK, bucket.width // BLOCK).astype(np.uint8)
        return np.kron(blocks, np.ones((BLOCK, BLOCK), np.uint8))[:height, :width]
