"""Registry: things by name, and why one that there is cannot be used.

A registry knows what comes with medveil, as "module:attribute", which is imported when it is asked for; what was
registered while the program runs; and what other packages bring as entry points of its group. One that fails to import
is unavailable, because …; it never stops the others. No two have one name: what comes second is refused.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from medveil.errors import MedveilError, MissingDependencyError, UsageError

Thing = TypeVar("Thing")
_Factory = TypeVar("_Factory", bound=Callable[..., object])
_SEE = "see to the package that it comes with"
NAME = re.compile(r"[a-z0-9]+([-_.@][a-z0-9]+)*")
"""What a thing may be called: names stand in lists with commas, in file names and in reports."""
_NO_NAMES = ("none", "all")  # stand for no thing, and for every one
_NAMES_ARE = "a name is of lower-case letters and digits, with - _ . or @ between them, and neither none nor all"


@dataclass(frozen=True)
class Availability:
    """Whether a thing can be used here, and if not, why, and what to do."""

    name: str
    ok: bool
    because: str = ""
    hint: str = ""

    @property
    def told(self) -> str:
        """Why it cannot be used, and what to do, in one line."""
        return f"{self.because}: {self.hint}" if self.hint else self.because


def unknown(kind: str, name: str, known: Iterable[str], *, more: str = "", hint: str = "") -> UsageError:
    """The error for a name that nothing has: it lists the names that there are, and says which is nearest.

    Args:
        kind: what was asked for, in words: "attack".
        name: what was asked for; it is not repeated, since it may be anything.
        known: the names that there are.
        more: what can be named beside these, in words.
        hint: what to do where no name is near.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    told = f"there is no {kind} of that name; there are {', '.join(known)}{f', and {more}' if more else ''}"
    return UsageError(told, hint=f"did you mean {near[0]}?" if near else hint)


