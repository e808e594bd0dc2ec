"""Finding the files that a user named, alone or as folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

NO_SUCH_FILE = "there is no such file or folder"
LINK_OUTSIDE = "a link that leads out of the given folder or nowhere"
NOT_REGULAR = "not a regular file (a device, pipe or socket)"
UNREADABLE_FOLDER = "a folder that may not be read"

_JUNK_NAMES = frozenset([".ds_store", "thumbs.db", "desktop.ini"])
_JUNK_PREFIX = "._"  # beside any file, on volumes that have no place for what Finder knows of it
_MAX_JUNK = 1 << 20


def is_junk(path: Path) -> bool:
    """Whether Finder or Explorer left this file in a folder that was looked at: by its name, a regular file of 1 MiB at
    most, and no link.
    """
    name = path.name.casefold()
    if name not in _JUNK_NAMES and not name.startswith(_JUNK_PREFIX):
        return False
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_JUNK


@dataclass(frozen=True)
class Found:
    """One input.

    Attributes:
        path: where it is.
        relative: its name in the release: for a file in a given folder the folder's name and the path in it, for a
            file given by itself its own name. Unique among the inputs of one walk.
        root: index of the given path that led to it.
        problem: why it cannot be read, in words without its name; empty when it can be tried.
    """

    path: Path
    relative: PurePosixPath
    root: int
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """What a walk found, in a fixed order; iterating gives the files.

    Attributes:
        files: every input, also those with a problem.
        skipped: how many files and folders were passed over: DICOMDIR, names that begin with a dot, files met a second
            time, what the caller asked to skip.
    """

    files: tuple[Found, ...]
    skipped: int = 0

    def __iter__(self) -> Iterator[Found]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def find_files(paths: Iterable[str | os.PathLike[str]], *, skip: Iterable[Path] = ()) -> Listing:
    """Every file of the given files and folders, folders searched to the bottom, sorted by name.

    Links inside a folder are followed only to files inside that same folder; a path that the user names is taken even
    if it is a link. Nothing is opened.

    Args:
        paths: files and folders.
        skip: files and folders to pass over wherever they are met, with all that is in them; each counts as one
            skipped. What the user names inside such a folder is taken.
    """
    walk = _Walk(frozenset(os.path.realpath(path) for path in skip))
    for index, given in enumerate(paths):
        walk.add(Path(given), index)
    return Listing(tuple(walk.files), walk.skipped)


@dataclass(frozen=True)
class _Folder:
    """A folder to search: where it is, its name in the release, and where it is with all links resolved."""

    path: Path
    relative: PurePosixPath
    real: str


class _Walk:
    def __init__(self, skip: frozenset[str]) -> None:
        self.files: list[Found] = []
        self.skipped = 0
        self._skip = skip
        self._relatives: set[str] = set()
        self._tops: set[str] = set()
        self._seen: set[str] = set()

    def add(self, given: Path, root: int) -> None:
        real = os.path.realpath(given)
        if real in self._skip:
            self.skipped += 1
        elif os.path.isdir(given):
            top = self._distinct(PurePosixPath(_folder_name(given)), self._tops)
            self._tops.add(str(top).casefold())
            self._search(_Folder(given, top, real), root)
        else:
            self._keep(given, PurePosixPath(given.name or "input"), root, _problem_of(given))

    def _search(self, top: _Folder, root: int) -> None:
        """Depth first, with a stack of its own: folders may be nested deeper than Python's calls."""
        inside = Path(top.real)
        stack = [self._entries(top, root)]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                continue
            folder, entry = step
            inner = _Folder(
                folder.path / entry.name,
                folder.relative / _printable(entry.name),
                os.path.join(folder.real, entry.name),
            )
            if entry.name.startswith(".") or entry.name.upper() == "DICOMDIR" or inner.real in self._skip:
                self.skipped += 1
            elif entry.is_symlink():
                self._link(inner.path, inner.relative, root, inside)
            elif entry.is_dir(follow_symlinks=False):
                stack.append(self._entries(inner, root))
            else:
                self._keep(inner.path, inner.relative, root, _problem_of(inner.path))

    def _entries(self, folder: _Folder, root: int) -> Iterator[tuple[_Folder, os.DirEntry[str]]]:
        try:
            with os.scandir(folder.path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            self._keep(folder.path, folder.relative, root, UNREADABLE_FOLDER)
            return
        for entry in entries:
            yield folder, entry

    def _link(self, path: Path, relative: PurePosixPath, root: int, inside: Path) -> None:
        target = Path(os.path.realpath(path))
        if not os.path.exists(target) or not target.is_relative_to(inside):
            self._keep(path, relative, root, LINK_OUTSIDE)
        elif os.path.isdir(target) or any(target.is_relative_to(passed) for passed in self._skip):
            self.skipped += 1  # its files are met where they really are, or passed over
        else:
            self._keep(path, relative, root, _problem_of(path))

    def _keep(self, path: Path, relative: PurePosixPath, root: int, problem: str) -> None:
        place = os.path.abspath(path)
        if place in self._seen:
            self.skipped += 1
            return
        self._seen.add(place)
        relative = self._distinct(relative, self._relatives)
        self._relatives.add(str(relative).casefold())
        self.files.append(Found(path, relative, root, problem))

    @staticmethod
    def _distinct(relative: PurePosixPath, taken: set[str]) -> PurePosixPath:
        candidate, count = relative, 1
        while str(candidate).casefold() in taken:
            count += 1
            candidate = relative.with_name(f"{relative.stem}-{count}{relative.suffix}")
        return candidate


def _folder_name(folder: Path) -> str:
    return _printable(os.path.basename(os.path.realpath(folder))) or "root"


def _printable(name: str) -> str:
    """The name as text: bytes that are no UTF-8 would be lone surrogates, which no record can hold."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _problem_of(path: Path) -> str:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return NO_SUCH_FILE
    return "" if stat.S_ISREG(mode) else NOT_REGULAR
