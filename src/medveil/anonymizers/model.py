"""AnonymizerModel: what a method of open release learned from images, in a folder that is private or in this package.

A model is a safetensors file with one entry of canonical JSON in its header, named by the SHA-256 of the whole file,
which the record of a release states; and a card for people. Nothing is unpickled. One that was learned from patients
may give away who they were: its folder and files are for their owner alone, and it never lies in a release.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import FormatVersionError, MedveilError, MissingDependencyError, UnreadableInputError, UsageError
from medveil.files.atomic import make_folder, write_bytes
from medveil.files.reading import read_regular

MODEL_FILE, CARD_FILE = "model.safetensors", "card.md"
MAX_BYTES = 512 << 20
_KEY = "medveil-anonymizer"
_FORMAT = 1
_KINDS = ("float32", "float16", "int32", "int64", "uint8")
Plain = int | float | str


@dataclass(frozen=True)
class AnonymizerModel:
    """What a method learned.

    Attributes:
        method: its name.
        settings: those that it learned with, as `Anonymizer.stated` has them; it can only be applied with the same.
        arrays: what it learned, by name: float32, float16, int32, int64 or uint8, of any shape.
        facts: what the card says of how it was learned, by what it is, such as "images": 1200; nobody's name.
        digest: SHA-256 of the file; empty where it was not written yet.
    """

    method: str
    settings: Mapping[str, Plain]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    facts: Mapping[str, Plain] = field(default_factory=dict)
    digest: bytes = b""

    def to_bytes(self) -> bytes:
        """The file. Equal models have equal bytes.

        Raises:
            MissingDependencyError: safetensors is not installed.
            ValueError: an array is of a kind that no model has.
        """
        if any(array.dtype.name not in _KINDS for array in self.arrays.values()):
            raise ValueError(f"arrays of a model are {', '.join(_KINDS)}")
        arrays = {name: np.ascontiguousarray(self.arrays[name]) for name in sorted(self.arrays)}
        header = {
            "format": _FORMAT, "method": self.method, "settings": dict(self.settings), "facts": dict(self.facts),
            "content": _content(arrays),
        }  # fmt: skip
        # One entry only: safetensors writes several in no fixed order.
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        data: bytes = _safetensors().save(arrays, metadata={_KEY: text})
        return data

    def written(self) -> AnonymizerModel:
        """It with the digest of its file."""
        return replace(self, digest=hashlib.sha256(self.to_bytes()).digest())

    def card(self, preface: str = "") -> str:
        """The card, Markdown.

        Args:
            preface: what it is; that it is private where none is given.
        """
        rows = {
            "method": self.method, **{f"setting {name}": value for name, value in self.settings.items()}, **self.facts,
            "SHA-256 of the file": f"`{self.digest.hex()}`",
            "numbers": sum(array.size for array in self.arrays.values()),
        }  # fmt: skip
        table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
        return f"# Model of the method {self.method}\n\n{preface or _PRIVATE}\n\n| | |\n|---|---|\n{table}\n"


_PRIVATE = (
    "It was learned from images of patients, and may give away who they were. **It is private: keep it as you keep "
    "the images. It must never lie in `public/` or be handed out with a release.** `medveil anonymize --model` and "
    "`medveil audit --model` read this folder; a release names the model by the SHA-256 of its file."
)


def write_model(folder: Path, model: AnonymizerModel) -> AnonymizerModel:
    """Write a model and its card into a folder (0700, files 0600), and read it again before it counts.

    The folder is made where it is missing. The card is written first, so that a folder with a model is whole.

    Returns:
        the model with its digest.

    Raises:
        TargetExistsError: the folder holds a model.
        MedveilError: the system refused, or what was written does not come back.
    """
    written = model.written()
    make_private(folder)
    write_bytes(folder / CARD_FILE, written.card().encode(), mode=0o600, overwrite=True)
    write_bytes(folder / MODEL_FILE, written.to_bytes(), mode=0o600)
    if read_model(folder).digest != written.digest:
        raise MedveilError("the model that was written does not come back from the disk", hint="train it again")
    return written


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can read; one that is there becomes so.

    Raises:
        MedveilError: the system refused.
    """
    try:
        make_folder(folder, mode=0o700)
        os.chmod(folder, 0o700)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        raise MedveilError(f"the folder of the model cannot be made: {reason}") from None


def read_model(folder: Path) -> AnonymizerModel:
    """The model that `medveil train --anonymizer` wrote into a folder.

    Raises:
        As `read_model_file`.
    """
    return read_model_file(folder / MODEL_FILE)


def read_model_file(path: Path) -> AnonymizerModel:
    """A model from its file.

    Raises:
        UsageError: there is no model, or the file is something else.
        IntegrityError: it is not a regular file, too long, or cannot be read.
        UnreadableInputError: it is damaged.
        FormatVersionError: written by a newer medveil.
        MissingDependencyError: safetensors is not installed.
    """
    try:
        data = read_regular(path, limit=MAX_BYTES, what="model")
    except FileNotFoundError:
        raise UsageError("there is no model in that folder", hint=_WRITTEN) from None
    header = _header(data)
    try:
        arrays = {name: np.asarray(array) for name, array in _safetensors().load(data).items()}
        sound = header["content"] == _content(arrays) and all(array.dtype.name in _KINDS for array in arrays.values())
        digest, settings, facts = hashlib.sha256(data).digest(), dict(header["settings"]), dict(header["facts"])
        model = AnonymizerModel(str(header["method"]), settings, arrays, facts, digest)
    except (ValueError, KeyError, TypeError, _safetensors_error()):
        sound = False
    if not sound:
        raise UnreadableInputError("the model is damaged", hint="take it from a copy, or train it again")
    return model


_WRITTEN = "--model names the folder that medveil train --anonymizer wrote"


def _header(data: bytes) -> dict[str, Any]:
    """What a model's file says of itself, read before any array is."""
    foreign = UsageError("the file is not a model of a method of open release", hint=_WRITTEN)
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        raise foreign
    try:
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
        version = header["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise foreign from None
    if not isinstance(header, dict) or type(version) is not int:
        raise foreign
    if version > _FORMAT:
        raise FormatVersionError("the model was written by a newer medveil", hint="update medveil")
    return header


def _content(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of all arrays with their names, kinds and shapes: what is damaged is noticed."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.name}\0{array.shape}\0".encode() + array.tobytes())
    return digest.hexdigest()


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingDependencyError(
            "models of methods need safetensors, which is not installed", hint='pip install "medveil[primis]"'
        ) from error
    return safetensors.numpy


def _safetensors_error() -> type[Exception]:
    from safetensors import SafetensorError

    return SafetensorError
