"""Canaries: every benchmark at toy size, with a seed, on invented images; compared with what it gave before.

A refactoring that leaves all of them as they are has proved itself. One that changes a canary has changed what the
benchmark measures: either that is a fault, or it is meant and accepted, which marks the large result as stale.

    python -m benchmarks.canaries                 # run and compare all
    python -m benchmarks.canaries --accept NAME   # store what NAME gives now

What is drawn from the operating system (keys, ids, nonces) reaches no value here: values are rates, errors, scores and
counts. Seconds and memory are not in any canary, since no two machines have the same.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import itertools
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.benchmark import find
from benchmarks.program import Program
from benchmarks.provenance import EVIDENCE, load, write
from benchmarks.toy_images import make_shared
from medveil.experiments.runner import run
from medveil.experiments.unit import Plan, Product, Unit

FOLDER = EVIDENCE / "canaries"
RELATIVE, ABSOLUTE = 1e-3, 1e-6
"""How far a figure that is no integer may be off: other processors and libraries round otherwise."""
_DIGITS = 7
_NOT_BEHAVIOUR = {
    "seconds",
    "machine",
    "minutes",
    "sd",
    "low",
    "high",
    "title",
    "words",
    "caution",
    "notes",
    "protocol",
}

Values = dict[str, Any]
"""Place in the results, such as rows.0.psnr -> integer, float, text, bool or None."""

_AUDITED = ("value-threshold", "naive-decode", "side-channels", "linkage-code")
_CONTROLS = ("reference-decoys", "unpadded-lengths", "linear-encoding", "random-codes", "unprotected")


@dataclass(frozen=True)
class Toy:
    """A benchmark with options that make it small.

    Attributes:
        options: of the benchmark; called where making them takes a heavy import.
        taken: parts of its results; all of them where empty.
    """

    name: str
    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    taken: tuple[str, ...] = ()

    def __call__(self, work: Path) -> Any:
        function = find(self.name)
        folder = {"work": work} if "work" in inspect.signature(function).parameters else {}
        options = self.options() if callable(self.options) else self.options
        results = function(**folder, **options).results
        return {part: results[part] for part in self.taken} if len(self.taken) > 1 else (
            results[self.taken[0]] if self.taken else results)  # fmt: skip


def _sizes(**options: Any) -> Callable[[], Mapping[str, Any]]:
    def make() -> Mapping[str, Any]:
        from benchmarks.attacking import Sizes

        return {"sizes": Sizes(side=48, own=4, tested=2, steps=2, batch=2, width=2), **options}

    return make


def _effort(**options: Any) -> Callable[[], Mapping[str, Any]]:
    def make() -> Mapping[str, Any]:
        from benchmarks.utility import EFFORT

        return {"qualities": ("primis:4",), "effort": replace(EFFORT, resamples=50, **options)}

    return make


_TOYS = (
    Toy("rate_fidelity", {"every": 10, "jobs": 1, "qualities": (40.0,)},
        ("medveil", "rivals", "lossless", "comparison", "constant_db")),
    Toy("depth16"),
    Toy("primis_fidelity", {"every": 100, "sparsities": (4, 16)}, ("rows",)),
    Toy("exact_bytes", {"every": 15, "jobs": 1}),
    Toy("fidelity_table", {"every": 15, "jobs": 1, "codecs": ("primis 4", "lapped 40")}, ("rows",)),
    Toy("decoy_curve", _sizes(ratios=2)),
    Toy("translation_attacks", _sizes()),
    Toy("club", _sizes(qualities=(40,), sparsities=(4,))),
    Toy("utility_segmentation", _effort(seeds=1, segment_side=32, segment_epochs=0.3)),
    Toy("utility_radiomics", _effort()),
)  # fmt: skip
"""Those of which all values, or all of some parts, are the same on every machine."""


def performance(work: Path) -> Any:
    """Only the bytes of grants: the rest of this benchmark is seconds and memory."""
    from benchmarks import performance as benchmark

    rows = benchmark.grants(work, (1, 3))
    return [{**row, "largest_grant_bytes": float(row["largest_grant_bytes"])} for row in rows]


def granting(work: Path) -> Any:
    """Bytes and touched files of grants to two kinds of key; seconds are left out, and with them `rotate`."""
    from benchmarks import granting as benchmark

    program = Program.prepare(work)
    return benchmark.granting(program, work, packages=3, rounds=1, kinds=("mlkem768x25519",))


def two_image_game(work: Path) -> Any:
    """Packages of the game, and the game with a planted fault, with coins and keys from a seed."""
    import torch

    from benchmarks import two_image_game as benchmark

    torch.set_num_threads(1)
    drawn = np.random.default_rng(1)
    board = benchmark.Board.of(*benchmark.pictures(64))
    with (
        mock.patch.object(benchmark, "fresh_key", side_effect=lambda: drawn.bytes(32)),
        mock.patch.object(benchmark, "fresh_salt", side_effect=lambda: drawn.bytes(16)),
        mock.patch.object(benchmark.secrets, "randbelow", lambda below: int(drawn.integers(below))),
    ):
        played = benchmark.play(board, 6, np.random.default_rng(2), shares=(0.1,))
        return {
            "public_bytes": benchmark.sealing.public_bytes(board.composition),
            "cells": int(board.starts[-1]), "entries": int(board.entry_starts[-1]),
            "differing_cells": int(np.sum(board.supports[0] != board.supports[1])),
            "public": [float(each.mean()) for each in (played.occupied, played.signs, played.levels, played.coded)],
            "votes": played.votes.sum(axis=0),
            "fault": benchmark.game(board, (24, 16, 24), streams=benchmark.planted("signs not masked")),
        }  # fmt: skip


def _audit(name: str, work: Path) -> Any:
    """Controls, fidelity, and which attacks there are with which outcome; the release itself has keys of its own.

    Attacks on packages of the release give other scores with every key, so that of those only names and kinds of
    figures are taken. The controls and fidelity are the same with every key; but the order of the packages, which is
    that of their random numbers, decides which images are drawn, so here these numbers count up.
    """
    from medveil.releases.packages import packing

    count = itertools.count(1)
    numbers = SimpleNamespace(token_bytes=lambda size: next(count).to_bytes(size, "big"))
    with _tiny_preset(), mock.patch.object(packing, "secrets", numbers):
        found = Toy(name, {"preset": _TINY, "every": 8, "attacks": _AUDITED})(work)
    for attack in found["attacks"]:
        attack |= {"measured": sorted(attack["measured"]), "extra": sorted(attack["extra"])}
        del attack["verdict"], attack["metric"]
    found["attacks"].sort(key=itemgetter("name"))
    return {name: found[name] for name in ("release", "data", "attacks", "refused", "controls", "fidelity")}


def audit_repeat(work: Path) -> Any:
    """Whether an audit repeats itself, and how many figures it has; minutes are left out."""
    options = {"small": (4, 48), "large": (0, 0), "threads": 1, "preset": _TINY, "attacks": _AUDITED[:1]}
    with _tiny_preset():
        return Toy("audit_repeat", options, ("twice",))(work)


_TINY = "tiny"


@contextlib.contextmanager
def _tiny_preset() -> Iterator[None]:
    """Audits smaller than any that users can choose: few images and controls, no drawings, no guessing of keys."""
    from benchmarks import audits
    from medveil.attacks.keys import refused_keys
    from medveil.audit import control_plan, presets, record
    from medveil.report import page

    def write_figures(audit: Any, folder: Path, **_: Any) -> None:
        (folder / record.JSON).write_bytes(record.canonical(page.full_record(audit)))
        (folder / record.HTML).touch()

    quick = presets.find_preset("quick")
    effort = replace(quick.effort, working=48, steps=2, batch=2, width=2, seed_bits=4, targets=2)
    tiny = replace(
        quick, name=_TINY, effort=effort, control_effort=effort, own_images=4, tested_images=4, control_own=4,
        control_tested=4, control_patients=2, fidelity_images=2, resamples=50,
    )  # fmt: skip
    every = control_plan.all_controls

    def few(**settings: Any) -> Any:
        return tuple(each for each in every(**settings) if each.name in _CONTROLS)

    with (
        mock.patch.object(presets, "_PRESETS", (tiny,)),
        mock.patch.object(control_plan, "all_controls", few),
        mock.patch.object(audits, "write_report", write_figures),
        mock.patch.object(refused_keys, "release_kinds", return_value=()),
    ):
        yield


def utility_classification(work: Path) -> Any:
    """One question, one short training on originals, tested on them and on one quality."""
    from benchmarks import utility

    part = utility.Part(
        "resnet18", ("kermany",), ("primis:4",), 0.5, "kermany", ("original",), runs=1, side=16, resamples=50
    )
    return utility.classified([part], None)


def plane(work: Path) -> Any:
    """One release by a method without randomness, and attackers who train nothing.

    Without the null: which identities are shuffled depends on the order of the pictures, and their names are random.
    """
    from benchmarks import plane as benchmark

    tiny = replace(benchmark.PRESET, fidelity_images=2, resamples=50, recognition_own=20, recognition_tested=40)
    options = {"releases": ("pixelate cells=8",), "every": 1, "recognizers": ("thumbnails", "metadata"), "tasks": ()}
    with mock.patch.object(benchmark, "PRESET", tiny):
        found = Toy("plane", options, ("rows", "attackers"))(work)
    for row in found["rows"]:
        del row["null_of_maximum"]
    return found


def training_throughput(work: Path) -> Any:
    """What both data sets give, and the sizes of the networks; images a second are left out."""
    import medveil
    from benchmarks import training_throughput as benchmark
    from benchmarks.shared_images import radiographs

    images, program = radiographs("test", every=10), Program.prepare(work)
    program.share([image.path for image in images], work / "release")
    plain = benchmark.PlainFiles([image.path for image in images], 32)
    sealed = medveil.Release(work / "release").dataset(program.key("alice"), size=32)
    found = sorted(float(sealed[place].mean()) for place in range(len(images)))
    networks = benchmark._networks((32,))
    return {
        "sealed": found, "plain": sorted(float(plain[place].mean()) for place in range(len(images))),
        "parameters": {name: sum(each.numel() for each in make().parameters()) for name, _, make in networks},
    }  # fmt: skip


def recognition(work: Path) -> Any:
    """Untouched pictures, two folds and both controls with two recognizers that cost little."""
    from benchmarks import recognition as benchmark
    from medveil.attacks.reidentification.recognizer import RecognizerEffort

    effort = RecognizerEffort(side=24, steps=2, batch=8, network="resnet18", key_points=32, pairs=20)
    names = ("thumbnails", "contrastive")
    sizes = benchmark.Sizes(folds=2, phantoms=(4, 4), sealed=(4, 1))
    with mock.patch.multiple(benchmark, FUSED=names, _PHANTOM_SIZE=(56, 48), _RESAMPLES=50, _SHUFFLES=20):
        return benchmark.measured(benchmark.Likeness({"tiny": effort}, None), names, sizes)


def anonymizers(work: Path) -> Any:
    """How many pictures the library and the program make, and how bright they are, with a key that is no secret."""
    from benchmarks import anonymizers as benchmark

    with mock.patch.multiple(benchmark, SOURCES=("kermany",), JOBS=1, fresh_key=lambda: bytes(32)):
        rows = benchmark.run(work, side=64, every=2).results["rows"]
    for row in rows:
        for way in ("library", "program"):
            del row[way]["images_a_second"]
    return rows


def prichexy(work: Path) -> Any:
    """Untouched pictures and one trained generator; few updates of tiny networks, one attacker who trains none."""
    from benchmarks import prichexy as benchmark
    from medveil.training.flow_training import Recipe

    recipe = Recipe(side=32, width=2, batch=2, classifying=1, verifying=1, copying=1, checks=1, classifier_side=32)
    effort = benchmark.Effort(game_steps=2, fixed_side=32, fixed_epochs=0.1)
    asked = dict.fromkeys(benchmark.SOURCES, ("normal", "bacterial_pneumonia"))
    options = {"releases": ("raw", "mu=0.06"), "seeds": 1, "recognizers": ("thumbnails",), "effort": effort,
               "recipe": recipe}  # fmt: skip
    with mock.patch.multiple(benchmark, ASKED=asked, _RESAMPLES=20):
        return Toy("prichexy", options, ("rows",))(work)


def cohort(work: Path) -> Any:
    """Small groups of one data set, an attacker with the model and one who learns nothing."""
    from benchmarks import cohort as benchmark

    options = {"releases": ("cohort k=2 d=3",), "sources": ("kermany",), "groupings": 1}
    with mock.patch.object(benchmark, "_RESAMPLES", 20):
        return Toy("cohort", {**options, "recognizers": ("model", "thumbnails")}, ("rows",))(work)


CANARIES: dict[str, Callable[[Path], Any]] = {
    **{toy.name: toy for toy in _TOYS},
    **{name: partial(_audit, name) for name in ("audit_sealed", "audit_encrypted")},
    **{
        function.__name__: function
        for function in (
            performance, granting, two_image_game, audit_repeat, utility_classification, training_throughput, plane,
            recognition, prichexy, cohort, anonymizers,
        )
    },
}  # fmt: skip
"""Benchmark -> its canary: given an empty folder, with the toy images in place of the real ones."""


@contextlib.contextmanager
def toy_surroundings() -> Iterator[Path]:
    """Toy images in place of the real ones, the program in this process, nothing of the user's; gives a folder."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        homes = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
        shared = make_shared(folder / "shared")
        changed = {**dict.fromkeys(homes, str(folder / "home")), "MEDVEIL_SHARED": str(shared)}
        stack.enter_context(mock.patch.dict(os.environ, changed))
        stack.enter_context(mock.patch.object(Program, "run", _run_here))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield folder


