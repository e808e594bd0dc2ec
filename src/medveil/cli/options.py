"""The options that several commands have, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No notes and progress on stderr; errors and warnings stay.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is already there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes to use; 0 means one a core.")]
BurnedIn = Annotated[
    str, typer.Option("--burned-in", metavar="WAY", help="Of a DICOM file that may show names: warn, or refuse it.")
]
ShowPaths = Annotated[bool, typer.Option("--show-paths", help="Name inputs by their paths in messages, not by number.")]
ReleaseFolder = Annotated[Path, typer.Argument(metavar="RELEASE", help="Folder of the release.")]
Key = Annotated[
    Path | None,
    typer.Option("-i", "--key", metavar="KEY", help="Your key file. Default: the key in your configuration folder."),
]
AllowClassical = Annotated[
    bool,
    typer.Option("--allow-classical", help="Let a classical key receive a post-quantum release."),
]
AllowCertificates = Annotated[
    bool, typer.Option("--allow-certificates", help="Let X.509 certificates receive; they show who it is for.")
]
Founder = Annotated[
    Path | None,
    typer.Option("--owner", metavar="PUB", help="The founder's .pub file, where you are a deputy of hers."),
]
Head = Annotated[
    str,
    typer.Option(
        "--head", metavar="HASH", help="A head that the last change printed; fail unless it is in the ledger."
    ),
]
FirstLook = Annotated[
    bool,
    typer.Option("--first-look", help="Take what is shown for the newest state, on a machine that has not seen it."),
]
Owner = Annotated[
    Path | None,
    typer.Option("--owner", metavar="PUB", help="The owner's .pub file; fail unless it signed this release."),
]
