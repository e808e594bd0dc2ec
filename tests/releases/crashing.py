"""A file system that can be stopped: every change is a step, at which power may fail or the disk be full.

The steps are the calls of `os` that change files. Beside the disk a model is kept of what has been flushed: the content
of a file counts as stored when the file was flushed, a name when its folder was. From it come the images of the disk
that a kill at that moment may leave.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tree = Mapping[str, bytes | None]  # path -> content; None for a folder


class Stopped(BaseException):
    """Stands for a kill that the process may still clean up after, as with Control-C: nothing may catch it."""


@dataclass(eq=False)
class _Node:
    """A file or a folder; `now` is what the process sees, `kept` what has been flushed."""

    now: Any
    kept: Any = None
    changed: bool = True  # since its times were set

    @property
    def is_folder(self) -> bool:
        return isinstance(self.now, dict)


@dataclass(frozen=True)
class Step:
    """One change: its number, from 0 on, the name of the call, and what it was made on."""

    number: int
    call: str
    path: str


@dataclass(frozen=True)
class Image:
    """What a kill leaves.

    Attributes:
        moment: after which step.
        loss: which of what was not flushed is lost.
        tree: what stands there.
        changed: names in it whose times were not set since they were changed.
        flushed: what would stand there if all that was not flushed were lost as well.
    """

    moment: str
    loss: str
    tree: Tree
    changed: frozenset[str]
    flushed: Tree


@dataclass
class Disk:
    """The folder `root`, watched.

    Attributes:
        root: what is watched; the process may write elsewhere unseen.
        steps: what was done.
        stop_at: raise Stopped before that step.
        full_from, full_until: the disk is full from that step on, until (before) that one or for good.
        flushed: what stands there for good, where it is not all; of the others a loss of power may leave nothing.
        images: what kills leave that come before the first step or after one; each tree once.
    """

    root: Path
    stop_at: int = -1
    full_from: int = -1
    full_until: int = -1
    keep_images: bool = True
    flushed: Tree | None = None
    steps: list[Step] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._top = self._scanned(tree_of(self.root), "")
        if self.flushed is not None:
            self._unflush(self._top, "", self.flushed)
        self._open: dict[int, tuple[_Node, str]] = {}
        self.half: Callable[[], None] = lambda: None  # of the write that is under way
        self._seen: set[frozenset[tuple[str, bytes | None]]] = set()

    def _scanned(self, tree: Tree, at: str) -> _Node:
        """Everything flushed."""
        data = tree.get(at) if at else None
        if data is not None:
            return _Node(data, data, changed=False)
        names = {path.rpartition("/")[2]: self._scanned(tree, path) for path in _children(tree, at)}
        return _Node(dict(names), dict(names), changed=False)

    def _unflush(self, folder: _Node, at: str, flushed: Tree) -> None:
        """Let a folder and those below hold, for good, what the tree says."""
        folder.kept = {}
        for path in _children(flushed, at):
            name = path.rpartition("/")[2]
            node = folder.now.get(name)
            if node is None or node.is_folder != (flushed[path] is None) or node.now != (flushed[path] or node.now):
                node = self._scanned(flushed, path)
            elif node.is_folder:
                self._unflush(node, path, flushed)
            folder.kept[name] = node

    # What a kill leaves

    def _tree(self, chosen: Callable[[_Node], Any]) -> tuple[Tree, frozenset[str]]:
        tree: dict[str, bytes | None] = {}
        changed = set()

        def walk(node: _Node, at: str) -> None:
            content = chosen(node)
            if node.changed:
                changed.add(at)
            if not node.is_folder:
                tree[at] = content if content is not None else b""
                return
            if at:
                tree[at] = None
            for name, child in (content or {}).items():
                walk(child, f"{at}/{name}" if at else name)

        walk(self._top, "")
        return tree, frozenset(changed)

    def _choices(self) -> Iterator[tuple[str, Callable[[_Node], Any]]]:
        """Ways in which what was not flushed may be lost."""
        yield "kept", lambda node: node.now
        yield "dropped", lambda node: node.kept
        yield "emptied", lambda node: node.now if node.is_folder else node.kept
        dirty = [node for node in self._nodes() if node.is_folder and node.now != node.kept]
        if len(dirty) > 1:
            for one in dirty:
                yield "one folder kept", lambda node, one=one: node.now if node is one else node.kept
                yield "one folder dropped", lambda node, one=one: node.kept if node is one else (
                    node.now if node.is_folder else node.kept
                )  # fmt: skip

    def _nodes(self) -> Iterator[_Node]:
        waiting, seen = [self._top], set()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            if node.is_folder:
                waiting += [*node.now.values(), *(node.kept or {}).values()]

    def photograph(self, moment: str) -> None:
        """Add the images of this moment that were not there before."""
        if not self.keep_images:
            return
        for loss, chosen in self._choices():
            tree, changed = self._tree(chosen)
            key = frozenset(tree.items())
            if key not in self._seen:
                self._seen.add(key)
                self.images.append(Image(moment, loss, tree, changed, self._tree(lambda node: node.kept)[0]))

    def check_all_was_seen(self) -> None:
        """Raises AssertionError where something was changed by a call that is not watched."""
        assert self._tree(lambda node: node.now)[0] == tree_of(self.root), "a change was made that no watched call made"

    # The calls

    def name_of(self, path: Any) -> str | None:
        """The path below the root, or None for one that lies elsewhere."""
        if isinstance(path, int):
            return None
        text = os.path.abspath(os.fspath(path))
        root = str(self.root)
        return text[len(root) :].lstrip("/") if text == root or text.startswith(f"{root}/") else None

    def _at(self, name: str) -> _Node:
        node = self._top
        for part in name.split("/") if name else []:
            node = node.now[part]
        return node

    def _parent(self, name: str) -> tuple[_Node, str]:
        parent, _, last = name.rpartition("/")
        return self._at(parent), last

    def step(self, call: str, name: str, act: Callable[[], Any], note: Callable[[Any], None]) -> Any:
        """One step: perhaps refused, perhaps the last."""
        number = len(self.steps)
        self.steps.append(Step(number, call, name))
        if number == self.stop_at:
            raise Stopped
        if self._refuses(number, call):
            if call == "write":
                self.half()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        result = act()
        note(result)
        self.photograph(f"{number} {call}")
        return result

    def _refuses(self, number: int, call: str) -> bool:
        """For good, a full disk refuses what needs space; a single refusal may be one of anything."""
        if self.full_until >= 0:
            return self.full_from <= number < self.full_until
        return 0 <= self.full_from <= number and call not in ("unlink", "rmdir", "utime")

    def opened(self, handle: int, name: str, *, new: bool, emptied: bool) -> None:
        if new:
            parent, last = self._parent(name)
            parent.now.setdefault(last, _Node(b"", None))
            parent.changed = True
        node = self._at(name)
        if emptied:
            node.now = b""
        self._open[handle] = (node, name)

    def handle(self, handle: int) -> tuple[_Node, str] | None:
        return self._open.get(handle)

    def forget(self, handle: int) -> None:
        self._open.pop(handle, None)

    def linked(self, source: str, target: str) -> None:
        parent, last = self._parent(target)
        parent.now[last] = self._at(source)
        parent.changed = True

    def unlinked(self, name: str) -> None:
        parent, last = self._parent(name)
        del parent.now[last]
        parent.changed = True

    def renamed(self, source: str, target: str) -> None:
        node = self._at(source)
        self.unlinked(source)
        parent, last = self._parent(target)
        parent.now[last] = node
        parent.changed = True

    def made(self, name: str) -> None:
        parent, last = self._parent(name)
        parent.now[last] = _Node({}, {})
        parent.changed = True

    def timed(self, name: str) -> None:
        self._at(name).changed = False


_CALLS = ("open", "write", "fsync", "link", "rename", "replace", "unlink", "remove", "rmdir", "mkdir", "utime")


@contextmanager
def watched(disk: Disk) -> Iterator[Disk]:
    """Count, and where asked for refuse or stop, every change below the disk's root."""
    real = {name: getattr(os, name) for name in _CALLS}
    try:
        for call, wrapped in _Watch(disk, real).calls().items():
            setattr(os, call, wrapped)
        disk.photograph("before")
        yield disk
    finally:
        for call, function in real.items():
            setattr(os, call, function)


