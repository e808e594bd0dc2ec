"""`medveil compare`: releases side by side, what they give away against what they are good for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import Force, Json, Quiet
from medveil.cli.session import session

if TYPE_CHECKING:
    from medveil.report.plane import Point


def compare(
    audits: Annotated[list[Path], typer.Argument(metavar="AUDITS...", help="Folders that medveil audit wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the comparison goes.")],
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw the plane of privacy and utility from audits of open releases.

    It takes audits of the same images, made with the same seed and the same --tasks; of others it warns.
    """
    with session("compare", as_json=json, quiet=quiet) as run:
        from medveil.audit.record import JSON, read_record
        from medveil.cli.audit import need_packages
        from medveil.errors import UsageError
        from medveil.releases.writing.staging import refuse_inside_release
        from medveil.report.plane import check_plane, paired, point_of, questions_of, table_of, write_plane

        need_packages()
        refuse_inside_release(out / "index.html")
        check_plane(out, force=force)
        points = []
        for number, place in enumerate(audits, 1):
            try:
                points.append(point_of(read_record(place / JSON if place.is_dir() else place), number))
            except UsageError as error:
                raise UsageError(f"audit {number}: {error.message}", hint=error.hint) from None
        write_plane(points, out)
        if not paired(points):
            run.warn("the audits are not of the same images, people and seed: differences may be those of people")
        if not questions_of(points):
            run.warn("no task was done in any of the audits: the plane tells risks alone; audit with --tasks")
        run.result(
            [*map(_line, points), "the plane is in index.html, in the folder that you named"],
            done=len(points),
            paired=paired(points),
            releases=table_of(points),
        )


def _line(point: Point) -> str:
    from medveil.report.amounts import amount, interval

    risk = f"{amount('auc', point.risk.value)} ({interval('auc', point.risk.ci, signed=False)})"
    return f"{point.number}  {point.name}: same person, matched AUC {risk}; by luck up to {amount('auc', point.null)}"