def _run_here(program: Program, *arguments: str) -> dict[str, Any]:
    """`Program.run` without a process of its own, and without workers."""
    from typer.testing import CliRunner

    from medveil.cli.main import app

    jobs = ("-j", "1") if arguments[0] in {"share", "open", "rotate"} and "-j" not in arguments else ()
    with mock.patch.dict(os.environ, program.environment):
        done = CliRunner().invoke(app, [*arguments, *jobs, "--json"])
    if done.exit_code != 0:
        raise RuntimeError(f"medveil {arguments[0]} ended with {done.exit_code}: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(name: str, surroundings: Path) -> Values:
    """What the canary of a benchmark gives now."""
    work = surroundings / name
    work.mkdir()
    return dict(_leaves(CANARIES[name](work), ""))


def _leaves(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name not in _NOT_BEHAVIOUR and not str(name).endswith("_seconds") and "seconds_" not in str(name):
                yield from _leaves(each, f"{at}.{name}" if at else str(name))
    elif isinstance(value, list | tuple | np.ndarray):
        for place, each in enumerate(value):
            yield from _leaves(each, f"{at}.{place}" if at else str(place))
    elif isinstance(value, float | np.floating):
        yield at, float(f"{float(value):.{_DIGITS}g}") if math.isfinite(value) else str(float(value))
    elif isinstance(value, str):
        yield at, str(value)  # an enum's value, for one
    else:
        yield at, value.item() if isinstance(value, np.generic) else value


def tolerance(name: str) -> tuple[float, float]:
    """How far a figure of a canary may be off: relative, absolute."""
    return _TOLERANCES.get(name, (RELATIVE, ABSOLUTE))


_TOLERANCES = {
    "performance": (0.0, 90.0),  # a classical grant of age holds a stanza of random length
    "utility_classification": (0.02, 0.02),  # networks in bfloat16
    "utility_segmentation": (0.02, 0.02),
    "recognition": (0.05, 0.05),
    "prichexy": (0.05, 0.05),
    "cohort": (0.05, 0.05),
}


def differences(stored: Values, found: Values, allowed: tuple[float, float] = (RELATIVE, ABSOLUTE)) -> list[str]:
    """What changed, a line each: integers, texts and what there is exactly, other numbers to a tolerance."""
    lines = []
    for place in [*stored, *(place for place in found if place not in stored)]:
        if place not in found:
            lines.append(f"{place}: {stored[place]} before, gone now")
        elif place not in stored:
            lines.append(f"{place}: {found[place]} now, not there before")
        elif not _same(stored[place], found[place], allowed):
            lines.append(f"{place}: {stored[place]} before, {found[place]} now")
    return lines


def _same(before: Any, now: Any, allowed: tuple[float, float]) -> bool:
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=allowed[0], abs_tol=allowed[1])
    return type(before) is type(now) and bool(before == now)


def plan_of(names: Sequence[str], place: Path) -> Plan:
    """A unit for each of these canaries, in the surroundings at `place`."""
    return Plan({}, tuple(Unit((n,), "canary", n, lambda _, n=n: Product(values=measure(n, place))) for n in names))


def stored(name: str, folder: Path = FOLDER) -> Values:
    """The values of a canary that were accepted last; empty where there are none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def accept(name: str, found: Values, folder: Path = FOLDER, evidence: Path = EVIDENCE) -> list[str]:
    """Store what a canary gives now. Where a value changed, the large result is stale from now on.

    A value that is new or gone makes nothing stale: then the canary itself was changed.

    Returns:
        what changed, as `differences` has it.
    """
    before = stored(name, folder)
    changed = differences(before, found, tolerance(name))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    both = {place: before[place] for place in before if place in found}
    large = load(name, evidence)
    values = differences(both, {place: found[place] for place in both}, tolerance(name))
    if values and large is not None:
        places = [line.partition(": ")[0] for line in values]
        large["stale"] = sorted({*large.get("stale", []), *places[:_NAMED]})
        write(large, evidence)
    return changed


_NAMED = 20


def main() -> None:
    """Compare, or accept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canaries", description=__doc__.partition("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these; of {', '.join(CANARIES)}")
    parser.add_argument("--accept", action="append", default=[], choices=(*CANARIES, "all"), metavar="NAME",
                        help="store what this canary gives now; repeatable, or `all`")  # fmt: skip
    asked = parser.parse_args()
    unknown = sorted({*asked.names} - {*CANARIES})
    if unknown:
        parser.error(f"no canary is named {', '.join(unknown)}; there are {', '.join(CANARIES)}")
    accepted = list(CANARIES) if "all" in asked.accept else asked.accept
    wrong = 0
    with toy_surroundings() as place:
        results = run(plan_of(accepted or asked.names or list(CANARIES), place))
    for (name, *_), result in results.items():
        values = result.required().values
        changed = accept(name, values) if accepted else differences(stored(name), values, tolerance(name))
        wrong += bool(changed)
        print(told(name, changed) if changed and not accepted else f"{name}: {len(changed) or 'nothing'} changed")
    if accepted:
        from benchmarks import documents

        print(f"rewritten: {', '.join(documents.rewrite()) or 'no document'}")
    elif wrong:
        sys.exit(1)


def told(name: str, changed: Sequence[str]) -> str:
    """What a canary found, and what to do."""
    more = f"\n  and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    lines = "".join(f"\n  {line}" for line in changed[:_NAMED])
    return (
        f"at toy size the benchmark {name} gives other results than were accepted last:{lines}{more}\n"
        f"Where that is meant: python -m benchmarks.canaries --accept {name}\n"
        f"That marks evidence/{name}.json as changed since it was measured, until `make evidence` measures it again."
    )


if __name__ == "__main__":
    main()
