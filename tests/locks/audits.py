"""Tiny audits of the stored releases: what report.json says of each level, without what differs between two runs.

One thread and one seed. Attackers are a few steps of small networks, far too weak to judge a release: what is locked
is that they do the same as before.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.audit.scenes import effort, preset
from tests.locks.releases import KEY, LEVELS, MANIFEST, ORIGINALS

from medveil.audit import audit_run
from medveil.audit.presets import TaskBudget
from medveil.audit.record import canonical
from medveil.keys.identity import Identity
from medveil.metrics.inference import LeastPatients
from medveil.report.page import full_record
from medveil.tasks.task import TaskEffort

FAST = ("code-decoder", "linkage-code", "wrong-key")
"""Attacks of the default suite: with a network, on patients, on keys. The whole ones run all."""
TASKS = ("classification", "segmentation", "radiomics")
_EFFORT = effort(working=32)
_PRESET = preset(
    effort=_EFFORT, control_effort=_EFFORT, own_images=6, tested_images=6, control_own=6, control_tested=4,
    tasks=TaskBudget(100, TaskEffort(1, "resnet18", "unet", 16, 16, 1.0, 1.0, 50, 6)),
    least=LeastPatients(of_class=5, agreement=5),
)  # fmt: skip
_EVERY = 16
_OF_THIS_RUN = {"seconds", "python", "machine", "medveil", "numpy", "scipy", "scikit-learn", "torch", "monai"}


def attacked(root: Path, level: str) -> Any:
    """report.json of an audit with some attacks."""
    return _audited(root, level, attacks=FAST)


def tasked(root: Path, level: str) -> Any:
    """report.json of an audit with every task and no attack."""
    return _audited(root, level, attacks=("none",), tasks=TASKS)


def whole(root: Path, level: str) -> Any:
    """report.json of an audit with every attack and every task, which tells the tiers and a codec beside them apart."""
    return _audited(root, level, tasks=TASKS, compare=("lapped:36",))


Kinds = dict[str, Callable[[Path, str], Any]]
KINDS: Kinds = {"attacks": attacked, "tasks": tasked}
WHOLE: Kinds = {"whole": whole}


def every(root: Path, kinds: Kinds) -> dict[str, Any]:
    """All kinds on all levels, by `kind level`."""
    return {f"{kind} {level}": audit(root, level) for kind, audit in kinds.items() for level in LEVELS}


def _audited(root: Path, level: str, **asked: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "audit"
        patch.setattr("medveil.attacks.keys.refused_keys.release_kinds", lambda *_: ())  # 300 000 guesses fewer
        audit_run.audit_release(
            root / level, identity=Identity.load(root / KEY), originals=root / ORIGINALS, manifest=root / MANIFEST,
            out=out, preset=_PRESET, seed=3, threads=1, write=_write_record, **asked,
        )  # fmt: skip
        return _lasting(json.loads((out / "report.json").read_bytes()))


def _write_record(audit: Any, folder: Path) -> None:
    """The report without its page and its figures, which take longer than the audit."""
    (folder / "report.json").write_bytes(canonical(full_record(audit)))


def _lasting(value: Any, key: str = "") -> Any:
    """A report without what is of one run only; of the many texture features some stand for all."""
    if isinstance(value, dict):
        if key == "features":
            value = {name: value[name] for name in sorted(value)[::_EVERY]}
        return {key: _lasting(each, key) for key, each in value.items() if key not in _OF_THIS_RUN}
    return [_lasting(each) for each in value] if isinstance(value, list) else value
