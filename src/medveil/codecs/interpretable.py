"""Codecs that also say where in a picture their cells are: for those who look at codes instead of decoding them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, SparseCode
from medveil.codecs.lapped.codec import LappedCodec, _decoded
from medveil.codecs.lapped.transform import UNIT
from medveil.codecs.threads import one_blas_thread


def arranged(codec: Codec) -> Codec:
    """The same codec with `coefficients` (lapped) or `planes` and `scores` (primis); others as they are."""
    if type(codec) is LappedCodec:
        return ArrangedLapped()
    if codec.name == "primis":
        from medveil.codecs.primis.codec import PrimisCodec
        from medveil.codecs.primis.interpretable_primis import ArrangedPrimis

        return ArrangedPrimis(codec.weights) if type(codec) is PrimisCodec else codec
    return codec


class ArrangedLapped(LappedCodec):
    """Codec lapped, and the coefficients of a code."""

    @one_blas_thread()
    def coefficients(self, code: SparseCode, bucket: Bucket, base: SparseCode | None = None) -> NDArray[np.float32]:
        """Transform coefficients of a code in grey values: (256, rows, columns), DCT row by row, the DC plane first.

        Raises:
            IntegrityError: the code is not one of this bucket, or doesn't refine this base.
        """
        return (_decoded(code, bucket, base)[0] / UNIT).astype(np.float32)
