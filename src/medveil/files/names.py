"""Making stored names safe to write on any system, and harmless there.

The owner of a release chooses the names, and a hostile one chooses `.git/config`, `sitecustomize.py` or `desktop.ini`.
A list of the names that programs act upon is never complete. So the rule is the other way round: a name is kept if it
is that of a file of data, and altered if it isn't.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

MAX_PART_BYTES = 200  # most file systems allow 255; what is left is for suffixes
MAX_PARTS = 32
OTHER = ".data"  # suffix of what medveil knows no suffix for
_FORBIDDEN = frozenset(
    '<>:"|?*~$`'
)  # ~: GIT~1 is .git on Windows, and a home folder to a shell; $ and ` run things there
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)
_DATA_SUFFIXES = """
    dcm dicom ima img hdr nii mha mhd raw nrrd png jpg jpeg jpe jfif jp2 j2k jls jxl tif tiff bmp gz zip
    mgh mgz nhdr gipl fits svs vtk vtp stl ply obj seg bval bvec trk tck tfm gif webp avif
    csv tsv txt json jsonl xml md rst log pdf xlsx docx ods odt parquet npy npz mat h5 hdf5 edf safetensors data
"""
_OBEYED_NAMES = """
    cmakelists.txt cmakepresets.json cmakeuserpresets.json package.json package-lock.json composer.json deno.json
    bower.json tsconfig.json jsconfig.json project.json global.json build.xml pom.xml ivy.xml phpunit.xml nuget.xml
"""
# Of files that hold data, and that no program runs, loads or obeys on account of their name …
_DATA = frozenset(_DATA_SUFFIXES.split())
# … but for these: tools that build programs go by them.
_OBEYED = frozenset(_OBEYED_NAMES.split())
_DIGITS = re.compile(r"\d+")
_NO_PROGRAM = re.compile(r"[^.]*\d[^.]*")  # of a name without a suffix: IM0001, not Makefile, HEAD or config


def safe_relative(text: str, suffix: str = OTHER) -> PurePosixPath:
    """The nearest relative path to `text` that stays inside a folder, is a legal name on Linux, macOS and Windows, and
    is one that no shell, editor, file manager, version control or build tool acts upon.

    Drive letters, leading slashes, `.` and `..` go. Control characters, format characters (such as those that turn the
    reading direction), look-alikes of dots and slashes, and ``<>:"|?*~$` `` become `_`, and so do a dot or a minus at
    the beginning of a part. Reserved names and dots or blanks at the end of a part are altered; long parts are cut,
    keeping their suffix. A file's name that has no suffix of data gets one, but for numbers (`IM0001`, `1.2.840.7`); a
    folder's name has no suffix of letters (`x.app`). Never empty.

    Args:
        text: the stored path.
        suffix: with the dot, of a file whose name has no suffix of data.
    """
    parts = text.replace("\\", "/").split("/")
    if parts and len(parts[0]) == 2 and parts[0][1] == ":" and parts[0][0].isalpha():
        parts = parts[1:]
    clean = [_safe_part(part) for part in parts if part.strip() not in ("", ".", "..")][-MAX_PARTS:]
    if not clean:
        return PurePosixPath(f"image{suffix}")
    return PurePosixPath(*map(_safe_folder, clean[:-1]), _safe_file(clean[-1], suffix))


def _safe_part(part: str) -> str:
    part = "".join("_" if _is_forbidden(character) else character for character in part)
    part = part.strip(" ").rstrip(". ") or "_"
    if part[0] in ".-":
        part = f"_{part[1:]}"
    if part.split(".", 1)[0].rstrip(" ").casefold() in _RESERVED:
        part = f"_{part}"
    return _cut(part)


def _is_forbidden(character: str) -> bool:
    if character in _FORBIDDEN or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return True
    return not character.isascii() and any(one in _FORBIDDEN or one in "./\\" for one in _plain(character))


def _plain(character: str) -> str:
    """What a character becomes where look-alikes count as one."""
    return unicodedata.normalize("NFKC", character)


def _safe_folder(name: str) -> str:
    """A folder that is a program (`x.app`) or a link of the system (`x.{number}`) has a suffix that isn't a number."""
    stem, dot, suffix = name.rpartition(".")
    return name if not dot or suffix[0].isdigit() else f"{stem}_{suffix}"


def _safe_file(name: str, suffix: str) -> str:
    if name.casefold() in _OBEYED:
        return f"_{name}"
    _, dot, last = name.rpartition(".")
    harmless = last.casefold() in _DATA or _DIGITS.fullmatch(last) if dot else _NO_PROGRAM.fullmatch(name)
    return name if harmless else _cut(f"{name}{suffix}")


def _cut(part: str) -> str:
    if len(part.encode()) <= MAX_PART_BYTES:
        return part
    stem, dot, suffix = part.rpartition(".")
    if not dot or not stem or len(suffix.encode()) > 16:
        stem, dot, suffix = part, "", ""
    room = MAX_PART_BYTES - len((dot + suffix).encode())
    return (stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") or "_") + dot + suffix
