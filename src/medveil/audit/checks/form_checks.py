"""Checks of the form of a release: what no attack looks at, because a sound release has nothing there to learn.

Attacks train on packages that the attacker made herself. A fault that only the real packages have, such as a key, a
salt or a keystream that was used twice, or a section that was never encrypted, is looked for here: by counting and
comparing, in seconds. Nothing is drawn by chance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medveil.attacks.keys.refused_keys import Outcome, refused_keys
from medveil.audit.checks.collisions import Coincidence, Group, equal_levels, shown_cells
from medveil.audit.checks.public_values import MadeOf, shifted_streams, value_checks
from medveil.audit.checks.uniformity import Evenness
from medveil.audit.results import FormCheck
from medveil.codecs.code import Bucket
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError
from medveil.files.walk import is_junk
from medveil.keys.openers import Opener
from medveil.keys.tiers import KeyRing, Section
from medveil.protection.encrypting import TAG_BYTES
from medveil.protection.levels import Level
from medveil.protection.sealing import PublicCode, level_keystream
from medveil.releases.packages.package import Package, PackageEntry, PackageHeader, load_package, parse_header
from medveil.releases.packages.unpacking import PackageReader
from medveil.releases.records import state as states
from medveil.releases.records.manifest import RECORD, SIGNATURE, Manifest
from medveil.releases.release import Release

_SAMPLED = 500  # packages whose bytes are all looked at
_PAIRED_BYTES = 8 << 20  # of sealed codes that are compared in pairs
_SHIFTED_BYTES = 2 << 20  # of sections in which stretches that come again are looked for
_HEAD = 8192  # bytes of a package in which its header ends
_BLOCK = 16
_LEAST_STEP = 64  # of the lengths n -> n + max(16, n // 32) in docs/format.md
_CODES = (Section.PREVIEW, Section.CODE)
_KEYS = (
    "key-not-granted", "key-of-diagnostic-tier", "key-of-preview-tier", "key-without-identity", "key-derived-upwards",
    "key-of-other-epoch", "link-the-wrong-way", "key-of-other-package", "key-guessable",
)  # fmt: skip


@dataclass(frozen=True)
class _Form:
    """What is read of every package: its header, and how each section begins and ends."""

    header: PackageHeader
    beginnings: tuple[bytes, ...]
    endings: tuple[bytes, ...]


def form_checks(release: Release, identity: Opener, made: Iterable[MadeOf] = ()) -> tuple[FormCheck, ...]:
    """All checks on a release.

    Args:
        release: nothing is written to it.
        identity: somebody who opens all of it; her keys are tried where they must not fit.
        made: what packages were made of, as far as that is known.

    Raises:
        IntegrityError: a package is damaged or missing.
        NoFittingKeyError: the identity opens nothing.
    """
    manifest = release.manifest
    ring = release.access_of(identity).ring
    coding = Coding(release.codec(ring), manifest.profile)
    forms = [_form(release.folder, entry) for entry in manifest.packages]
    known = {one.package: one for one in made}
    origins = [known.get(entry.package) for entry in manifest.packages]
    return (
        _fresh(forms, manifest),
        *value_checks(_values(forms, manifest), origins, (manifest.release, manifest.owner)),
        *_bytes_and_pairs(release, forms, coding, ring),
        *_folder(release, forms),
        *_lengths(forms, manifest, coding),
        *_refused(release, identity),
    )


def _form(folder: Path, entry: PackageEntry) -> _Form:
    try:
        with (folder / entry.path).open("rb") as file:
            header, start = parse_header(file.read(_HEAD))
            beginnings, endings = [], []
            for _, length in header.sections:
                file.seek(start)
                beginnings.append(file.read(min(_BLOCK, length)))
                start += length
                file.seek(start - min(_BLOCK, length))
                endings.append(file.read(min(_BLOCK, length)))
    except OSError:
        raise IntegrityError(f"package {entry.package.hex()} cannot be read") from None
    return _Form(header, tuple(beginnings), tuple(endings))


def _values(forms: Sequence[_Form], manifest: Manifest) -> dict[str, dict[int, bytes]]:
    """Everything in the open that has to be random, by its kind and the place of the package."""
    values: dict[str, dict[int, bytes]] = defaultdict(dict)
    for place, (form, entry) in enumerate(zip(forms, manifest.packages, strict=True)):
        values["package ids"][place], values["salts"][place] = form.header.package, form.header.salt
        for number, (section, _) in enumerate(form.header.sections):
            if number < len(entry.commitments):
                values[f"key commitments, {section.value}"][place] = entry.commitments[number]
            if manifest.level.clear(section) or section in manifest.level.shown:
                continue
            for kind, blocks in (("first", form.beginnings), ("last", form.endings)):
                if len(blocks[number]) == _BLOCK:
                    values[f"{kind} blocks, {section.value}"][place] = blocks[number]
    return values


def _fresh(forms: Sequence[_Form], manifest: Manifest) -> FormCheck:
    """Nothing repeats that was to be drawn or derived anew."""
    blocks = [
        block
        for form in forms
        for (section, _), block in zip(form.header.sections, form.beginnings, strict=True)
        if len(block) == _BLOCK and not manifest.level.clear(section)
    ]
    kinds = {
        "package ids": _repeated(form.header.package for form in forms),
        "salts": _repeated(form.header.salt for form in forms),
        "key commitments": _repeated(one for entry in manifest.packages for one in entry.commitments),
        "first blocks of sections": _repeated(blocks),
    }
    told = [f"{count} of {total} {name}" for name, (count, total) in kinds.items()]
    sound = all(not count for count, _ in kinds.values())
    return FormCheck("nothing-repeats", "Nothing repeats between packages", f"Not unique: {_listed(told)}.", sound)


def _repeated(values: Iterable[bytes]) -> tuple[int, int]:
    """How many values are there more than once, and of how many."""
    counts = Counter(values)
    return sum(count for count in counts.values() if count > 1), counts.total()


def _bytes_and_pairs(release: Release, forms: Sequence[_Form], coding: Coding, ring: KeyRing) -> list[FormCheck]:
    """Uniform bytes of each kind of section, ids and salts; and sealed codes in pairs."""
    manifest, level = release.manifest, release.manifest.level
    kinds: dict[str, Evenness] = defaultdict(Evenness)
    groups: dict[tuple[Section, Bucket], Group] = defaultdict(Group)
    for form in forms:
        kinds["package ids"].take(form.header.package)
        kinds["salts"].take(form.header.salt)
    compared, streams = 0, list[bytes]()
    for index in _evenly(len(forms), _SAMPLED):
        package = load_package(release.folder, manifest.packages[index], manifest)
        for section, data in package.sections.items():
            if level.clear(section):
                continue
            bucket = package.header.bucket
            room = _SHIFTED_BYTES - sum(map(len, streams))
            if section not in level.shown:
                kinds[f"{section.value} sections"].take(data)
                streams += [data[:room]] if room > 0 else []
                continue
            fits = len(data) == level.length(section, coding, bucket) and compared < _PAIRED_BYTES
            if fits and isinstance(code := level.read(section, data, coding, bucket), PublicCode):
                compared += len(data)
                kinds[f"{section.value} sections, signs and levels"].take(_masked(code))
                groups[section, bucket].take(code)
                if room > 0:
                    streams.append(_unmasked(package, section, code, ring, coding, level)[:room])
    found = [_even(name, kind) for name, kind in kinds.items()]
    return [*found, *(_pairs(list(groups.values())) if groups else []), shifted_streams(streams)]


def _unmasked(
    package: Package, section: Section, public: PublicCode, ring: KeyRing, coding: Coding, level: Level
) -> bytes:
    """The keystream of the levels of a code, which its owner knows; else the masked levels."""
    try:
        codes = PackageReader(package, level, coding).codes(ring)
    except IntegrityError:
        return public.levels
    code = codes.preview if section is Section.PREVIEW else codes.main
    return public.levels if code is None else level_keystream(public, code)


def _evenly(count: int, most: int) -> list[int]:
    return sorted({int(index) for index in np.linspace(0, count - 1, min(count, most))}) if count else []


def _masked(code: PublicCode) -> bytes:
    """The part that is uniform as bytes: whole bytes of masked signs, and levels. Supports are a code of their own."""
    signs = np.concatenate([np.empty(0, bool), *(each.signs for each in code.maps)])
    return np.packbits(signs[: len(signs) // 8 * 8]).tobytes() + code.levels


def _even(name: str, kind: Evenness) -> FormCheck:
    words, sound = kind.verdict()
    code = f"uniform-{name.split(',')[0].replace(' ', '-')}"
    return FormCheck(code, f"Uniform bytes: {name}", f"{words}.", sound, tried=kind.read > 0)


def _pairs(groups: Sequence[Group]) -> list[FormCheck]:
    cells, levels = Coincidence(), Coincidence()
    for group in groups:
        cells, levels = cells + shown_cells(group), levels + equal_levels(group)
    return [
        FormCheck(name, title, f"{found.words}.", found.ok, tried=found.pairs > 0)
        for name, title, found in (
            ("permutations-differ", "Cells that two sealed codes both show", cells),
            ("streams-differ", "Equal bytes of two masked level streams", levels),
        )
    ]


def _folder(release: Release, forms: Sequence[_Form]) -> list[FormCheck]:
    """Order, names, times, and files that nothing names."""
    folder, manifest = release.folder, release.manifest
    state = states.load(folder)
    ids = [entry.package for entry in manifest.packages]
    wrong = sum(form.header.package != package for form, package in zip(forms, ids, strict=True))
    order = FormCheck(
        "order-and-names", "Order and names follow the random ids",
        f"{_plural(len(ids), 'package')}, {'in' if ids == sorted(ids) else 'not in'} the order of their ids; "
        f"{wrong} under another name.", ids == sorted(ids) and not wrong,
    )  # fmt: skip
    named = {RECORD, SIGNATURE, *(entry.path for entry in manifest.packages), *state.files()}
    named |= {entry.path for entry in state.ledger.entries}
    files = [path for path in folder.rglob("*") if (path.is_symlink() or not path.is_dir()) and not is_junk(path)]
    beside = [name for path in files if (name := path.relative_to(folder).as_posix()) not in named]
    left = state.leftovers()
    foreign = sum(name not in left for name in beside)
    added = FormCheck(
        "no-other-files", "No file in the folder that the release does not name",
        f"{_plural(len(files), 'file')}; {foreign} that nothing names, {len(beside) - foreign} left by an interrupted "
        "change.", not beside, of_copy=True,
    )  # fmt: skip
    times = len({path.lstat().st_mtime_ns for path in files})
    told = f"{_plural(len(files), 'file')}, {_plural(times, 'distinct time')}"
    if times > 1:
        told += "; a copy that was made without keeping the times looks so too"
    return [order, added, FormCheck("file-times", "All files have one time", f"{told}.", times <= 1, of_copy=True)]


def _lengths(forms: Sequence[_Form], manifest: Manifest, coding: Coding) -> list[FormCheck]:
    """Lengths are those of the padding; how many there are in a size class tells packages apart, and is told."""
    lengths: dict[Section, dict[Bucket, list[int]]] = defaultdict(lambda: defaultdict(list))
    for form in forms:
        for section, length in form.header.sections:
            lengths[section][form.header.bucket].append(length)
    checks = []
    for section, classes in lengths.items():
        off = sum(
            not _allowed(section, bucket, length, manifest, coding)
            for bucket, every in classes.items()
            for length in every
        )
        different, members = max((len(set(every)), len(every)) for every in classes.values())
        told = f"{_plural(different, 'distinct length')} among {_plural(members, 'package')} of one size class"
        if different > 1:
            told += ": lengths tell packages apart"
        told += f"; {off} of no length that padding gives." if not manifest.level.clear(section) else "."
        checks.append(FormCheck(f"lengths-{section.value}", f"Lengths: {section.value} section", _first(told), not off))
    return checks


def _allowed(section: Section, bucket: Bucket, length: int, manifest: Manifest, coding: Coding) -> bool:
    if section in manifest.level.shown:
        return manifest.level.clear(section) or length == manifest.level.length(section, coding, bucket)
    grids = {Section.IMAGE: manifest.grids[0], Section.IDENTITY: manifest.grids[1]}
    if section in grids:
        return length > 0 and length % max(grids[section], 1) == 0
    step = _LEAST_STEP
    while step < length - TAG_BYTES:
        step += max(16, step // 32)
    return step == length - TAG_BYTES


def _refused(release: Release, identity: Opener) -> list[FormCheck]:
    """Keys that somebody holds, where they must not fit."""
    rows = refused_keys(release, identity)
    return [
        FormCheck(
            name,
            _first(row.what),
            f"{_first(row.outcome.value)}: {row.found}.",
            row.outcome is not Outcome.OPENED,
            tried=row.outcome is not Outcome.NOT_TRIED,
        )
        for name, row in zip(_KEYS, rows, strict=True)
    ]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}"


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
