"""`medveil open`: get the images back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import DryRun, Force, Head, Jobs, Json, Key, Owner, Quiet, ReleaseFolder, ShowPaths
from medveil.cli.session import SOME_FAILED, Session, session
from medveil.cli.standing import tell_pin, tell_replaced
from medveil.errors import FormatVersionError, IntegrityError

if TYPE_CHECKING:
    from medveil.keys.openers import Opener
    from medveil.keys.recipients import Recipient
    from medveil.keys.tiers import Tier


def open_(
    release: ReleaseFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the images go.")],
    key: Key = None,
    owner: Owner = None,
    head: Head = "",
    tier: Annotated[
        str, typer.Option("--tier", metavar="TIER", help="Open at this tier. Default: the best that your key opens.")
    ] = "",
    force: Force = False,
    max_bytes: Annotated[
        str, typer.Option("--max-bytes", metavar="BYTES", help="Write no more than this, such as 500MB or 10GB.")
    ] = "",
    jobs: Jobs = 0,
    dry_run: DryRun = False,
    show_paths: ShowPaths = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Get the images back, in their own formats and folders."""
    with session("open", as_json=json, quiet=quiet) as run:
        from medveil.cli.input_list import report_inputs
        from medveil.cli.owner import opener_of, recipient_of, tier_named
        from medveil.cli.text import bytes_of, plural
        from medveil.releases.opening import open_release

        wanted = tier_named(tier) if tier else None
        most = bytes_of(max_bytes) if max_bytes else None
        identity = opener_of(run, key)
        if dry_run:
            _look(run, release, identity, recipient_of(owner), head, wanted)
            return
        result = open_release(
            release, out, identity=identity, owner=recipient_of(owner), head=head, tier=wanted, force=force,
            max_bytes=most, jobs=jobs, progress=run.progress,
        )  # fmt: skip
        _tell_signer(run, result.signer, known=result.signer_known)
        tell_replaced(run, result.replaced, result.replaced_since)
        tell_pin(run, result.pin_note)
        if result.warning:
            run.warn(
                f"warning: a further grant does not open, and it may be one of yours that opens more: {result.warning}"
            )
        if result.withheld:
            run.warn(f"{plural(result.withheld, 'package')} left closed: this key was not granted them")
        if result.until:
            run.warn(f"the owner means this key's access to end with {result.until}")
        failed, listed = report_inputs(run, result.failed, result.warned, result.written, show_paths=show_paths)
        lines = [f"opened {plural(result.done, 'file')}{_tiers(result.tiers)}; {len(failed)} failed"]
        lines += [f"labels of {plural(result.labelled, 'image')} in {result.labels}"] if result.labels else []
        run.result(
            lines,
            done=result.done, failed=failed, size=result.bytes, withheld=result.withheld, renamed=result.renamed,
            tiers={tier.value: count for tier, count in result.tiers.items()}, until=result.until,
            signer_known=result.signer_known, signer=result.signer, warning=result.warning, pin_note=result.pin_note,
            list=listed, replaced=result.replaced, labels=result.labels,
        )  # fmt: skip
        if failed:
            newer = FormatVersionError.exit_code if result.newer else SOME_FAILED
            raise typer.Exit(IntegrityError.exit_code if result.damaged else newer)


def _tell_signer(run: Session, words: str, *, known: bool) -> None:
    if not known:
        run.warn(f"{words}: compare the fingerprint that verify prints with the owner, and name her .pub with --owner")


def _look(
    run: Session, folder: Path, identity: Opener, owner: Recipient | None, head: str, tier: Tier | None
) -> None:  # fmt: skip
    """What `open` would do: signature, grant and packages are checked, and no picture is decoded."""
    from medveil.cli.text import bytes_text, plural
    from medveil.releases.opening import to_be_written
    from medveil.releases.release import Release

    release = Release(folder, owner=owner, head=head)
    access = release.access_of(identity, tier)
    ring, size = access.ring, to_be_written(release, access)
    names = "with names" if ring.sees_identity else "without names"
    count = len(release) if ring.packages is None else len(ring.packages)
    line = f"would open {plural(count, 'package')} up to tier {ring.tier.value}, {names}: {size} bytes at most"
    line += f" ({bytes_text(size)}); nothing was written"
    signer = release.signer
    _tell_signer(run, signer.words, known=signer.vouched)
    tell_replaced(run, signer.replaced, signer.replaced_since)
    run.result(
        [line], size=size, packages=count, signer_known=signer.vouched, signer=signer.words,
        replaced=signer.replaced, dry_run=True,
    )  # fmt: skip


def _tiers(tiers: Mapping[Tier, int]) -> str:
    """At which tiers the images came out."""
    told = [f"{count} at tier {tier.value}" for tier, count in sorted(tiers.items())]
    return f" ({', '.join(told)})" if told else ""
