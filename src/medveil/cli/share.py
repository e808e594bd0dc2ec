"""`medveil share`: make a release that only its recipients can open."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medveil.cli.options import (
    AllowCertificates,
    AllowClassical,
    BurnedIn,
    DryRun,
    FirstLook,
    Founder,
    Head,
    Jobs,
    Json,
    Key,
    Quiet,
    ShowPaths,
)
from medveil.cli.session import SOME_FAILED, Session, session
from medveil.cli.standing import called, standing_lines, standing_record, tell_pin

if TYPE_CHECKING:
    from medveil.releases.label_file import GivenLabels
    from medveil.releases.settings import ShareSettings
    from medveil.releases.sharing import ShareResult


def share(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Image files, and folders of them.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RELEASE", help="Folder of the release.")],
    key: Key = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="PUB[=TIER]", help="Who may open the images, and how well: exact, diagnostic or preview."
        ),
    ] = None,
    identity: Annotated[
        list[Path] | None,
        typer.Option("--identity", metavar="PUB", help="Who may also see names, dates and file names. Repeatable."),
    ] = None,
    also_owner: Annotated[
        list[Path] | None,
        typer.Option("--also-owner", metavar="PUB", help="Who may grant, revoke and rotate as you do. Repeatable."),
    ] = None,
    tiers: Annotated[
        str, typer.Option("--tiers", metavar="TIERS", help="Further tiers to make, such as exact,preview.")
    ] = "",
    keep_file: Annotated[
        bool, typer.Option("--keep-file", help="Seal the very files too, for exact recipients with --identity.")
    ] = False,
    allow_classical: AllowClassical = False,
    allow_certificates: AllowCertificates = False,
    protection: Annotated[
        str,
        typer.Option("--protection", metavar="LEVEL", help="sealed, encrypted or obfuscated; see docs/concepts.md."),
    ] = "sealed",
    codec: Annotated[
        str, typer.Option("--codec", metavar="NAME", help="lapped, primis, or a folder that `medveil train` wrote.")
    ] = "lapped",
    quality: Annotated[
        float | None, typer.Option("--quality", metavar="DB", help="Profile of the release. Default: 40.")
    ] = None,
    sparsity: Annotated[
        int | None, typer.Option("--sparsity", metavar="S", help="Nonzeros a code vector (codec primis).")
    ] = None,
    decoys: Annotated[
        int,
        typer.Option("--decoys", metavar="S_N", min=0, help="Decoys (protection obfuscated); 0: as many as true ones."),
    ] = 0,
    min_quality: Annotated[
        float | None, typer.Option("--min-quality", metavar="DB", help="An image below this fails.")
    ] = None,
    max_rmse: Annotated[
        float | None, typer.Option("--max-rmse", metavar="UNITS", help="An image above this error fails.")
    ] = None,
    burned_in: BurnedIn = "warn",
    rmse: Annotated[
        float | None,
        typer.Option(
            "--rmse",
            metavar="UNITS",
            help="Above 8 bits: error to choose the quality for, in modality units. Default: 3 for CT (HU).",
        ),
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option("--depth", metavar="8|above-8", help="Share only the images of 8 bits, or only those of more."),
    ] = None,
    mixed_depth: Annotated[
        bool, typer.Option("--mixed-depth", help="Let images of 8 bits and of more into one release.")
    ] = False,
    attach: Annotated[
        list[Path] | None,
        typer.Option("--attach", metavar="PATHS...", help="Files and folders to send along, up to the next option."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="CSV", help="Labels of the images, for all who open them.")
    ] = None,
    label_columns: Annotated[
        str, typer.Option("--label-columns", metavar="NAMES", help="Columns of it to share, such as label,view.")
    ] = "",
    founder: Founder = None,
    head: Head = "",
    first_look: FirstLook = False,
    add: Annotated[bool, typer.Option("--add", help="Add these images to the release that is there.")] = False,
    embed: Annotated[bool, typer.Option("--embed/--no-embed", help="Put the codec's weights into the release.")] = True,
    publish_weights: Annotated[
        bool, typer.Option("--publish-weights", help="Embed weights of your own for everybody to read.")
    ] = False,
    pseudonyms: Annotated[
        bool,
        typer.Option(
            "--pseudonyms/--no-pseudonyms", help="Tell who sees no names which DICOM images are of one patient."
        ),
    ] = True,
    padding: Annotated[
        str | None,
        typer.Option(
            "--padding",
            metavar="steps|bucket",
            help="Of exact sections and kept files: steps of 3 %, or one length a size class.",
        ),
    ] = None,
    jobs: Jobs = 0,
    dry_run: DryRun = False,
    show_paths: ShowPaths = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a release that only its recipients can open.

    Those named by --to can open it, and you.
    Running it again with the same images and settings goes on where it stopped.
    """
    with session("share", as_json=json, quiet=quiet) as run:
        from medveil.cli.attach import refuse_secret_keys
        from medveil.cli.owner import (
            depth_named,
            identity_for_trial,
            identity_of,
            recipient_of,
            recipients_of,
            tell_deputy,
            tier_named,
            tiered_recipients_of,
        )
        from medveil.keys.tiers import Tier
        from medveil.releases.settings import ShareSettings
        from medveil.releases.sharing import share as share_images

        named = tiered_recipients_of(to)
        settings = ShareSettings(
            to=tuple(recipient for recipient, _ in named),
            at={recipient: Tier(tier) for recipient, tier in named if tier},
            identity=recipients_of(identity, "--identity"),
            also_owners=recipients_of(also_owner, "--also-owner"),
            tiers=tuple(tier_named(name) for name in tiers.split(",") if name),
            keep_file=keep_file, allow_classical=allow_classical, allow_certificates=allow_certificates,
            protection=protection, codec=codec, quality=quality, sparsity=sparsity, decoys=decoys,
            min_quality=min_quality, max_rmse=max_rmse, burned_in=burned_in, attach=tuple(attach or ()), add=add,
            embed=embed, publish_weights=publish_weights, jobs=jobs, dry_run=dry_run, pseudonyms=pseudonyms,
            padding=padding, mixed_depth=mixed_depth, depth=depth_named(depth), rmse=rmse,
            labels=labels, label_columns=tuple(name.strip() for name in label_columns.split(",") if name.strip()),
        )  # fmt: skip
        settings.check()  # before a key is made for a request that makes no sense
        refuse_secret_keys(attach or ())
        owner = identity_for_trial(run, key) if dry_run else identity_of(run, key, create=True)
        if not to and not add:
            run.say("Nobody is named by --to: this release is for you alone.")
        if publish_weights and embed and settings.has_own_weights:
            run.warn("weights that were trained on patients say something of them; you publish them with this release")
        out = Path(os.path.abspath(out))  # -o . is another folder when it is done
        tell_deputy(run, out, owner)
        result = share_images(
            images, out, settings, owner=owner, founder=recipient_of(founder), head=head, first_look=first_look,
            progress=run.progress, announce=partial(_announce, run),
        )  # fmt: skip
        if dry_run or not (add or result.unchanged):
            _tell_tiers(run, settings)
        _print(run, result, out, dry_run=dry_run, show_paths=show_paths)


