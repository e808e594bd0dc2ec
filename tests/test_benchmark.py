"""The one command of all benchmarks: options come from the arguments of their functions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks import benchmark, tables


@dataclass(frozen=True)
class _Sizes:
    side: int = 8
    steps: int = 3


_SMALL = _Sizes()


def _toy(
    work: Path, every: int = 1, names: tuple[str, ...] = ("a",), sizes: _Sizes = _SMALL, *, quick: bool = False
) -> benchmark.Measured:
    found = {"files": sorted(path.name for path in work.iterdir()), "names": list(names), "side": sizes.side}
    return benchmark.Measured(found, every, 7, {"quick too": quick})


def test_the_evidence_says_with_which_settings_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "find", lambda name: _toy)
    found = benchmark.evidence_of("toy", every=3, sizes=_Sizes(side=16))
    assert (found["command"], found["images"], found["seed"]) == ("python -m benchmarks toy", 3, 7)
    assert found["results"] == {"files": [], "names": ["a"], "side": 16}
    assert found["settings"] == {
        "every": 3,
        "names": ("a",),
        "side": 16,
        "steps": 3,
        "quick": False,
        "quick too": False,
    }


def test_options_of_the_command_reach_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(benchmark, "find", lambda name: _toy)
    monkeypatch.setattr(benchmark, "evidence_of", lambda name, **options: seen.append(options))
    monkeypatch.setattr(benchmark, "text_of", lambda evidence: "the table")
    benchmark.main(["depth16", "--every", "4", "--names", "b", "c", "--steps", "5", "--quick"])
    (given,) = seen
    assert given == {"every": 4, "names": ("b", "c"), "sizes": _Sizes(8, 5), "quick": True}
    assert capsys.readouterr().out == "the table\n"


@pytest.mark.parametrize("name", tables.NAMES)
def test_every_benchmark_is_found_and_has_a_purpose_and_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="some benchmarks need torch")
    with pytest.raises(SystemExit, match="0"):
        benchmark.main([name, "--help"])
    function = benchmark.find(name)
    purpose = (getattr(function, "func", function).__doc__ or "").split()[:3]
    assert " ".join(purpose) in " ".join(capsys.readouterr().out.split())
