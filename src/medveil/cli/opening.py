"""`medveil open`: get the images back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import DryRun, Force, Jobs, Json, Key, Owner, Quiet, ReleaseFolder, ShowPaths
from medveil.cli.session import SOME_FAILED, Session, session
from medveil.errors import IntegrityError

if TYPE_CHECKING:
    from medveil.keys.identity import Identity, Recipient


def open_(
    release: ReleaseFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the images go.")],
    key: Key = None,
    owner: Owner = None,
    force: Force = False,
    jobs: Jobs = 0,
    dry_run: DryRun = False,
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

        identity = identity_of(run, key)
        if dry_run:
            _look(run, release, identity, recipient_of(owner))
            return
        result = open_release(
            release,
            out,
            identity=identity,
            owner=recipient_of(owner),
            force=force,
            jobs=jobs,
            progress=run.progress,
        )
        if not result.signer_known:
            run.warn(
                "the signer is unknown: compare the fingerprint that verify prints with the owner, or name --owner"
            )
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


def _look(run: Session, folder: Path, identity: Identity, owner: Recipient | None) -> None:
    """What `open` would do: the signature and the grant are checked, no package is opened."""
    from medveil.cli.sizes import plural
    from medveil.releases.release import Release

    release = Release(folder, owner=owner)
    names = "with names" if release.grant_of(identity).keys.identity_key else "without names"
    line = f"would open {plural(len(release), 'package')}, {names}; nothing was written"
    run.result([line], packages=len(release), signer_known=release.signer_known, dry_run=True)