def _announce(run: Session, text: str, grave: bool) -> None:
    if grave:
        run.warn(f"warning: {text}")
    else:
        run.say(text)


def _tell_tiers(run: Session, settings: ShareSettings) -> None:
    """Say how well each recipient of a new release may open it."""
    for recipient in settings.to:
        names = "with names" if recipient in settings.identity else "without names"
        run.say(f"key {called(recipient)} may open it up to tier {settings.tier_of(recipient).value}, {names}")


def _labels_record(given: GivenLabels) -> dict[str, object]:
    return {"counts": given.counts, "unlabelled": given.unlabelled, "unmatched": given.unmatched}


def _print(run: Session, result: ShareResult, out: Path, *, dry_run: bool, show_paths: bool) -> None:
    from medveil.cli.input_list import report_inputs
    from medveil.cli.text import bytes_text, coarse_lines, fidelity_lines, length_lines, plural

    tell_pin(run, result.standing.pin_note)
    for warning in [*result.warnings, *coarse_lines(result)]:
        run.warn(f"warning: {warning}")
    low = [(number, f"{psnr:.1f} dB, more than 3 dB below the profile's target") for number, psnr in result.low]
    coarse = [(number, f"RMSE {rmse:.1f} in modality units, coarser than aimed at") for number, rmse in result.coarse]
    failed, listed = report_inputs(
        run, result.failed, [*result.warned, *low], result.inputs, show_paths=show_paths, dry_run=dry_run, told=coarse
    )
    counts = f"{plural(result.done, 'file')}; {result.unchanged} there already; {len(failed)}"
    if dry_run:
        lines = [f"would share {counts} would fail; nothing was written"]
    else:
        lines = [f"shared {counts} failed"]
        if result.pixels and not result.unchanged:
            rate = 8 * result.bytes / result.pixels
            lines.append(f"release: {bytes_text(result.bytes)}, {rate:.3f} bits a pixel, everything in it counted")
    lines += [f"{plural(result.other_depth, 'image')} of another depth left out"] if result.other_depth else []
    lines += fidelity_lines(list(result.fidelity.values()))
    lines += [*length_lines(result.varying), *standing_lines(result.standing)]
    run.result(
        lines, done=result.done, failed=failed, size=result.bytes, unchanged=result.unchanged, pixels=result.pixels,
        mean_psnr=result.mean_psnr, low=[{"input": number, "psnr": psnr} for number, psnr in result.low],
        quality=result.quality, target_rmse=result.error, other_depth=result.other_depth,
        coarse=[{"input": number, "rmse": rmse} for number, rmse in result.coarse],
        labels=_labels_record(result.labels),
        warnings=[*result.told, *result.warnings, *(f"#{number}: {text}" for number, text in result.warned)],
        list=listed, varying_lengths=sorted(result.varying), dry_run=dry_run, **standing_record(result.standing),
    )  # fmt: skip
    if result.failed:
        raise typer.Exit(SOME_FAILED)
