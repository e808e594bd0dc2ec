"""Codecs by name: built-in ones, those of other packages (entry points "medveil.codecs"), folders of weights."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import ModuleType

from medveil.codecs.code import Codec, Profile
from medveil.errors import MissingDependencyError, UsageError
from medveil.registry import Availability, Registry

_BUILT_IN = {"lapped": "medveil.codecs.lapped.codec:LappedCodec", "primis": "medveil.codecs.primis.codec:PrimisCodec"}
CODECS: Registry[Codec] = Registry(
    "codec", _BUILT_IN, group="medveil.codecs", extra="primis", needs={"primis": ("torch",)}, more="folders of weights"
)
register_codec = CODECS.register


def get_codec(name_or_path: str) -> Codec:
    """The codec of a name, or the one whose weights are in a folder.

    Raises:
        UsageError: there is no such codec.
        MissingDependencyError: it needs something that is not installed.
    """
    if name_or_path in CODECS:
        return CODECS.make(name_or_path)
    folder = Path(name_or_path)
    if folder.is_dir():
        return _from_folder(folder)
    raise CODECS.unknown(name_or_path)


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
    if profile.codec not in CODECS:
        raise UsageError(
            f"the release was made with a codec that is not installed; there are {', '.join(CODECS.names())}",
            hint="ask the owner which package the codec comes with",
        )
    if not profile.weights:
        return CODECS.make(profile.codec)
    codec: Codec = _primis(f"codec {profile.codec}").codec_from_weights(profile.weights, weights)
    return codec


def is_shipped(digest: bytes) -> bool:
    """Whether weights of this sha256 come with medveil, so that everybody has them."""
    folder = Path(__file__).parent / "weights"
    return any(hashlib.sha256(path.read_bytes()).digest() == digest for path in folder.glob("*.safetensors"))


def available() -> tuple[Availability, ...]:
    """Every known codec, with the reason where it cannot be used."""
    return CODECS.availabilities()


def _from_folder(folder: Path) -> Codec:
    codec: Codec = _primis("a codec with own weights").codec_from_folder(folder)
    return codec


def _primis(what: str) -> ModuleType:
    """The module that reads weights, which needs torch."""
    try:
        return importlib.import_module("medveil.codecs.primis.codec")
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} needs {error.name or 'a package'}, which is not installed", hint='pip install "medveil[primis]"'
        ) from error
