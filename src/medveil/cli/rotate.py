"""`medveil rotate`: new keys for the packages that are there."""

from __future__ import annotations

from medveil.cli.options import DryRun, FirstLook, Founder, Head, Jobs, Json, Key, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import grant_lines, standing_lines, standing_record, tell_pin


def rotate(
    release: ReleaseFolder,
    key: Key = None,
    founder: Founder = None,
    head: Head = "",
    first_look: FirstLook = False,
    jobs: Jobs = 0,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give the packages that are there new keys, without coding an image again.

    Everybody who may open the release gets a new grant, unless the day that it was meant to end is over.
    Needs free space of the release's length meanwhile.
    """
    with session("rotate", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import owner_of, recipient_of
        from medveil.cli.text import bytes_text, plural
        from medveil.protection.levels import CODE, level_of
        from medveil.releases.rotating import rotate as rotate_release

        owner = owner_of(run, key, release)
        done = rotate_release(
            release, owner, founder=recipient_of(founder), head=head, first_look=first_look, jobs=jobs,
            dry_run=dry_run, progress=run.progress,
        )  # fmt: skip
        tell_pin(run, done.standing.pin_note)
        if level_of(done.protection).clear(CODE):
            run.warn("The public part of an obfuscated release stays as it was, and gives away what it gave away.")
        run.say(
            "Copies of the release that were made before open with the old keys as before; to this machine they are an "
            "older state from then on (medveil forget drops what it remembers)."
        )
        over = f", {done.ended} taken out since their day is over" if done.ended else ""
        if dry_run:
            run.result(
                [
                    f"would give {plural(done.packages, 'package')} new keys, epoch {done.epoch}; "
                    f"{plural(done.grants, 'grant')} made anew{over}; needs {bytes_text(done.bytes)} of free space "
                    "meanwhile; nothing was written",
                    *(f"  {line}" for line in grant_lines(done.standing.open_to)),
                ],
                packages=done.packages, size=0, grants=done.grants, ended=done.ended, epoch=done.epoch,
                free_bytes_needed=done.bytes, dry_run=True, **standing_record(done.standing),
            )  # fmt: skip
            return
        run.result(
            [
                f"new keys for {plural(done.packages, 'package')}, epoch {done.epoch}; "
                f"{plural(done.grants, 'grant')} made anew{over}; release: {bytes_text(done.bytes)}",
                *standing_lines(done.standing),
            ],
            done=done.packages, size=done.bytes, grants=done.grants, ended=done.ended, epoch=done.epoch,
            **standing_record(done.standing),
        )  # fmt: skip
