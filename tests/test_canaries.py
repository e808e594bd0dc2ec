"""Every benchmark at toy size gives what was accepted last: see benchmarks/canaries.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import canaries, provenance, tables
from tests.code_memory import remembered_codes

pytest.importorskip("torch", reason="benchmarks need torch")


@pytest.fixture(scope="module")
def surroundings() -> Iterator[Path]:
    with canaries.toy_surroundings() as folder, remembered_codes():  # several share the same pictures
        yield folder


@pytest.mark.parametrize("name", canaries.CANARIES)
def test_benchmark_does_what_it_did(name: str, surroundings: Path) -> None:
    (unit,) = canaries.plan_of([name], surroundings).units
    found = unit.make(lambda: None).as_kept().values
    changed = canaries.differences(canaries.stored(name), found, canaries.tolerance(name))
    assert not changed, canaries.told(name, changed)


def test_every_benchmark_has_a_canary_and_each_its_values() -> None:
    assert set(canaries.CANARIES) == set(tables.NAMES)
    assert {path.stem for path in canaries.FOLDER.glob("*.json")} == set(canaries.CANARIES)


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        ({"bytes": 12, "psnr": 40.0001, "name": "x"}, []),
        ({"bytes": 13, "psnr": 40.0, "name": "x"}, ["bytes: 12 before, 13 now"]),
        ({"bytes": 12, "psnr": 40.2, "name": "x"}, ["psnr: 40.0 before, 40.2 now"]),
        ({"bytes": 12, "psnr": 40.0, "name": "y"}, ["name: x before, y now"]),
        ({"bytes": 12, "psnr": 40.0}, ["name: x before, gone now"]),
        ({"bytes": 12, "psnr": 40.0, "name": "x", "new": 1}, ["new: 1 now, not there before"]),
        ({"bytes": 12.0, "psnr": 40.0, "name": "x"}, ["bytes: 12 before, 12.0 now"]),
    ],
)
def test_what_changed_is_named(now: canaries.Values, changed: list[str]) -> None:
    assert canaries.differences({"bytes": 12, "psnr": 40.0, "name": "x"}, now) == changed


def test_a_change_of_the_codec_is_seen(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medveil.codecs.lapped import codec

    monkeypatch.setitem(canaries.CANARIES, "toy", canaries.CANARIES["fidelity_table"])
    decode = codec.LappedCodec.decode
    monkeypatch.setattr(codec.LappedCodec, "decode", lambda *given, **named: decode(*given, **named) // 2)
    found = canaries.differences(canaries.stored("fidelity_table"), canaries.measure("toy", surroundings))
    assert any("psnr" in line for line in found)
    assert "python -m benchmarks.canaries --accept fidelity_table" in canaries.told("fidelity_table", found)


def test_accepting_a_change_makes_the_large_result_stale(tmp_path: Path) -> None:
    folder, evidence = tmp_path / "canaries", tmp_path
    provenance.write({"name": "depth16", "version": "0.1.0", "results": {}}, evidence)
    canaries.accept("depth16", {"bpp": 2.0, "images": 3}, folder, evidence)
    assert "stale" not in json.loads((evidence / "depth16.json").read_text())
    canaries.accept("depth16", {"bpp": 2.0, "images": 3, "new": 1}, folder, evidence)
    assert "stale" not in json.loads((evidence / "depth16.json").read_text())
    assert canaries.accept("depth16", {"bpp": 2.5, "images": 3, "new": 1}, folder, evidence) != []
    assert json.loads((evidence / "depth16.json").read_text())["stale"] == ["bpp"]
    assert canaries.stored("depth16", folder)["bpp"] == 2.5
