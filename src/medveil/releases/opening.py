"""open: a release back to files of the kind that went in, in their own folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from medveil.codecs.code import Codec
from medveil.errors import IntegrityError, MedveilError, TargetExistsError
from medveil.files.atomic import write_bytes
from medveil.images.image import Image
from medveil.keys.grants import Grant
from medveil.keys.identity import Identity, Recipient
from medveil.releases.jobs import PARALLEL_FROM, Failure, end_with_parent
from medveil.releases.manifest import Manifest, PackageEntry
from medveil.releases.release import Release, codec_of, open_package
from medveil.releases.staging import refuse_inside_release


@dataclass
class OpenResult:
    """What `open` did.

    Attributes:
        done: files written.
        withheld: attachments that need identity, which this key was not granted.
        failed: one entry a package that could not be opened; its number counts packages in manifest order.
        bytes: length of the written files.
        signer_known: as in VerifyResult.
        damaged: whether a failure was one of integrity.
    """

    done: int = 0
    withheld: int = 0
    failed: list[Failure] = field(default_factory=list)
    bytes: int = 0
    signer_known: bool = False
    damaged: bool = False


@dataclass(frozen=True)
class _File:
    """One opened package as the file that is to be written; no data where the grant does not open it."""

    name: PurePosixPath
    data: bytes | None


@dataclass(frozen=True)
class _Source:
    """What every worker needs; the manifest without its packages, which come one by one."""

    folder: Path
    manifest: Manifest
    grant: Grant


def open_release(
    folder: Path, out: Path, *, identity: Identity, owner: Recipient | None = None, force: bool = False,
    jobs: int = 0, progress: Callable[[int, int, str], None] | None = None,
) -> OpenResult:  # fmt: skip
    """Open every package that `identity` may open into the folder `out` (0700).

    A damaged package is reported in the result and the intact ones are opened all the same.

    Args:
        folder: the release.
        out: where the files go; new or empty unless `force`.
        identity: who opens.
        owner: the owner that is expected; see `Release`.
        force: write into a folder that holds files, replacing those of the same name.
        jobs: worker processes; 0 for one a core.
        progress: called as (done, total, text) after each package.

    Raises:
        NoFittingKeyError: the release was not granted to this identity.
        IntegrityError, FormatVersionError, UsageError: as `verify`, for what concerns the whole release.
        TargetExistsError: `out` holds files and `force` is not set.
    """
    release = Release(folder, owner=owner)
    grant = release.grant_of(identity)
    release.codec()  # a missing codec or weights file is one error, not one a package
    out = Path(os.path.abspath(out))
    refuse_inside_release(out)
    if not force and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TargetExistsError("the output folder holds files", hint="name a new folder, or --force to write into it")
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    result = OpenResult(signer_known=release.signer_known)
    source = _Source(release.folder, replace(release.manifest, packages=()), grant)
    taken: set[str] = set()
    for number, (entry, opened) in enumerate(_opened(source, release.manifest.packages, jobs), start=1):
        try:
            if isinstance(opened, MedveilError):
                raise opened
            _write(opened, out, taken, result, force=force)
        except MedveilError as error:
            result.damaged |= isinstance(error, IntegrityError)
            result.failed.append(Failure(number, entry.path, type(error).__name__, error.message))
        if progress is not None:
            progress(number, len(release), f"#{number}")
    return result


def _opened(
    source: _Source, entries: tuple[PackageEntry, ...], jobs: int
) -> Iterator[tuple[PackageEntry, _File | MedveilError]]:
    workers = min(jobs or os.cpu_count() or 1, len(entries))
    if workers <= 1 or len(entries) < PARALLEL_FROM:
        yield from ((entry, _open_one(source, entry)) for entry in entries)
        return
    pool = ProcessPoolExecutor(workers, initializer=end_with_parent, initargs=(os.getpid(),))
    try:
        for start in range(0, len(entries), 16 * workers):  # bounded, so that opened images never pile up
            batch = entries[start : start + 16 * workers]
            yield from zip(batch, pool.map(_open_one, [source] * len(batch), batch), strict=True)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _open_one(source: _Source, entry: PackageEntry) -> _File | MedveilError:
    """The file of one package, or the error that it gives."""
    from medveil import images

    try:
        codec = _codec(source.folder, source.manifest)
        opened = open_package(source.folder, source.manifest, entry, source.grant, codec)
        if opened is None:
            return _File(PurePosixPath(entry.package.hex()), None)
        name = opened.path or PurePosixPath(entry.package.hex())
        if not isinstance(opened.content, Image):
            return _File(name, opened.content.data)
        image, method = opened.content, f"MEDVEIL_{source.manifest.profile.codec.upper()}"[:16]
        raw = image.pixels.size * image.pixels.itemsize
        loss = images.Loss(ratio=max(1.0, raw / opened.code_bytes), method=method)
        suffix = images.suffix(image)
        name = _with_suffix(opened.path, suffix) if opened.path else PurePosixPath(entry.package.hex() + suffix)
        return _File(name, images.to_file_bytes(image, loss=loss, uid_key=source.grant.uid_key))
    except MedveilError as error:
        return error
    except (MemoryError, ArithmeticError, ValueError, TypeError, LookupError, RecursionError) as error:
        return IntegrityError(f"a package makes no sense ({type(error).__name__})")


@lru_cache(maxsize=2)
def _codec(folder: Path, manifest: Manifest) -> Codec:
    return codec_of(folder, manifest)


def _write(file: _File, out: Path, taken: set[str], result: OpenResult, *, force: bool) -> None:
    if file.data is None:
        result.withheld += 1
        return
    path = out / _free_name(file.name, taken)
    try:
        for folder in reversed(path.relative_to(out).parents):
            (out / folder).mkdir(mode=0o700, exist_ok=True)
        write_bytes(path, file.data, mode=0o600, overwrite=force)
    except OSError as error:
        raise MedveilError(
            f"the opened file cannot be written: {error.strerror or type(error).__name__}", hint="free some space"
        ) from None
    result.done += 1
    result.bytes += len(file.data)


def _with_suffix(name: PurePosixPath, suffix: str) -> PurePosixPath:
    """The original's own name; its suffix changes only where the kind of file did (JPEG comes out as PNG)."""
    changed = suffix == ".png" and name.suffix.lower() in {".jpg", ".jpeg", ".jpe", ".jfif"}
    return name.with_suffix(suffix) if changed else name


def _free_name(name: PurePosixPath, taken: set[str]) -> PurePosixPath:
    """`name`, or `name-2` … where it would meet another file, or a folder that another file lies in.

    `taken` holds the files so far, and with a slash at the end the folders that they lie in; case is ignored.
    """
    candidate, count = name, 1
    while _collides(candidate, taken):
        count += 1
        if any(str(parent).casefold() in taken for parent in name.parents):  # a file stands where its folder would be
            candidate = PurePosixPath(f"{name.parts[0]}-{count}", *name.parts[1:])
        else:
            candidate = name.with_name(f"{name.stem}-{count}{name.suffix}")
    taken.add(str(candidate).casefold())
    taken.update(f"{parent}/".casefold() for parent in candidate.parents)
    return candidate


def _collides(name: PurePosixPath, taken: set[str]) -> bool:
    key = str(name).casefold()
    return key in taken or f"{key}/" in taken or any(str(parent).casefold() in taken for parent in name.parents)
