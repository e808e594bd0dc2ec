"""anonymize: images to an open release. Everything is staged in `<out>.partial` and becomes the release in one rename.

What is random is drawn from one key of the run, which lies in the user's state folder (0600) until the release is there
and is then forgotten: with it a killed run goes on with the pictures that it had finished, and nothing in the staging
folder tells which image a picture was made of. A finished picture counts only with a stamp of that key beside it, since
others may be able to write there.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medveil import images
from medveil.anonymizers.anonymizer import Anonymizer, Candidate, Labels
from medveil.errors import (
    InputError,
    IntegrityError,
    RefusedError,
    TargetExistsError,
    UnsupportedInputError,
    UsageError,
)
from medveil.files import canonical, cells
from medveil.files.atomic import flush_tree, make_folder, move_all, remove_all, set_times, write_bytes
from medveil.images import BurnedIn, Image, Loss
from medveil.keys.identity import Identity
from medveil.protection.keystream import Keystream, derive, fresh_key
from medveil.releases.records import open_record, released
from medveil.releases.records.open_record import IMAGES, LABELS, OpenRecord
from medveil.releases.records.owner_records import today
from medveil.releases.records.pins import check_place
from medveil.releases.records.released import Released
from medveil.releases.records.state import MARK
from medveil.releases.settings import BURNED_IN, check_burned_in
from medveil.releases.workers import INPUT_ERRORS, Failure, done_by_workers
from medveil.releases.writing import staging as staged_files
from medveil.releases.writing.commit import midnight
from medveil.releases.writing.inputs import Input, check_text, check_unchanged, list_inputs
from medveil.releases.writing.staging import STAMP, staging_of, stamp, stamp_of

Progress = Callable[[int, int, str], None]
_LINK = ("image", "patient_id", "released")
_MOST_UNFIT = 0.25  # of the images, for a method that was made for others
_TIER = "public"  # in the message of new UIDs, where a tier stands otherwise


@dataclass(frozen=True)
class Row:
    """What a manifest says of an image: whose it is, what only images of one group may share, the labels that are to
    be published, and the one of the column `label`.
    """

    patient: str = ""
    classes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    label: str = ""


@dataclass
class AnonymizeResult:
    """What `anonymize` did.

    Attributes:
        pictures: pictures that were released.
        images: images that they were made of.
        left_out: images that the method has no use for, such as a second one of a patient.
        unchanged: pictures that an earlier run had finished.
        skipped: files that are not meant to be read.
        failed: one entry an input that could not be used.
        warnings: (input number, what to know of it).
        bytes: length of the release.
        epsilon: of the whole picture, the largest, for a method with differential privacy.
        spent: the most ε for m pixels that was spent on one image by all releases that this machine knows of.
        repeated: images that were released before, which `again` let through.
        doubled: images that are there more than once, which `again` let through.
        inputs: where each input is, by its number; for the list in the state folder alone.
    """

    pictures: int = 0
    images: int = 0
    left_out: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    bytes: int = 0
    epsilon: Fraction = Fraction(0)
    spent: Fraction = Fraction(0)
    repeated: int = 0
    doubled: int = 0
    inputs: dict[int, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class _Examiner:
    method: Anonymizer
    owner: Identity
    burned_in: str


@dataclass(frozen=True)
class _Examined:
    input: Input
    tag: bytes = b""
    warnings: tuple[str, ...] = ()
    epsilon: Fraction = Fraction(0)
    failure: Failure | None = None
    unfit: bool = False


@dataclass(frozen=True)
class _Picture:
    """A picture that is to be released: its random name, and the inputs that it is made of."""

    name: str
    members: tuple[Input, ...]


@dataclass(frozen=True)
class _Painter:
    method: Anonymizer
    staging: Path
    run: _Run


@dataclass(frozen=True)
class _Painted:
    picture: _Picture
    path: str = ""
    digest: bytes = b""
    found: bool = False
    failure: Failure | None = None


def anonymize(
    inputs: list[Path], out: Path, link: Path, method: Anonymizer, *, owner: Identity,
    rows: Callable[[Sequence[Input]], Mapping[int, Row]], columns: tuple[str, ...] = (), again: bool = False,
    burned_in: str = BURNED_IN[0], jobs: int = 0, dry_run: bool = False, progress: Progress | None = None,
) -> AnonymizeResult:  # fmt: skip
    """Release pictures made of images, for everybody.

    Args:
        inputs: files and folders of images.
        out: the folder to make; it becomes the release.
        link: the private CSV file that says which picture was made of which images; outside of `out`.
        method: how pictures are made.
        owner: who signs.
        rows: what is known of the inputs, by their number.
        columns: names of the labels that travel, in the order of the rows' labels.
        again: release images again that this machine knows to have been released by a method with secret randomness,
            and those that are there twice.
        burned_in: `warn` of a DICOM file that may show text in its pixels, or `refuse` it; one that says that it does
            is refused in any case, since no method takes text out for certain.
        jobs: worker processes; 0 for one a core.
        dry_run: look at every image, and write nothing.
        progress: called as (done, total, text).

    Raises:
        UsageError: nothing found, these images don't do for the method, or it learns and has no model.
        TargetExistsError: something is at `out` or at `link`.
        RefusedError: an image was released before, or is there twice, and `again` does not say that it is meant.
        MedveilError: the system refused to write.
    """
    check_burned_in(burned_in)
    if method.learns and not method.model_digest:
        raise method.lacks_model()
    out, link = Path(os.path.realpath(out)), Path(os.path.realpath(link))
    staging = staging_of(out, "an open release")
    _check_places(out, link)
    tasks, failed, skipped = list_inputs(inputs, [], [out, staging, staged_files.lock_of(staging), link])
    result = AnonymizeResult(failed=failed, skipped=skipped)
    result.inputs = {task.number: str(task.path) for task in tasks}
    known = rows(tasks)
    run = _Run.of(staging, owner, method, tasks, known, columns)
    if os.path.lexists(link) and not run.begun:  # a run that was killed at its very end may have written it
        raise TargetExistsError("the link file is there already", hint="name a new file with --link")
    examined = _examine(tasks, _Examiner(method, owner, burned_in), jobs, result, progress)
    _check_memory(examined, method, owner, run.release, again=again, result=result)
    if not examined:
        return result
    if dry_run:
        _, groups = _groups(examined, known, method, Keystream(fresh_key(), "anonymize/groups"), jobs)
        _check_doubles(groups, examined, method, again=again, result=result)
        result.pictures, result.images = len(groups), len({place for group in groups for place in group})
        result.left_out = len(examined) - result.images
        return result
    with staged_files.held(staging, "open release"):
        run.begin(staging)
        method, groups = _groups(examined, known, method, Keystream(run.key, "anonymize/groups"), jobs)
        spends = _check_doubles(groups, examined, method, again=again, result=result)
        pictures = _named(groups, examined, Keystream(run.key, "anonymize/names"))
        painted = _paint(pictures, _Painter(method, staging, run), jobs, result, progress)
        if not painted:
            staged_files.clear(staging)
            return result
        result.left_out = len(examined) - len({member.number for picture in pictures for member in picture.members})
        labels = _label_rows(painted, known, method, columns)
        out_there = {member.number for each in painted for member in each.picture.members}
        tags = frozenset(each.tag for each in examined if each.input.number in out_there)
        memory = Released(method.name, method.draws, spends, tags)
        record = _record(painted, labels, method, owner, columns, run.release)
        top = len(inputs) == 1 and inputs[0].is_dir()  # then its own name is in no path
        linked = _link_rows(painted, known, method, run, within=top)
        result.bytes = _publish(staging, out, link, record, owner, labels, linked, memory)
        remove_all([run.journal])
    return result


def _check_places(out: Path, link: Path) -> None:
    if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
        raise TargetExistsError("the output is there already", hint="name a new folder with -o; nothing was touched")
    if out == link or out in link.parents:
        raise UsageError(
            "the link file would lie in the release, for everybody to read", hint="name a place of your own with --link"
        )
    if not link.parent.is_dir():
        raise UsageError("the folder of the link file is not there", hint="make it first, or name another with --link")
    staged_files.refuse_inside_release(out)
    staged_files.refuse_inside_release(link)


def _examine(
    tasks: list[Input], examiner: _Examiner, jobs: int, result: AnonymizeResult, progress: Progress | None
) -> list[_Examined]:
    found, unfit = [], 0
    for count, each in enumerate(done_by_workers(_examined, examiner, tasks, jobs), start=1):
        unfit += each.unfit
        if each.failure is not None:
            result.failed.append(each.failure)
        else:
            found.append(each)
            result.warnings.extend((each.input.number, text) for text in each.warnings)
            result.epsilon = max(result.epsilon, each.epsilon)
        if progress is not None:
            progress(count, len(tasks), "examined")
    if unfit > _MOST_UNFIT * len(tasks):
        raise UsageError(
            f"{unfit} of {len(tasks)} images are unlike those that the model was learned from",
            hint=examiner.method.how_to_learn(),
        )
    return found


def _examined(examiner: _Examiner, given: Input) -> _Examined:
    try:
        image = _read(given)
        check_text(image, examiner.burned_in)
        if images.text_in_pixels(image) is BurnedIn.YES:
            raise UnsupportedInputError(
                "the file says that text is burned into its pixels (Burned In Annotation); it is never released openly",
                hint="have the text taken out, and state that there is none",
            )
        tag = released.tag_of(image, examiner.owner)
        try:
            examiner.method.check(image)
        except UnsupportedInputError as error:
            return _Examined(given, failure=Failure.of(given.number, given.path, error), unfit=True)
        return _Examined(given, tag, tuple(images.warnings(image)), examiner.method.epsilon_of(image))
    except INPUT_ERRORS as error:
        return _Examined(given, failure=Failure.of(given.number, given.path, error))


def _check_memory(
    examined: Sequence[_Examined], method: Anonymizer, owner: Identity, own: bytes, *, again: bool,
    result: AnonymizeResult,
) -> None:  # fmt: skip
    """Look at what was released before; raise RefusedError where this would be a second release of an image."""
    tags = frozenset(each.tag for each in examined)
    try:
        earlier = released.known(owner, but=own)
    except IntegrityError:
        if not again:
            raise
        earlier = []
    before = frozenset().union(*(release.images for release in earlier if release.secret))
    result.repeated = len(tags & before)
    result.spent = released.spent(earlier, tags) + method.spends
    if method.draws and result.repeated and not again:
        raise RefusedError(
            f"{result.repeated} of the images were released before by a method with secret randomness: two pictures of "
            "one image tell more of it than each by itself",
            hint="leave them out, or say with --again that it is meant",
        )


def _check_doubles(
    groups: Sequence[tuple[int, ...]], examined: Sequence[_Examined], method: Anonymizer, *, again: bool,
    result: AnonymizeResult,
) -> Fraction:  # fmt: skip
    """Raise RefusedError where one image, as two files of the same pixels, would go into the release twice.

    Returns:
        the most ε for m pixels that this release spends on one image.
    """
    copies = Counter(examined[place].tag for place in {place for group in groups for place in group})
    most = max(copies.values(), default=1)
    if method.draws:
        result.doubled = sum(count > 1 for count in copies.values())
        result.spent += (most - 1) * method.spends
    if result.doubled and not again:
        raise RefusedError(
            f"{result.doubled} of the images are there more than once, as files of the same pixels: two pictures of "
            "one image tell more of it than each by itself",
            hint="take out the copies, or say with --again that it is meant",
        )
    return most * method.spends


@dataclass(frozen=True)
class _Run:
    """One run, which a later one of the same request goes on with.

    Attributes:
        key: of all that is random in it.
        journal: the file in the user's state folder in which it is kept meanwhile.
        request: digest of what was asked for.
        begun: whether an earlier run left it.
    """

    key: bytes = field(repr=False)
    journal: Path
    request: bytes
    begun: bool

    @classmethod
    def of(
        cls, staging: Path, owner: Identity, method: Anonymizer, tasks: Sequence[Input], known: Mapping[int, Row],
        columns: tuple[str, ...],
    ) -> _Run:  # fmt: skip
        """The run that was begun with this request, or a new one, of which nothing is written yet."""
        from platformdirs import user_state_path

        request = hashlib.sha256(canonical.dumps([
            method.name, {name: str(value) for name, value in method.stated.items()}, method.model_digest,
            list(columns),
            [[task.relative, task.sha256] for task in tasks],
            [[number, row.patient, list(row.classes), list(row.labels), row.label]
             for number, row in sorted(known.items())],
        ])).digest()  # fmt: skip
        place = hashlib.sha256(os.fsencode(staging) + owner.recipient.verify_key).hexdigest()
        journal = user_state_path("medveil", appauthor=False) / "anonymizing" / place
        try:
            wanted, key = canonical.loads(journal.read_bytes(), what="key of a run")
            if wanted == request and isinstance(key, bytes) and len(key) == len(fresh_key()):
                return cls(key, journal, request, True)
        except (OSError, IntegrityError, ValueError, TypeError):
            pass
        return cls(fresh_key(), journal, request, False)

    @property
    def release(self) -> bytes:
        """The id of the release."""
        return derive(self.key, b"medveil/v1/anonymize/id")[:16]

    def begin(self, staging: Path) -> None:
        """Keep the key, and clear what a run of another request left."""
        if self.begun:
            return
        staged_files.clear(staging)
        try:
            make_folder(self.journal.parent, mode=0o700)
        except OSError as error:
            raise staged_files.refused(error, "state folder") from None
        write_bytes(self.journal, canonical.dumps([self.request, self.key]), mode=0o600, overwrite=True)

    def key_of(self, picture: _Picture) -> bytes:
        """The key of all that is random in one picture: another one where the same name is made of other images, as
        when an input cannot be used any more that an interrupted run had used.
        """
        made_of = [picture.name, *([member.relative, member.sha256] for member in picture.members)]
        return derive(self.key, b"medveil/v1/anonymize/picture/" + hashlib.sha256(canonical.dumps(made_of)).digest())


def _groups(
    examined: Sequence[_Examined], known: Mapping[int, Row], method: Anonymizer, stream: Keystream, jobs: int
) -> tuple[Anonymizer, list[tuple[int, ...]]]:
    """The method after it has seen images, and for each picture the places in `examined` of its images."""
    rows = [known.get(each.input.number, Row()) for each in examined]
    if method.needs_patients and not all(row.patient for row in rows):
        lacking = sum(not row.patient for row in rows)
        raise UsageError(
            f"{method.name} has to know whose an image is; {lacking} of {len(rows)} images have no row in a manifest",
            hint="name a CSV file with the columns image and patient_id by --manifest",
        )
    candidates = [Candidate(row.patient, row.classes, label=row.label) for row in rows]
    if method.fitted_on:
        drawn = stream.permutation(len(examined))[: method.fitted_on]
        method = method.fit(images.read_apart(examined[int(number)].input.path) for number in drawn)
        features = done_by_workers(_feature, method, [each.input.path for each in examined], jobs)
        pairs = zip(candidates, features, strict=True)
        candidates = [replace(one, feature=feature) for one, feature in pairs]
    return method, method.groups(candidates, stream)


def _feature(method: Anonymizer, path: Path) -> NDArray[np.float32] | None:
    return method.feature(images.read_apart(path))


def _named(groups: Sequence[tuple[int, ...]], examined: Sequence[_Examined], stream: Keystream) -> list[_Picture]:
    """The pictures under random names, in the order of these: so their order says nothing either."""
    named = [_Picture(stream.bytes(16).hex(), tuple(examined[place].input for place in group)) for group in groups]
    return sorted(named, key=lambda picture: picture.name)


def _paint(
    pictures: Sequence[_Picture], painter: _Painter, jobs: int, result: AnonymizeResult, progress: Progress | None
) -> list[_Painted]:  # fmt: skip
    make_folder(painter.staging / IMAGES)
    wanted = {picture.name for picture in pictures}
    kept = {path for path in (painter.staging / IMAGES).iterdir() if path.name.partition(".")[0] in wanted}
    remove_all(path for path in (painter.staging / IMAGES).iterdir() if path not in kept)
    found = []
    for count, painted in enumerate(done_by_workers(_painted, painter, pictures, jobs), start=1):
        if painted.failure is not None:
            result.failed.append(painted.failure)
        else:
            found.append(painted)
            result.unchanged += painted.found
        if progress is not None:
            progress(count, len(pictures), "released")
    result.pictures = len(found)
    result.images = len({member.number for each in found for member in each.picture.members})
    return found


def _painted(painter: _Painter, picture: _Picture) -> _Painted:
    """Make one picture and write it, or find it written; every error of an input becomes a Failure.

    Raises:
        MedveilError: the folder cannot be written.
    """
    key = painter.run.key_of(picture)
    there = _finished(painter, picture, key)
    if there is not None:
        return there
    first = picture.members[0]
    try:
        members = [_read(member) for member in picture.members]
        made = painter.method.apply(members, derive(key, b"method"))
        image = images.public(made, members if painter.method.redraws else ())
        loss = Loss(1.0, f"MEDVEIL_{painter.method.name}")
        data = images.to_file_bytes(image, loss=loss, uid_key=derive(key, b"uids"), tier=_TIER)
        _check_written(data, image)
    except INPUT_ERRORS as error:
        return _Painted(picture, failure=Failure.of(first.number, first.path, error))
    path = f"{IMAGES}/{picture.name}{images.suffix(image)}"
    write_bytes(painter.staging / path, data, overwrite=True)
    write_bytes(stamp_of(painter.staging / path), stamp(data, key), overwrite=True)
    return _Painted(picture, path, hashlib.sha256(data).digest())


def _read(member: Input) -> Image:
    image = images.read_apart(member.path)
    check_unchanged(member)
    return image


def _check_written(data: bytes, image: Image) -> None:
    """What was written is read again before it counts."""
    again = images.read_bytes(data)
    if again.frames.shape != image.frames.shape or (again.frames != image.frames).any():
        raise InputError("its picture does not come back from the file that was written of it")


def _finished(painter: _Painter, picture: _Picture, key: bytes) -> _Painted | None:
    """A picture of an interrupted run, if it is whole and ours."""
    for path in (painter.staging / IMAGES).glob(f"{picture.name}.*"):
        if path.suffix == STAMP or path.is_symlink() or not stamp_of(path).is_file():
            continue
        data = path.read_bytes()
        if hmac.compare_digest(stamp_of(path).read_bytes(), stamp(data, key)):
            name = f"{IMAGES}/{path.name}"
            return _Painted(picture, name, hashlib.sha256(data).digest(), found=True)
    return None


def _label_rows(
    painted: Sequence[_Painted], known: Mapping[int, Row], method: Anonymizer, columns: tuple[str, ...]
) -> bytes:  # fmt: skip
    """`labels.csv`; nothing where no labels travel."""
    if not columns:
        return b""
    rows, none = [("image", *columns)], Row(labels=("",) * len(columns))
    for each in painted:
        values = zip(*(known.get(member.number, none).labels for member in each.picture.members), strict=True)
        rows.append((each.path.removeprefix(f"{IMAGES}/"), *(joined(value, method.labels) for value in values)))
    return _csv(rows)


def joined(values: Sequence[str], labels: Labels) -> str:
    """One label of a picture, of those of its images.

    >>> joined(["b", "a", "a"], Labels.MERGED), joined(["b", "a"], Labels.MIXED), joined(["a"], Labels.KEPT)
    ('a|b', 'a:0.5|b:0.5', 'a')
    """
    if labels is Labels.KEPT:
        return values[0]
    counts = sorted(Counter(values).items())
    if labels is Labels.COMMON:
        return values[0] if len(counts) == 1 else ""
    if labels is Labels.MERGED:
        return "|".join(value for value, _ in counts)
    return "|".join(f"{value}:{count / len(values):.4g}" for value, count in counts)


def _link_rows(
    painted: Sequence[_Painted], known: Mapping[int, Row], method: Anonymizer, run: _Run, *, within: bool
) -> bytes:
    """`link.csv`: which image became which picture, by its path below what was given; and a key that undoes it.

    No cell is a formula to a spreadsheet; `cells.restored` gives back what it was.
    """
    rows = [(*_LINK, "key") if method.undone_by_key else _LINK]
    for each in painted:
        own = derive(run.key_of(each.picture), b"method")
        for member in each.picture.members:
            path = member.relative.partition("/")[2] if within else member.relative
            patient = known.get(member.number, Row()).patient
            row = (cells.neutral(path), cells.neutral(patient), each.path)
            rows.append((*row, own.hex()) if method.undone_by_key else row)
    return _csv(sorted(rows[1:]), rows[0])


def _publish(
    staging: Path, out: Path, link: Path, record: OpenRecord, owner: Identity, labels: bytes, linked: bytes,
    memory: Released,
) -> int:  # fmt: skip
    """Sign what is staged, write the private files, and give the release its name; all of it, or nothing.

    Returns:
        the bytes of the release, all of which were read again.
    """
    try:
        remove_all(sorted((staging / IMAGES).glob(f"*{STAMP}")))
        named = {path.removeprefix(f"{IMAGES}/") for path in record.pictures}
        remove_all(path for path in (staging / IMAGES).iterdir() if path.name not in named)
        if labels:
            write_bytes(staging / LABELS, labels, overwrite=True)
        write_bytes(staging / open_record.RECORD, record.to_bytes(), overwrite=True)
        write_bytes(staging / open_record.SIGNATURE, record.signature(owner), overwrite=True)
        size = open_record.check_files(staging, open_record.load(staging), passing=(MARK,))
        flush_tree(staging)
        set_times([*staging.rglob("*"), staging], midnight(record.created))
        if not (link.is_file() and link.read_bytes() == linked):
            write_bytes(link, linked, mode=0o600)
        try:
            released.remember(owner, record.release, memory)
            if out.exists():
                out.rmdir()
            move_all([(staging, out)])
        except BaseException:
            if not (out / open_record.RECORD).exists():  # else it has its name: what belongs to it must stay
                remove_all([link])
                released.forget(owner, record.release)
            raise
        remove_all([out / MARK])
        set_times([out], midnight(record.created))
        check_place(record.release, record.owner, out, vouched=True, named=True)
        return size
    except OSError as error:
        raise staged_files.refused(error, "open release") from None


def _record(
    painted: Sequence[_Painted], labels: bytes, method: Anonymizer, owner: Identity, columns: tuple[str, ...],
    release: bytes,
) -> OpenRecord:  # fmt: skip
    files = {each.path: each.digest for each in painted}
    if labels:
        files[LABELS] = hashlib.sha256(labels).digest()
    return OpenRecord(
        release, owner.recipient.verify_key, today(), version("medveil"), method.name, method.stated, files,
        columns, method.model_digest,
    )  # fmt: skip


def _csv(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows] if header else rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
