"""`medveil inspect`: what anybody can see of a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Force, Json, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import tell_replaced


def inspect(
    release: ReleaseFolder,
    package: Annotated[str | None, typer.Argument(metavar="[PACKAGE]", help="Id of one package.")] = None,
    render: Annotated[
        Path | None,
        typer.Option("--render", metavar="PNG", help="Write the picture that decoding the public part gives."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what anybody can see of a release."""
    with session("inspect", as_json=json, quiet=quiet) as run:
        from dataclasses import asdict

        from medveil.releases.inspecting import inspect as inspect_release
        from medveil.releases.inspecting import write_render
        from medveil.releases.release import Release

        signer = Release(release).signer
        tell_replaced(run, signer.replaced, signer.replaced_since)
        seen = asdict(inspect_release(release, package))
        if render is not None:
            write_render(release, package, render, force=force)
            run.say("the picture that decoding the public part gives was written")
        run.result(list(_lines(seen)), done=seen["packages"], public=seen)


def _lines(seen: Mapping[str, object], indent: str = "") -> Iterator[str]:
    for name, value in seen.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        elif value is not None and value != "":
            words = ", ".join(str(each) for each in value) if isinstance(value, list) else value
            yield f"{indent}{name:13} {words}"
