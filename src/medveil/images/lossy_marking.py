"""What a derived image says about how it was compressed."""

from __future__ import annotations

from dataclasses import dataclass

EXACT = "exact"  # the tier whose pixels are the original's: it alone has no Loss


@dataclass(frozen=True)
class Loss:
    """How an image that differs from its original was compressed.

    Attributes:
        ratio: bytes of the original pixels over bytes of the compressed ones.
        method: name of the method, e.g. "MEDVEIL_LAPPED"; DICOM keeps 16 characters A-Z, 0-9, _ and blank.
    """

    ratio: float
    method: str