@dataclass
class _Watch:
    """What stands in the place of the calls."""

    disk: Disk
    real: Mapping[str, Callable[..., Any]]

    def calls(self) -> dict[str, Callable[..., Any]]:
        disk = self.disk
        return {
            "open": self.open, "write": self.write, "fsync": self.fsync, "link": self._two("link", disk.linked),
            "rename": self._two("rename", disk.renamed), "replace": self._two("replace", disk.renamed),
            "unlink": self._one("unlink", disk.unlinked), "remove": self._one("remove", disk.unlinked),
            "rmdir": self._one("rmdir", disk.unlinked), "mkdir": self._one("mkdir", disk.made),
            "utime": self._one("utime", disk.timed),
        }  # fmt: skip

    def _one(self, call: str, note: Callable[[str], None]) -> Callable[..., Any]:
        def wrapped(path: Any, *more: Any, **options: Any) -> Any:
            name = self.disk.name_of(path)
            assert options.get("dir_fd") is None, "a change relative to an open folder cannot be watched"
            if name is None:
                return self.real[call](path, *more, **options)
            return self.disk.step(call, name, lambda: self.real[call](path, *more, **options), lambda _: note(name))

        return wrapped

    def _two(self, call: str, note: Callable[[str, str], None]) -> Callable[..., Any]:
        def wrapped(source: Any, target: Any, **options: Any) -> Any:
            old, new = self.disk.name_of(source), self.disk.name_of(target)
            if old is None and new is None:
                return self.real[call](source, target, **options)
            assert old is not None, "a file was moved into what is watched"
            assert new is not None, "a file was moved out of what is watched"
            return self.disk.step(
                call, new, lambda: self.real[call](source, target, **options), lambda _: note(old, new)
            )

        return wrapped

    def open(self, path: Any, flags: int, *more: Any, **options: Any) -> int:
        name = self.disk.name_of(path)
        new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        emptied = bool(flags & os.O_TRUNC)

        def act() -> int:
            return self.real["open"](path, flags, *more, **options)

        if name is None or options.get("dir_fd") is not None:
            handle = act()
            self.disk.forget(handle)
            return handle
        if new or emptied:
            return self.disk.step(
                "open", name, act, lambda handle: self.disk.opened(handle, name, new=new, emptied=emptied)
            )
        handle = act()
        self.disk.opened(handle, name, new=False, emptied=False)
        return handle

    def write(self, handle: int, data: Any) -> int:
        found = self.disk.handle(handle)
        if found is None:
            return self.real["write"](handle, data)
        node, name = found
        content = bytes(data)

        def half() -> None:
            node.now += content[: self.real["write"](handle, content[: len(content) // 2])]

        def note(written: int) -> None:
            node.now += content[:written]

        self.disk.half = half
        return self.disk.step("write", name, lambda: self.real["write"](handle, data), note)

    def fsync(self, handle: int) -> None:
        found = self.disk.handle(handle)
        if found is None:
            self.real["fsync"](handle)
            return
        node, name = found

        def note(_: Any) -> None:
            node.kept = dict(node.now) if node.is_folder else node.now

        self.disk.step("fsync", name, lambda: None, note)  # the model remembers; the disk need not work for it


def tree_of(root: Path) -> Tree:
    """What stands in a folder."""
    paths = sorted(root.rglob("*"))
    return {path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes() for path in paths}


def _children(tree: Tree, at: str) -> list[str]:
    return [path for path in tree if path.rpartition("/")[0] == at]


def put_tree(tree: Tree, root: Path, changed: frozenset[str] = frozenset(), moment: float = 0.0) -> None:
    """Make a folder that holds this and nothing else; what was not changed gets that time."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for name in sorted(tree):
        data = tree[name]
        if data is None:
            (root / name).mkdir(exist_ok=True)
        else:
            (root / name).write_bytes(data)
    for name in sorted(tree, reverse=True):
        if name not in changed:
            os.utime(root / name, (moment, moment))
