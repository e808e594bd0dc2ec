"""`medveil ledger`: what was done to a release."""

from __future__ import annotations

from medveil.cli.options import Json, Owner, Quiet, ReleaseFolder
from medveil.cli.session import session
from medveil.cli.standing import tell_replaced


def ledger(release: ReleaseFolder, owner: Owner = None, json: Json = False, quiet: Quiet = False) -> None:
    """Show the signed record of what was done to a release.

    Its head stands for the whole of it: who has it can check a copy with medveil verify --head.
    """
    with session("ledger", as_json=json, quiet=quiet) as run:
        from medveil.cli.owner import recipient_of
        from medveil.keys.recipients import Recipient
        from medveil.releases.release import Release

        opened = Release(release, owner=recipient_of(owner))
        tell_replaced(run, opened.signer.replaced, opened.signer.replaced_since)
        chain = opened.ledger
        owners = [Recipient("", key).fingerprint for key in chain.owners]
        rows = [
            {
                "number": entry.number, "day": entry.day, "action": entry.action.value, "packages": entry.packages,
                "granted": len(entry.granted), "withdrawn": len(entry.withdrawn), "epoch": entry.epoch,
                "signer": Recipient("", signer).fingerprint, "sha256": digest.hex(),
            }
            for entry, digest, signer in zip(chain.entries, chain.digests, chain.signers, strict=True)
        ]  # fmt: skip
        lines = [
            f"{row['number']:4}  {row['day']}  {row['action']:7} packages {row['packages']}, epoch {row['epoch']}, "
            f"grants +{row['granted']} -{row['withdrawn']}  by {row['signer']}  {row['sha256']}"
            for row in rows
        ]
        lines.append(f"founded by key {owners[0]}  ({opened.signer.words})")
        lines += [f"deputy {deputy}" for deputy in owners[1:]]
        head = chain.digests[-1].hex()
        run.result(
            [*lines, f"head {head}"], done=len(rows), entries=rows, owners=owners, head=head,
            signer_known=opened.signer_known, signer=opened.signer.words, replaced=opened.signer.replaced,
        )  # fmt: skip
