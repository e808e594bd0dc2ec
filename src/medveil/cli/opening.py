"""`medveil open`: get the images back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Force, Jobs, Json, Key, Owner, Quiet, ReleaseFolder, ShowPaths
from medveil.cli.session import SOME_FAILED, session
from medveil.errors import IntegrityError


def open_(
    release: ReleaseFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the images go.")],
    key: Key = None,
    owner: Owner = None,
    force: Force = False,
    jobs: Jobs = 0,
    show_paths: ShowPaths = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Get the images back, in their own formats and folders."""
    with session("open", as_json=json, quiet=quiet) as run:
        from medveil.cli.failures import report_failures
        from medveil.cli.owner import identity_of, recipient_of
        from medveil.cli.sizes import plural
        from medveil.releases.opening import open_release

        result = open_release(
            release,
            out,
            identity=identity_of(run, key),
            owner=recipient_of(owner),
            force=force,
            jobs=jobs,
            progress=run.progress,
        )
        if not result.signer_known:
            run.warn("the signer of this release is unknown: compare its fingerprint with the owner, or name --owner")
        if result.withheld:
            run.warn(f"{plural(result.withheld, 'attachment')} left closed: this key was not granted identity")
        failed = report_failures(run, out, result.failed, show_paths=show_paths)
        run.result(
            [f"opened {plural(result.done, 'file')}; {len(failed)} failed"],
            done=result.done,
            failed=failed,
            size=result.bytes,
            withheld=result.withheld,
            signer_known=result.signer_known,
        )
        if failed:
            raise typer.Exit(IntegrityError.exit_code if result.damaged else SOME_FAILED)
