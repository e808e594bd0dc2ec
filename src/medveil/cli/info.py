"""`medveil info`: versions, codecs, weights, and which optional parts are there; or the fingerprint of a public key."""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from medveil.cli.options import Json, Quiet
from medveil.cli.session import Session, session

_LIBRARIES = ("numpy", "cryptography", "pyrage", "cbor2", "constriction", "pillow", "pydicom")
_PARTS = (
    ("JPEG and JPEG lossless DICOM", "gdcm", "dicom"),
    ("JPEG 2000 DICOM", "openjpeg", ""),
    ("JPEG-LS DICOM", "jpeg_ls", ""),
    ("torch", "torch", "primis"),
)


def info(
    pub: Annotated[
        Path | None,
        typer.Option("--pub", metavar="PUB", help="A public key file or certificate: its fingerprint, and no more."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show versions, codecs and what is available; or the fingerprint of a public key."""
    with session("info", as_json=json, quiet=quiet) as run:
        if pub is not None:
            _print_key(run, pub)
            return
        from medveil.codecs.registry import available

        versions = {"medveil": metadata.version("medveil"), "python": sys.version.split()[0]}
        versions |= {name: metadata.version(name) for name in _LIBRARIES}
        codecs = [{"name": entry.name, "ok": entry.ok, "because": entry.because} for entry in available()]
        parts = [_part(*part) for part in _PARTS]
        weights = _weights()
        run.result(
            [
                *(f"{name:14}{number}" for name, number in versions.items()),
                *(f"codec {entry['name']}: {_words(entry)}" for entry in codecs),
                *(f"weights {entry['file']}: {entry['bytes']} bytes, sha256 {entry['sha256']}" for entry in weights),
                *(f"{entry['name']}: {_words(entry)}" for entry in parts),
            ],
            versions=versions, codecs=codecs, weights=weights, parts=parts,
        )  # fmt: skip


def _print_key(run: Session, pub: Path) -> None:
    """Print the fingerprint and the kind of a public key."""
    from medveil.cli.owner import recipients_of

    (recipient,) = recipients_of([pub], "--pub")
    wrap = recipient.wrap
    kind = f"{wrap.value}{', post-quantum' if wrap.post_quantum else ''}"
    run.result(
        [f"fingerprint {recipient.fingerprint}", f"kind        {kind}"],
        fingerprint=recipient.fingerprint, wrap=wrap.value, post_quantum=wrap.post_quantum,
    )  # fmt: skip


def _weights() -> list[dict[str, object]]:
    """The weights files that come with medveil."""
    import hashlib

    package = Path(__file__).resolve().parents[1]
    files = [(path.name, path.read_bytes()) for path in sorted(package.rglob("*.safetensors"))]
    return [{"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files]


def _part(name: str, module: str, extra: str) -> dict[str, object]:
    ok = find_spec(module) is not None
    how = f"pip install 'medveil[{extra}]'" if extra else "reinstall medveil"
    return {"name": name, "ok": ok, "because": "" if ok else f"{module} is not installed ({how})"}


def _words(entry: dict[str, object]) -> str:
    return "available" if entry["ok"] else f"not available: {entry['because']}"
