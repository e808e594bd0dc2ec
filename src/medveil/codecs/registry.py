"""Codecs by name: built-in ones, those of other packages (entry points "medveil.codecs"), folders of weights."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from medveil.codecs.code import Codec, Profile
from medveil.errors import MedveilError, MissingDependencyError, UsageError

_ENTRY_POINTS = "medveil.codecs"
_BUILT_IN = {"lapped": "medveil.codecs.lapped", "primis": "medveil.codecs.primis"}
_registered: dict[str, Callable[[], Codec]] = {}

_Factory = TypeVar("_Factory", bound=Callable[..., object])


@dataclass(frozen=True)
class Availability:
    """Whether a codec can be used here, and if not, why."""

    name: str
    ok: bool
    because: str


def register_codec(name: str) -> Callable[[_Factory], _Factory]:
    """Decorator: make a class, or a function without arguments that returns a codec, known under a name."""

    def register(factory: _Factory) -> _Factory:
        _registered[name] = factory  # type: ignore[assignment]
        return factory

    return register


def get_codec(name_or_path: str) -> Codec:
    """The codec of a name, or the one whose weights are in a folder.

    Raises:
        UsageError: there is no such codec.
        MissingDependencyError: it needs something that is not installed.
    """
    names = _names()
    if name_or_path in names:
        return _load(name_or_path)
    folder = Path(name_or_path)
    if folder.is_dir():
        return _from_folder(folder)
    near = difflib.get_close_matches(name_or_path, names, 1)
    raise UsageError(
        f"there is no codec of that name; there are {', '.join(names)}, and folders of weights",
        hint=f"did you mean {near[0]}?" if near else "",
    )


def codec_of_profile(profile: Profile, weights: bytes | None) -> Codec:
    """The codec that opens a release of this profile.

    Args:
        profile: of the release.
        weights: weights file that the release brings along; built-in weights of the same sha256 serve as well.

    Raises:
        UsageError: there is no codec registered under that name; a folder is never taken, wherever the name leads.
        MissingDependencyError: it, or its weights, are not installed.
        IntegrityError: the weights are not those that the profile names.
    """
    if profile.codec not in _names():
        raise UsageError(
            f"the release was made with a codec that is not installed; there are {', '.join(_names())}",
            hint="ask the owner which package the codec comes with",
        )
    if not profile.weights:
        return _load(profile.codec)
    try:
        primis = importlib.import_module("medveil.codecs.primis")
    except ImportError as error:
        raise MissingDependencyError(
            f"codec {profile.codec} needs {error.name or 'a package'}, which is not installed",
            hint='pip install "medveil[primis]"',
        ) from error
    codec: Codec = primis.codec_from_weights(profile.weights, weights)
    return codec


def is_shipped(digest: bytes) -> bool:
    """Whether weights of this sha256 come with medveil, so that everybody has them."""
    folder = Path(__file__).parent / "weights"
    return any(hashlib.sha256(path.read_bytes()).digest() == digest for path in folder.glob("*.safetensors"))


def available() -> list[Availability]:
    """Every known codec, sorted by name, with the reason where it cannot be used."""
    found = []
    for name in _names():
        try:
            _load(name)
        except MedveilError as error:
            found.append(Availability(name, False, error.message))
        else:
            found.append(Availability(name, True, ""))
    return found


def _names() -> list[str]:
    others = {entry.name for entry in importlib.metadata.entry_points(group=_ENTRY_POINTS)}
    return sorted({*_BUILT_IN, *_registered, *others})


def _load(name: str) -> Codec:
    if name not in _registered:
        try:
            if name in _BUILT_IN:
                importlib.import_module(_BUILT_IN[name])
            else:
                (entry,) = importlib.metadata.entry_points(group=_ENTRY_POINTS, name=name)
                _registered.setdefault(name, entry.load())
        except ImportError as error:
            raise MissingDependencyError(
                f"codec {name} needs {error.name or 'a package'}, which is not installed",
                hint=f'pip install "medveil[{name}]"' if name in _BUILT_IN else "",
            ) from error
    return _registered[name]()


def _from_folder(folder: Path) -> Codec:
    try:
        primis = importlib.import_module("medveil.codecs.primis")
    except ImportError as error:
        raise MissingDependencyError(
            f"a codec with own weights needs {error.name or 'a package'}, which is not installed",
            hint='pip install "medveil[primis]"',
        ) from error
    codec: Codec = primis.codec_from_folder(folder)
    return codec
