"""What must break what: for each attack the controls that it is expected to break. The one table of it."""

from __future__ import annotations

from collections.abc import Mapping

EXPECTED_BREAKS: Mapping[str, tuple[str, ...]] = {
    "value-threshold": ("reference-decoys",),
    "naive-decode": (
        "matched-decoys", "unprotected", "identity-permutation", "unprotected@release", "identity-permutation@release",
    ),
    "plain-stream": ("unmasked-levels", "unmasked-levels@release"),
    "likelihood-ratio": ("reference-decoys", "matched-decoys"),
    "support-network": ("matched-decoys", "identity-permutation"),
    "code-decoder": (
        "matched-decoys", "unprotected", "identity-permutation", "revealed-10", "weighted-mixing", "two-time-pad",
        "unprotected@release", "identity-permutation@release",
    ),
    "unet": ("unprotected", "matched-decoys", "unprotected@release"),
    "vnet": ("unprotected", "unprotected@release"),
    "cgan": ("unprotected", "unprotected@release"),
    "cyclegan": ("unprotected", "unprotected@release"),
    "intersection": ("matched-decoys",),
    "seed-enumeration": ("seeded-decoys",),
    "side-channels": ("content-weight", "unpadded-lengths"),
    "linkage-code": ("linear-encoding",),
    "linkage-picture": ("unprotected", "weighted-mixing", "unprotected@release"),
    "wrong-key": ("two-time-pad",),
}  # fmt: skip
"""Attack → controls, what it breaks most easily first."""


def expected_breakers(control: str) -> tuple[str, ...]:
    """Attacks that are expected to break a control."""
    return tuple(attack for attack, controls in EXPECTED_BREAKS.items() if control in controls)


def expected_breaks(attack: object) -> tuple[str, ...]:
    """Controls that an attack is expected to break, easiest first.

    An attack of another package brings its own row, as an attribute `beats`.
    """
    return EXPECTED_BREAKS.get(getattr(attack, "name", ""), tuple(getattr(attack, "beats", ())))