def _may_be(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and name not in _NO_NAMES


class Registry(Generic[Thing]):
    """Things of one kind by name. A thing is made by a class or a function, which is what is registered.

    Args:
        kind: what a thing is, in words: "attack".
        built_in: of what comes with medveil name → "module:attribute", or what makes it, in the order in which they are
            told.
        group: entry points of other packages; none where empty.
        extra: the optional dependencies of medveil that the built-in ones need.
        extras: name → other optional dependencies, of a built-in one that needs those instead.
        needs: packages that a built-in one imports only when it works: whether they are there is looked up first, so
            that it can be told without importing them.
        more, hint: see `unknown`.
    """

    def __init__(
        self, kind: str, built_in: Mapping[str, str | Callable[..., Thing]] | None = None, *, group: str = "",
        extra: str = "", extras: Mapping[str, str] | None = None, needs: Mapping[str, Iterable[str]] | None = None,
        more: str = "", hint: str = "",
    ) -> None:  # fmt: skip
        self.kind = kind
        self._built_in = dict(built_in or {})
        self._group, self._extra, self._more, self._hint = group, extra, more, hint
        self._extras, self._needs = dict(extras or {}), dict(needs or {})
        self._registered: dict[str, Callable[..., Thing]] = {}

    def register(self, name: str) -> Callable[[_Factory], _Factory]:
        """Decorator: make a class or a function known under a name.

        Raises:
            UsageError: something has the name already, or nothing may have it.
        """
        if not _may_be(name):
            raise UsageError(f"this is no name of a {self.kind}: {_NAMES_ARE}", hint="choose another name")
        if name in self._built_in or name in self._registered:
            raise UsageError(f"there is a {self.kind} {name} already", hint="choose another name")

        def keep(factory: _Factory) -> _Factory:
            self._registered[name] = cast("Callable[..., Thing]", factory)
            return factory

        return keep

    def names(self) -> tuple[str, ...]:
        """All names: built-in ones, then registered ones in their order, then those of other packages by name."""
        own = {**self._built_in, **self._registered}
        return (*own, *sorted({entry.name for entry in self._entry_points() if _may_be(entry.name)} - set(own)))

    def __contains__(self, name: str) -> bool:
        """Whether something has this name; looks through the packages that are installed only where it has to."""
        return name in self._built_in or name in self._registered or name in self.names()

    def make_all(self) -> list[Thing]:
        """One of each, in the order of the names; those of other packages that cannot be made are left out.

        Raises:
            MissingDependencyError: a built-in one cannot be made.
        """
        found = []
        for name in self.names():
            try:
                found.append(self.make(name))
            except MissingDependencyError:
                if self.is_built_in(name):
                    raise
        return found

    def is_built_in(self, name: str) -> bool:
        """Whether what has this name comes with medveil."""
        return name in self._built_in

    def make(self, name: str, *arguments: Any) -> Thing:
        """The thing of this name.

        Args:
            name: one of `names`.
            arguments: for what makes it.

        Raises:
            UsageError: nothing has the name.
            MissingDependencyError: it needs a package that is not installed, or is of another package that fails.
        """
        factory = self._load(name)
        if name in self._built_in:
            return factory(*arguments)
        made: Thing = self._guarded(name, lambda: factory(*arguments))
        if getattr(made, "name", name) != name:
            raise self._unavailable(name, "it calls itself by another name")
        return made

    def availabilities(self) -> tuple[Availability, ...]:
        """For each name whether its thing can be made, with the reason where not; then what was refused.

        Of a built-in one that says what it needs, no more than that is looked at.
        """
        found = []
        for name in self.names():
            try:
                if name in self._needs:
                    self._check_needs(name)
                else:
                    self.make(name)
            except MedveilError as error:
                found.append(Availability(name, False, error.message, error.hint))
            else:
                found.append(Availability(name, True))
        taken = {**self._built_in, **self._registered}
        for entry in self._entry_points():
            if not _may_be(entry.name):
                found.append(Availability(entry.name, False, f"a {self.kind} is not available: {_NAMES_ARE}", _SEE))
            elif entry.name in taken:
                because = self._unavailable(entry.name, "another package brings it, and the name is taken").message
                found.append(Availability(entry.name, False, because, _SEE))
        return tuple(found)

    def unknown(self, name: str) -> UsageError:
        """The error for a name that nothing has."""
        return unknown(self.kind, name, self.names(), more=self._more, hint=self._hint)

    def _load(self, name: str) -> Callable[..., Thing]:
        if name in self._registered:
            return self._registered[name]
        if name in self._built_in:
            return self._load_built_in(name, self._built_in[name])
        entries = [entry for entry in self._entry_points() if entry.name == name and _may_be(name)]
        if not entries:
            raise self.unknown(name)
        if len(entries) > 1:
            raise self._unavailable(name, f"{len(entries)} packages bring one of that name")
        factory: Callable[..., Thing] = self._guarded(name, entries[0].load)
        return factory

    def _load_built_in(self, name: str, source: str | Callable[..., Thing]) -> Callable[..., Thing]:
        if not isinstance(source, str):
            return source
        self._check_needs(name)
        module, _, attribute = source.partition(":")
        try:
            return cast("Callable[..., Thing]", getattr(importlib.import_module(module), attribute))
        except ImportError as error:
            raise self._needing(name, error, self._pip(name)) from error

    def _pip(self, name: str) -> str:
        extra = self._extras.get(name, self._extra)
        return f'pip install "medveil[{extra}]"' if extra else ""

    def _check_needs(self, name: str) -> None:
        """Raise MissingDependencyError where a package is not installed that a built-in one will import."""
        for package in self._needs.get(name, ()):
            if importlib.util.find_spec(package) is None:
                raise self._needing(name, ImportError(name=package), self._pip(name))

    def _guarded(self, name: str, action: Callable[[], Any]) -> Any:
        """Do what another package brings. It may fail in any way; only medveil's own messages are told."""
        try:
            return action()
        except MedveilError:
            raise
        except ImportError as error:
            raise self._needing(name, error, _SEE) from error
        except (Exception, SystemExit) as error:
            if os.environ.get("MEDVEIL_DEBUG") == "1":
                raise
            raise self._unavailable(name, f"it fails to load ({type(error).__name__})") from error

    def _needing(self, name: str, error: ImportError, hint: str) -> MissingDependencyError:
        needed = error.name or "a package"
        return MissingDependencyError(f"{self.kind} {name} needs {needed}, which is not installed", hint=hint)

    def _unavailable(self, name: str, because: str) -> MissingDependencyError:
        return MissingDependencyError(f"{self.kind} {name} is not available: {because}", hint=_SEE)

    def _entry_points(self) -> list[importlib.metadata.EntryPoint]:
        """Entry points of the group; one that is found twice, as of a package that is installed twice, counts once."""
        if not self._group:
            return []
        found = importlib.metadata.entry_points(group=self._group)
        return list(dict.fromkeys(found))
