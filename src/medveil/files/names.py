"""Making stored names safe to write on any system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

MAX_PART_BYTES = 200  # most file systems allow 255; what is left is for suffixes
MAX_PARTS = 32
_FORBIDDEN = frozenset('<>:"|?*')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)


def safe_relative(text: str) -> PurePosixPath:
    """The nearest relative path to `text` that stays inside a folder and is a legal name on Linux, macOS and Windows.

    Drive letters, leading slashes, `.` and `..` go; control characters, format characters (such as those that turn the
    reading direction) and `<>:"|?*` become `_`; reserved names and dots or blanks at the end of a part are altered;
    long parts are cut, keeping their suffix. Never empty.
    """
    parts = text.replace("\\", "/").split("/")
    if parts and len(parts[0]) == 2 and parts[0][1] == ":" and parts[0][0].isalpha():
        parts = parts[1:]
    clean = [_safe_part(part) for part in parts if part.strip() not in ("", ".", "..")]
    return PurePosixPath(*clean[-MAX_PARTS:]) if clean else PurePosixPath("image")


def safe_relatives(texts: Iterable[str]) -> list[PurePosixPath]:
    """`safe_relative` of each, distinct also where upper and lower case are one: later ones get `-2`, `-3` …"""
    taken: set[str] = set()
    result = []
    for text in texts:
        path, count = safe_relative(text), 1
        candidate = path
        while _fold(candidate) in taken:
            count += 1
            candidate = path.with_name(f"{path.stem}-{count}{path.suffix}")
        taken.add(_fold(candidate))
        result.append(candidate)
    return result


def _fold(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _safe_part(part: str) -> str:
    part = "".join("_" if _is_forbidden(character) else character for character in part)
    part = part.strip(" ").rstrip(". ") or "_"
    if part.split(".", 1)[0].rstrip(" ").casefold() in _RESERVED:
        part = f"_{part}"
    return _cut(part)


def _is_forbidden(character: str) -> bool:
    return character in _FORBIDDEN or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _cut(part: str) -> str:
    if len(part.encode()) <= MAX_PART_BYTES:
        return part
    stem, dot, suffix = part.rpartition(".")
    if not dot or not stem or len(suffix.encode()) > 16:
        stem, dot, suffix = part, "", ""
    room = MAX_PART_BYTES - len((dot + suffix).encode())
    return (stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") or "_") + dot + suffix
