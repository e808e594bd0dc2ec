"""Files of others are decoded by a process without keys: what comes back, what may go wrong, and what it holds."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from tests import image_files
from tests.cli.shell import run
from tests.pictures import picture

from medveil import images
from medveil.errors import InputError, UnreadableInputError
from medveil.images import decoder_process, jpeg
from medveil.images.image import Image


def _files() -> dict[str, bytes]:
    grey = picture(1, 40, 48)
    deep = picture(2, 40, 48, bits=12)
    return {
        "png": image_files.png(grey, texts=[("Patient", "Möller")]), "jpeg": image_files.jpeg(grey),
        "tiff": image_files.tiff(deep), "dicom": image_files.dicom(deep, bits_stored=12, RescaleSlope="0.1"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "dicom"])
def test_the_image_is_the_same(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_files()[kind])
    here, apart = images.read(tmp_path / "file"), images.read_apart(tmp_path / "file")
    for each in dataclasses.fields(Image):
        one, other = getattr(here, each.name), getattr(apart, each.name)
        assert np.array_equal(one, other) if each.name == "frames" else one == other, each.name
    assert apart.frames.dtype == here.frames.dtype
    assert apart.frames.flags.c_contiguous


@pytest.mark.parametrize("content", [b"", b"no picture", image_files.png(picture(1))[:-40]])
def test_the_error_is_the_same(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    errors = []
    for read in (images.read, images.read_apart):
        with pytest.raises(InputError) as error:
            read(tmp_path / "file")
        errors.append((type(error.value), error.value.message, error.value.hint))
    assert errors[0] == errors[1]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Read a file with a process that gives this answer."""
    (tmp_path / "file").write_bytes(b"x")

    def read(answer: bytes) -> Image:
        monkeypatch.setattr(decoder_process._Decoder, "ask", lambda *_: bytearray(answer))
        return images.read_apart(tmp_path / "file")

    return read


def test_no_answer_is_trusted(answered) -> None:
    """A decoder that was taken over answers as it likes: that is an image, or an input that cannot be read."""
    sound = b"".join(decoder_process._answer(_files()["dicom"])[1:])
    assert answered(sound).pixels.shape == (40, 48)
    generator = np.random.default_rng(0)
    for _ in range(400):
        changed = bytearray(sound)
        where = int(generator.integers(0, 420))
        changed[where : where + int(generator.integers(0, 3))] = generator.bytes(int(generator.integers(0, 4)))
        with contextlib.suppress(InputError):
            answered(bytes(changed))
    head = b'{"error": "SystemExit", "message": "\\u001b[2J", "hint": ""}'
    for answer in (b"", b"\xff" * 40, len(head).to_bytes(8, "little") + head, (9).to_bytes(8, "little") + b"[" * 9):
        with pytest.raises(InputError):
            answered(answer)


_DESK_KILLS = """
import os, sys
sys.path[:] = sys.argv[1:]
from medveil.images import decoder_process
real = decoder_process.read_bytes
decoder_process.read_bytes = lambda data: os.kill(os.getpid(), 9) if b"hostile" in data else real(data)
decoder_process.serve()
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name, text in (("a", "x"), ("b", "hostile"), ("c", "y")):
        (tmp_path / f"in/{name}.png").write_bytes(image_files.png(picture(1, 16, 16), texts=[("No", text)]))
    monkeypatch.setattr(decoder_process, "_decoders", [])
    return tmp_path


def test_a_decoder_that_dies_over_a_file_is_one_input_that_failed(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_process, "_BEGIN", _DESK_KILLS)
    done = run("share", "in", "-o", "out", "--jobs", "1", "--json")
    assert (done.code, done.json["done"]) == (3, 2)
    (failed,) = done.json["failed"]
    assert (failed["input"], failed["error"]) == (2, UnreadableInputError.__name__)
    assert "the process that decodes pictures ended over it" in failed["message"]


def test_share_decodes_nothing_of_others_and_who_does_has_no_key(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> Image:
        raise AssertionError("decoded where the keys are")

    (desk / "in/d.jpg").write_bytes(image_files.jpeg(picture(2, 16, 16)))
    assert run("keygen", "-o", "owner.key").code == 0
    monkeypatch.setattr(jpeg, "read", refuse)
    assert run("share", "in", "-i", "owner.key", "-o", "out", "--jobs", "1").code == 0
    (decoder,) = decoder_process._decoders
    assert not decoder.ended
    if sys.platform == "linux":
        secret = next(line for line in Path("owner.key").read_text().splitlines() if line.startswith("AGE-SECRET-KEY"))
        held = _memory(decoder._process.pid)
        assert held.count(b"decoder_process") > 0
        assert held.count(secret[20:60].encode()) == 0


def _memory(pid: int) -> bytes:
    """All that a process can write to."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            places, rights = line.split()[:2]
            start, stop = (int(place, 16) for place in places.split("-"))
            if rights.startswith("rw") and stop - start < 64 << 20:
                memory.seek(start)
                found.append(memory.read(stop - start))
    return b"".join(found)
