"""UnitStore: finished units of an experiment in a folder, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medveil.errors import MedveilError, NotKeptError
from medveil.experiments.unit import Key, Product, Result, Status
from medveil.files.atomic import make_folder, write_bytes
from medveil.files.reading import read_regular

_ARRAY, _REST = "array ", "rest"
_MOST_BYTES = 1 << 30
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_FORM = 1  # of the files; a unit of another one is never found
_DAMAGED = (
    FileNotFoundError, MedveilError, ValueError, LookupError, TypeError, AttributeError, EOFError, zipfile.BadZipFile,
    zlib.error, NotImplementedError, RuntimeError, OverflowError, SyntaxError, struct.error,
)  # fmt: skip
"""What numpy, zipfile and json raise for bytes that they did not write."""


class UnitStore:
    """One npz file a unit, without pickles, named by the settings and the unit's key. All of it is its user's alone.

    Units that were done or refused are kept. One that failed is tried again: the next run may have another program.

    Args:
        folder: made where there is none.
        settings: what every unit depends on, as JSON knows it; a unit of other settings is never found.
        classes: of which values of `Product.of` are made; a unit whose value cannot be read back is never found.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], classes: Sequence[type] = ()) -> None:
        self._classes = classes
        self.settings = dict(settings)
        self._folder = folder
        self._name = _digest([_FORM, self.settings])
        make_folder(folder, mode=_PRIVATE_FOLDER)

    def find(self, key: Key) -> Result | None:
        """A unit that was finished, or None. A damaged one counts as not finished."""
        try:
            data = read_regular(self._path(key), limit=_MOST_BYTES, what="unit")
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                rest = json.loads(file[_REST].tobytes())
                arrays = {name.removeprefix(_ARRAY): file[name] for name in file.files if name != _REST}
            product = Product(arrays, rest["values"])
            if self._classes and "value" in product.values:
                product.value(*self._classes)  # raises where it cannot be read back
            return Result(Status(rest["status"]), product, rest["reason"], rest["seconds"])
        except _DAMAGED:
            return None

    def keep(self, key: Key, result: Result) -> None:
        """Keep a unit, whole or not at all.

        Raises:
            NotKeptError: the system refused (disk full, no permission …).
        """
        if result.status is Status.FAILED:
            return
        rest = {
            "status": result.status.value, "values": dict(result.product.values), "reason": result.reason,
            "seconds": result.seconds,
        }  # fmt: skip
        arrays = {_ARRAY + name: array for name, array in result.product.arrays.items()}
        arrays[_REST] = np.frombuffer(json.dumps(rest).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        try:
            write_bytes(self._path(key), buffer.getvalue(), mode=_PRIVATE_FILE, overwrite=True)
        except MedveilError as error:
            hint = "see to space and permissions, and run the same command with --resume"
            raise NotKeptError(error.message, hint=hint) from None

    def _path(self, key: Key) -> Path:
        return self._folder / f"{_digest([self._name, *key])}.npz"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
