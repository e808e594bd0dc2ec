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
_MAX_SUFFIX = 17  # bytes, with the dot
OTHER = ".data"  # suffix of what medveil knows no suffix for
_FORBIDDEN = frozenset(
    "<>:\"|?*~$`;&'!%"
)  # ~: GIT~1 is .git on Windows, and a home folder to a shell; $ ` ; & ! run things there, % is a value on Windows
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)
_DATA_SUFFIXES = """
    dcm dicom ima img hdr nii mha mhd raw nrrd png jpg jpeg jpe jfif jp2 j2k jls jxl tif tiff bmp gz zip
    mgh mgz nhdr gipl fits svs vtk vtp stl ply obj seg bval bvec trk tck tfm gif webp avif
    gii par rec mnc brik head 1d xfm lta labels czi lif mrxs fcsv mrml hea atr dat feather arrow tar tgz bz2 xz 7z
    csv tsv txt json jsonl xml md rst log pdf xlsx docx ods odt parquet npy npz mat h5 hdf5 edf safetensors data
"""
_OBEYED_NAMES = """
    cmakelists.txt cmakepresets.json cmakeuserpresets.json package.json package-lock.json composer.json deno.json
    bower.json tsconfig.json jsconfig.json project.json global.json build.xml pom.xml ivy.xml phpunit.xml nuget.xml
    babel.json jest.json eslint.json tslint.json biome.json renovate.json angular.json lerna.json nx.json turbo.json
    vercel.json now.json netlify.json firebase.json nodemon.json wrangler.json pyrightconfig.json appsettings.json
    vcpkg.json mcp.json log4j.xml log4j2.xml log4j2.json log4j2-test.xml logback.xml logback-test.xml web.xml
    context.xml server.xml settings.xml requirements.txt constraints.txt conanfile.txt meson_options.txt runtime.txt
    agents.md claude.md gemini.md skill.md copilot-instructions.md ntuser.dat usrclass.dat
"""
# Of files that hold data, and that no program runs, loads or obeys on account of their name …
_DATA = frozenset(_DATA_SUFFIXES.split())
# … but for these: tools that build, run or write programs go by them.
_OBEYED = frozenset(_OBEYED_NAMES.split())
_PLAIN_TEXTS = frozenset(["readme", "changes", "license"])  # names without a suffix that data sets have (BIDS)
_PACKED = frozenset(["gz", "bz2", "xz"])  # behind the suffix of what is packed
_LIBRARY = re.compile(r".*\.so(\.\d+)+", re.IGNORECASE | re.DOTALL)  # libc.so.6
_DIGITS = re.compile(r"\d+")
_NO_PROGRAM = re.compile(r"[^.]*\d[^.]*")  # of a name without a suffix: IM0001, not Makefile, HEAD or config


def safe_relative(text: str, suffix: str = OTHER) -> PurePosixPath:
    """The nearest relative path to `text` that stays inside a folder, is a legal name on Linux, macOS and Windows, and
    is one that no shell, editor, file manager, version control or build tool acts upon.

    Drive letters, leading slashes, `.` and `..` go. Control characters, format characters (such as those that turn the
    reading direction), look-alikes of dots and slashes, and ``<>:"|?*~$`;&'!%`` become `_`, and so do one of `.-=+@`
    at the beginning of a part. Reserved names and dots or blanks at the end of a part are altered; long parts are cut,
    keeping their suffix. A file's name that has no suffix of data gets one, but for numbers (`IM0001`, `1.2.840.7`) and
    README, CHANGES, LICENSE; a folder's name has no suffix of letters (`x.app`). Never empty.

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
    if part[0] in ".-=+@":
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
    if dot:
        harmless = last.casefold() in _DATA or bool(_DIGITS.fullmatch(last) and not _LIBRARY.fullmatch(name))
    else:
        harmless = name.casefold() in _PLAIN_TEXTS or bool(_NO_PROGRAM.fullmatch(name))
    return name if harmless else _cut(f"{name}{suffix}")


def _cut(part: str) -> str:
    if len(part.encode()) <= MAX_PART_BYTES:
        return part
    stem, suffix = _stem_and_suffix(part)
    if len(suffix.encode()) > _MAX_SUFFIX:
        stem, suffix = part, ""
    room = MAX_PART_BYTES - len(suffix.encode())
    return (stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") or "_") + suffix


def _stem_and_suffix(name: str) -> tuple[str, str]:
    """A name without its suffix, and that with its dot; of what is packed (`.nii.gz`) both."""
    stem, dot, last = name.rpartition(".")
    if not dot or not stem:
        return name, ""
    inner, dot, packed = stem.rpartition(".")
    if last.casefold() in _PACKED and inner and packed.casefold() in _DATA:
        return inner, f".{packed}.{last}"
    return stem, f".{last}"


class FreeNames:
    """Names that are given once: a second `x.nii.gz` is `x-2.nii.gz`.

    Case is ignored, and whether an accent is a character of its own: to some file systems such names are one.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()  # the files, and with a slash at the end the folders that they lie in
        self._counts: dict[str, int] = {}  # the last number given to a name, and to a folder

    def take(self, name: PurePosixPath) -> PurePosixPath:
        """`name`, or `name-2` … where it would meet another file, or a folder that another file lies in."""
        candidate = name
        if self._collides(name):
            blocked = self._blocked(name)  # a file stands where its folder would be
            key = f"{_folded(PurePosixPath(name.parts[0]))}/" if blocked else _folded(name)
            count = self._counts.get(key, 1) + (not blocked)
            while count == 1 or self._collides(candidate := _numbered(name, count, folder=blocked)):
                count += 1
            self._counts[key] = count
        self._taken.add(_folded(candidate))
        self._taken.update(f"{_folded(parent)}/" for parent in candidate.parents)
        return candidate

    def _collides(self, name: PurePosixPath) -> bool:
        key = _folded(name)
        return key in self._taken or f"{key}/" in self._taken or self._blocked(name)

    def _blocked(self, name: PurePosixPath) -> bool:
        return any(_folded(parent) in self._taken for parent in name.parents)


def _numbered(name: PurePosixPath, count: int, *, folder: bool) -> PurePosixPath:
    if folder:
        return PurePosixPath(f"{name.parts[0]}-{count}", *name.parts[1:])
    stem, suffix = _stem_and_suffix(name.name)
    return name.with_name(f"{stem}-{count}{suffix}")


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())
