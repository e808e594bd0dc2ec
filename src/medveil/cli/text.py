"""Sizes and rates in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from medveil.errors import UsageError

if TYPE_CHECKING:
    from medveil.keys.tiers import Section
    from medveil.releases.packages.packing import Fidelity
    from medveil.releases.sharing import ShareResult

_SECTIONS = {
    "exact": "the exact sections", "file": "the kept files", "attachment": "the attachments", "code": "the codes",
    "support": "the secrets of the codes", "image": "long image records", "identity": "long identity records",
}  # fmt: skip
_PADDED_AS_ASKED = {"exact", "file"}


def bytes_text(size: int) -> str:
    """1234567 -> "1.2 MB" (powers of ten)."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{size} B"


def bytes_of(text: str) -> int:
    """The inverse, for options: "1234", "500 MB", "10GB" (powers of ten), "2 GiB" (powers of 1024).

    Raises:
        UsageError: it is no such number.
    """
    found = re.fullmatch(r"(\d{1,18})\s*(?:([kKMGT])(i?)B?|B)?", text.strip())
    if found is None:
        raise UsageError("a number of bytes is expected", hint="such as 1234, 500MB, 10GB or 2GiB")
    number, unit, binary = found.groups()
    power = " kMGT".index(unit.replace("K", "k")) if unit else 0
    return int(int(number) * (1024 if binary else 1000) ** power)


def plural(count: int, noun: str) -> str:
    """3, "image" -> "3 images"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def length_lines(varying: Set[Section]) -> list[str]:
    """What everybody sees of images by the lengths of their sections; nothing where each size class has one length."""
    if not varying:
        return []
    named = ", ".join(_SECTIONS.get(section, f"the {section} sections") for section in sorted(varying))
    remedy = "; --padding bucket gives a size class one" if varying & _PADDED_AS_ASKED else ""
    return [f"lengths that depend on the image, for everybody to see: {named}{remedy}"]


def fidelity_lines(measured: Sequence[Fidelity]) -> list[str]:
    """Mean fidelity in words: PSNR of all images, and RMSE of those of more than 8 bits."""
    lines = []
    lossy = [f.psnr for f in measured if math.isfinite(f.psnr)]
    if lossy:
        exact = len(measured) - len(lossy)
        lines.append(f"fidelity: PSNR {sum(lossy) / len(lossy):.1f} dB mean, {min(lossy):.1f} dB lowest")
        lines += [f"exact: {plural(exact, 'image')}"] if exact else []
    elif measured:
        lines.append(f"fidelity: {plural(len(measured), 'image')}, all exact")
    deep = [f for f in measured if f.bits_stored > 8]
    if deep:
        stored, modality = (
            sum(values) / len(deep) for values in ([f.rmse for f in deep], [f.rmse_modality for f in deep])
        )
        units = {each.unit for each in deep}
        unit = (units.pop() if len(units) == 1 else "") or "modality units"
        largest = max(each.rmse_modality for each in deep)
        lines.append(
            f"more than 8 bits: RMSE {stored:.2f} stored units, {modality:.2f} {unit} (mean; largest {largest:.2f})"
        )
    return lines


def coarse_lines(result: ShareResult) -> list[str]:
    """That images above 8 bits came out worse than aimed at, where some did."""
    if not result.coarse:
        return []
    number, largest = max(result.coarse, key=lambda each: each[1])
    unit = result.fidelity[number].unit or "modality units"
    return [
        f"{plural(len(result.coarse), 'image')} of {sum(each.bits_stored > 8 for each in result.fidelity.values())} "
        f"above 8 bits came back 3 dB or more worse than the {result.error:g} {unit} aimed at; the worst is #{number}, "
        f"with an RMSE of {largest:.1f} {unit}"
    ]
