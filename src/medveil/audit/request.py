"""Request: what an audit was asked for, known before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from medveil.attacks.attack import Attack
from medveil.attacks.registry import (
    all_recognizers,
    attack_names,
    chosen_attacks,
    known_names,
    recognizers_among,
)
from medveil.attacks.reidentification.recognizer import Recognizer
from medveil.audit.presets import Preset, TaskBudget, find_preset
from medveil.audit.reference_codecs import recodings
from medveil.audit.targets.target import Kind
from medveil.errors import UsageError
from medveil.registry import unknown
from medveil.tasks.registry import chosen_tasks
from medveil.tasks.task import Task, TaskEffort

NO_ATTACK = "none"
"""The name that stands for no attack at all."""


@dataclass(frozen=True)
class Request:
    """What an audit was asked for.

    Attributes:
        preset, seed: of all of it.
        attacks: what is run; none where none was asked for.
        chosen: whether the user named them, or recognizers.
        tasks: in their order; none where none was asked for.
        compare: further codecs for tasks.
        networks: other ones than the preset's.
        budget: what tasks may spend; None without tasks.
        named: recognizers that the user named.
    """

    preset: Preset
    seed: int
    attacks: tuple[Attack, ...]
    chosen: bool
    tasks: tuple[Task, ...] = ()
    compare: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    budget: TaskBudget | None = None
    named: tuple[Recognizer, ...] = ()

    def recognizers(self, kind: Kind) -> tuple[Recognizer, ...]:
        """Who looks for people: of open releases all who can be used here unless some attack was named; of others only
        those that were named.
        """
        if self.chosen or kind is not Kind.OPEN:
            return self.named
        return all_recognizers()

    def left_out(self, kind: Kind) -> tuple[str, ...]:
        """Names of attacks that there are and that are not run; of recognizers likewise, on an open release."""
        run = {*(each.name for each in self.attacks), *(each.name for each in self.recognizers(kind))}
        others = [each.name for each in all_recognizers()] if kind is Kind.OPEN else []
        return tuple(name for name in (*attack_names(), *others) if name not in run)

    def task_settings(self) -> dict[str, Any]:
        """What the result of a task depends on beside the images, for resuming; nothing without tasks."""
        if self.budget is None:
            return {}
        return {
            "tasks": [task.name for task in self.tasks],
            "compare": list(self.compare),
            "networks": list(self.networks),
            "task effort": {"images": self.budget.images, **asdict(self.budget.effort)},
        }


def request_of(
    preset: str | Preset, seed: int, attacks: Sequence[str], tasks: Sequence[str], compare: Sequence[str],
    networks: Sequence[str],
) -> Request:  # fmt: skip
    """What these names ask for.

    Raises:
        UsageError: a preset, attack, task, codec or network that there is not; something that is for tasks, and no
            task.
        MissingDependencyError: one needs a package that is not installed.
    """
    spent = find_preset(preset)
    recognizers = recognizers_among(attacks)
    others = [name for name in attacks if name not in {each.name for each in recognizers}]
    _check_known(others)
    found = asked_attacks(others) if others or not attacks else ()
    asked = Request(spent, seed, found, bool(attacks), named=recognizers)
    if not tasks:
        for option, names in (("--compare", compare), ("--networks", networks)):
            if names:
                raise UsageError(f"{option} is for tasks, and none was asked for", hint="name some with --tasks")
        return asked
    recodings(compare)
    budget = replace(spent.tasks, effort=with_networks(spent.tasks.effort, networks))
    compare, networks = tuple(dict.fromkeys(compare)), tuple(dict.fromkeys(networks))
    return replace(asked, tasks=chosen_tasks(tasks), compare=compare, networks=networks, budget=budget)


def _check_known(names: Sequence[str]) -> None:
    """Raise UsageError for what is neither an attack nor a recognizer, nor `none`."""
    for name in names:
        if name not in (NO_ATTACK, *known_names()):
            raise unknown("attack", name, known_names(), hint="see medveil attacks")


def asked_attacks(names: Sequence[str]) -> tuple[Attack, ...]:
    """The attacks of these names; all where none is named, and none for the one name `none`.

    Raises:
        UsageError: there is no attack of a name, or `none` stands beside others.
    """
    if NO_ATTACK not in names:
        return chosen_attacks(names)
    if set(names) != {NO_ATTACK}:
        raise UsageError("none stands for no attack at all, and not beside others")
    return ()


def with_networks(effort: TaskEffort, names: Sequence[str]) -> TaskEffort:
    """The same effort with other networks: a classifier, a segmentation network, or one of each.

    Raises:
        UsageError: there is no network of a name, or two of a kind were named.
        MissingDependencyError: its weights are not installed.
    """
    from medveil.networks.classifiers import build_classifier, classifier_names
    from medveil.networks.segmenters import segmenter_names

    kinds = {"classifier": classifier_names(), "segmenter": segmenter_names()}
    chosen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        kind = next((kind for kind, known in kinds.items() if name in known), None)
        if kind is None:
            every = [known for names_of in kinds.values() for known in names_of]
            raise unknown("network", name, every)
        if kind in chosen:
            raise UsageError(f"two networks of one kind ({kind}) were named", hint="name one of each kind at most")
        chosen[kind] = name
    if "classifier" in chosen:
        build_classifier(chosen["classifier"], 2)  # whether it can be built here, before hours of work
    return replace(effort, **chosen)  # type: ignore[arg-type]
