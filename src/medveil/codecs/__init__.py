"""Image <-> SparseCode: long vectors of cells (code maps) of which few are nonzero. Lossy, and lossless on top.

Data. `Codec.encode` makes a `SparseCode` of an `Image`: code maps (positions and integer levels of the nonzero cells)
and side bytes. With a `Composition` it fills exactly that many nonzeros and bytes (what is sealed); without one it
works at a constant step (what is encrypted). `entropy` packs levels, or a whole code, into bytes. `Codec.decode` makes
pixels of it again. `preview` codes the coarse picture that another code may refine, and `residual/exact` what a
decoded picture lacks of the original.

Import:
- `code` (`SparseCode`, `CodeMap`, `Composition`, `Bucket`, `Profile`, `Codec`): the nouns of this room.
- `registry`: `get_codec(name or folder of weights)`, `codec_of_profile(...)`, `available()`.
- `coding.Coding`: a codec at the profile of a release, and of its previews.
- `entropy`: codes to bytes and back. `interpretable`: where in a picture the cells of a code are.

By codec:
- `lapped/`: the transform codec, which needs no weights. `primis/`: the learned one.
- `residual/`: lossless, beside a lapped code or alone; `residual/exact` is its way in.

What holds:
- A composition is a function of profile and size bucket, never of an image.
- `lapped` and the lossless part decode with integers only, the same on every machine; tests/vectors fixes their bytes.
- Every length is checked against what its composition allows before memory is taken; bad bytes end in IntegrityError.
- `lapped` needs no torch; `primis` does.

To add a codec: a class with the members of `code.Codec` and a line in `registry` (in another package: the entry
point group `medveil.codecs`). tests/codecs/ shows what one has to stand.
"""
