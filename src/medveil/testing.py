"""For the tests of codecs, attacks, tasks, mechanisms and anonymizers of your own: one call each, on invented images.

    from medveil.testing import check_codec

    def test_mine():
        check_codec(MyCodec())

What comes with medveil goes through the same checks. They need no file, and seconds where nothing slow is checked. A
check that finds something raises CheckError, which is an AssertionError, and says what was asked and what came instead.
Passing says that a thing keeps to its interface and does what it is there for on easy images; it says nothing of its
worth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.anonymizer import Anonymizer, Candidate
from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.attack import Attack, Attacker, Effort, Goal, Guess, Knowledge
from medveil.audit.protocol import Round, RoundPlan, carry_out, plan_round
from medveil.audit.results import Sample
from medveil.audit.scores.attack_scores import run_attack
from medveil.codecs import entropy
from medveil.codecs.code import Bucket, Codec, Composition, Profile, SparseCode
from medveil.codecs.registry import get_codec
from medveil.errors import MedveilError, UsageError
from medveil.experiments.unit import Status, Unit
from medveil.images.image import FileKind, Image, Source
from medveil.images.intensity import grey_image
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Subject
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.weak_codes import Unprotected
from medveil.metrics.image_quality import psnr
from medveil.metrics.ranking import auc
from medveil.protection.keystream import Keystream
from medveil.protection.sealing import seal, unseal
from medveil.registry import NAME
from medveil.tasks.image_sets import ORIGINAL, Gallery, TaskImage
from medveil.tasks.task import Assignment, Task, TaskEffort, do_task

if TYPE_CHECKING:
    from medveil.tasks.results import TaskResult

_KEY, _OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
_SHAPES = ((64, 64), (50, 70))
_LARGE = (200, 150)  # several buckets wide and high, and none of their sizes
_DEEP_BITS = 12
_MIDDLE = 128.0
EFFORT = Effort(working=64, steps=40, batch=4, width=4, seed_bits=6, targets=16)
TASK_EFFORT = TaskEffort(
    seeds=1, classifier="resnet18", segmenter="unet", classify_side=16, segment_side=16, classify_epochs=3.0,
    segment_epochs=3.0, resamples=20, radiomics_images=100,
)  # fmt: skip


class CheckError(AssertionError):
    """Something does not do what its interface asks."""


def people(patients: int, visits: int = 1, side: int = 64) -> list[Subject]:
    """Invented pictures: a smooth field that is a patient's own, a little moved and with grain of its own each visit.

    >>> [(each.number, each.patient, each.picture.shape) for each in people(2, visits=2)][-1]
    (3, 1, (64, 64))
    """
    found: list[Subject] = []
    for patient in range(patients):
        for visit in range(visits):
            picture = _field(patient, visit, (side, side))
            found.append(Subject(len(found), patient, 0, grey_image(picture), picture))
    return found


def check_codec(codec: Codec, profile: Profile | None = None, *, least_db: float = 20.0) -> None:
    """Check a codec: its codes are well formed, pack, seal and come back; damaged ones end in medveil's own errors.

    Args:
        codec: made.
        profile: that it codes at; that of quality 40, or else of 16 nonzeros, unless another is given. Without one,
            images of 12 bits are coded as well, unless the codec has no profile for them.
        least_db: PSNR of smooth pictures that come back.

    Raises:
        CheckError: it does not do what `medveil.codecs.code.Codec` asks.

    >>> from medveil.codecs.registry import get_codec
    >>> check_codec(get_codec("lapped"))
    """
    _described(codec, {"successive": bool, "reproducible": bool, "vector_length": int}, words=())
    _ask(codec.vector_length >= 0, "vector_length is 0 or more", codec.vector_length)
    centidb, sparsity = (0, 16) if codec.vector_length else (4000, None)
    deep = None
    if profile is None:
        profile = codec.profile(quality_centidb=centidb, sparsity=sparsity, deep=0)
        with suppress(UsageError):
            deep = codec.profile(quality_centidb=centidb, sparsity=sparsity, deep=1)
    _ask(profile.codec == codec.name, f"a profile names the codec, {codec.name}", profile.codec)
    weights = codec.weights_bytes()
    digest = hashlib.sha256(weights).digest() if weights else b""
    _ask(profile.weights == digest, "a profile names the sha256 of the weights, if any", profile.weights.hex())
    whole, odd = (np.rint(_field(number, 0, shape)).astype(np.uint8) for number, shape in enumerate(_SHAPES))
    _check_picture(codec, profile, whole, least_db)
    _check_picture(codec, profile, odd, least_db)
    _check_picture(codec, profile, np.full_like(whole, 7), least_db)  # nothing to code
    _check_picture(codec, profile, np.rint(_field(2, 0, _LARGE)).astype(np.uint8), least_db)
    if deep is not None:
        top = (1 << _DEEP_BITS) - 1
        stored = np.rint(_field(3, 0, _SHAPES[1]) * (top / 255)).astype(np.uint16)
        _check_picture(codec, deep, stored, least_db, bits=_DEEP_BITS)
    _check_again(codec, profile, whole)


def check_attack(
    attack: Attack, breaks: Mechanism | None = None, *, effort: Effort = EFFORT, strong: Mechanism | None = None
) -> None:
    """Check an attack: what it says of itself, its guesses, and that it finds a leak where one is, and none elsewhere.

    Args:
        attack: made.
        breaks: a mechanism whose leak it finds (positive control). Without one, its form is checked on codes in the
            clear, and what it finds there is not judged; one that cannot work on these is not run.
        effort: what it may spend.
        strong: a mechanism that publishes nothing of an image (negative control); pure noise unless another is given.

    Raises:
        CheckError: it does not do what `medveil.attacks.attack.Attack` asks.

    >>> from medveil.attacks.registry import chosen_attacks
    >>> check_attack(chosen_attacks(["wrong-key"])[0])
    """
    _described(attack, {"trains": bool, "goal": Goal}, words=("title", "knows", "needs", "cost"))
    _ask(all(isinstance(need, Need) for need in attack.requires), "requires is of Need", attack.requires)
    plan = _plan()
    if breaks is None:
        trial = carry_out(plan, _in_the_clear(), effort)
        if unmet_need(attack.requires, trial.knowledge) is None:
            _run_twice(attack, trial)
    else:
        gained = _gain(attack, plan, breaks, effort)
        _ask(gained > 2, "a package tells it more than another one by two standard errors", gained)
        if strong is None:
            strong = _Noise(breaks)
    if strong is not None:
        gained = _gain(attack, plan, strong, effort)
        _ask(gained <= 3, "it finds nothing where nothing of the image is published", gained)


def check_task(task: Task, *, effort: TaskEffort = TASK_EFFORT) -> None:
    """Check a task: what it says of itself, its results, that it repeats them, and that it refuses what it can't do.

    It gets invented patients with a label and a mask, as they were and as an even grey.

    Args:
        task: made.
        effort: what it may spend.

    Raises:
        CheckError: it does not do what `medveil.tasks.task.Task` asks.

    >>> from medveil.tasks.radiomics import Radiomics
    >>> check_task(Radiomics())
    """
    _described(task, {}, words=("title", "needs", "measures", "cost"))
    images = [
        TaskImage(number, number, "invented", "PA", ("ill", "well")[number % 2], "", None, masked=True)
        for number in range(48)
    ]
    assignment = Assignment(_gallery(images), effort, seed=1)
    units = task.units(assignment)
    _ask(bool(units) and all(isinstance(unit, Unit) for unit in units), "there are units to be done", units)
    _ask(len({unit.key for unit in units}) == len(units), "each unit has a key of its own", [u.key for u in units])
    found = do_task(task, assignment)
    _ask(
        found.status is Status.DONE, "images with labels and masks are not refused", f"{found.status}: {found.refusal}"
    )
    _ask(bool(found.questions or found.agreements), "a task that was done has questions or agreements", found)
    _check_result(task, found, len(images))
    again = do_task(task, Assignment(_gallery(images), effort, seed=1))
    _ask(_values(again) == _values(found), "the same seed gives the same result", "another one")
    bare = [replace(image, label="", masked=False) for image in images[:1]]
    refused = do_task(task, Assignment(_gallery(bare), effort, seed=1))
    told = refused.status is Status.REFUSED and bool(refused.refusal)
    _ask(told, "one image without label and mask is refused by an InputError that says why", refused)


def check_mechanism(mechanism: Mechanism, *, keyed: bool = True) -> None:
    """Check a mechanism: what it shows is well formed, repeats itself under one key and opens with that key alone.

    Args:
        mechanism: made.
        keyed: whether what it shows depends on a key.

    Raises:
        CheckError: it does not do what `medveil.mechanisms.mechanism.Mechanism` asks.

    >>> from medveil.testing import people
    >>> from medveil.mechanisms.instance_encodings import LinearEncoding
    >>> check_mechanism(LinearEncoding(bytes(32)), keyed=False)
    """
    _ask(bool(NAME.fullmatch(mechanism.name)), "a name is of lower-case words with hyphens", mechanism.name)
    for subject in people(3, side=EFFORT.working):
        before = subject.image.pixels.copy()
        one, again, other = (mechanism.case_of(subject, key) for key in (_KEY, _KEY, _OTHER_KEY))
        _ask(np.array_equal(before, subject.image.pixels), "an image is left as it was", "changed pixels")
        _ask(_same(one.observation, again.observation), "one key publishes an image in one way", "another publication")
        if keyed:
            _ask(not _same(one.observation, other.observation), "another key shows other values", "the same ones")
        _check_observation(one.observation)
        opened = mechanism.open(one.observation, one.key)
        if opened is not None:
            _ask(_same(opened, one.code), "the key opens the true code", "another one")
            try:
                wrong = mechanism.open(one.observation, _OTHER_KEY)
            except MedveilError:
                wrong = None
            kept = wrong is None or not _same(wrong, one.code)
            _ask(kept or not keyed, "another key opens nothing", "the true code")


def check_anonymizer(method: Anonymizer) -> None:
    """Check a method of open release: what it says of itself, its settings, its groups and its pictures.

    Args:
        method: made, with its default settings or others.

    Raises:
        CheckError: it does not do what `medveil.anonymizers.anonymizer.Anonymizer` asks.

    >>> from medveil.anonymizers.registry import get_anonymizer
    >>> check_anonymizer(get_anonymizer("pixelate"))
    """
    _described(method, {"secret": bool, "redraws": bool}, words=("title", "promise", "source"))
    for setting in method.settings():
        _ask(bool(setting.about), "a setting says what it is", setting.name)
        default = float(setting.default) if isinstance(setting.default, Fraction) else setting.default
        _ask(setting.read(str(default)) == setting.default, "a default is allowed", setting.default)
    subjects = people(24, visits=2)
    images = [subject.image for subject in subjects]
    fitted = method.fit(images[: method.fitted_on])
    known = [Candidate(str(each.patient), (), fitted.feature(each.image)) for each in subjects]
    groups = fitted.groups(known, Keystream(_KEY, "check"))
    taken = [number for group in groups for number in group]
    _ask(bool(groups) and set(taken) <= set(range(len(known))), "groups are of the images that were given", groups)
    _ask(len(taken) == len(set(taken)), "an image is in one group at most", taken)
    members = [images[number] for number in groups[0]]
    before = [image.frames.copy() for image in members]
    one, again, other = (fitted.apply(members, key).pixels for key in (_KEY, _KEY, _OTHER_KEY))
    _ask(np.array_equal(one, again), "one key makes one picture of a group", "another one")
    drawn = any(len(group) > 1 for group in groups) or not np.array_equal(one, other)
    _ask(drawn == method.draws, "draws says whether a key or the choice of a group makes a difference", method.draws)
    left = all(np.array_equal(image.frames, frames) for image, frames in zip(members, before, strict=True))
    _ask(left, "images are left as they were", "changed pixels")
    if method.redraws:
        return
    deep = (images[0].pixels[:50].astype(np.uint16) << 4) + 1
    padded = Image.of_pixels(deep, 12, Source(FileKind.PNG, b""), padding=(1, 1))
    made = fitted.apply([padded], _KEY)
    same = made.pixels.shape == deep.shape and made.bits_stored == padded.bits_stored
    _ask(same, "size and depth stay, unless it redraws", (made.pixels.shape, made.bits_stored))
    _ask(made.padding is None, "no padding is left: where there is no data has a shape of its own", made.padding)


class _Noise(Mechanism):
    """Shows noise in the form of another mechanism."""

    name = "noise"

    def __init__(self, like: Mechanism) -> None:
        self._like = like
        self.space, self.in_place = like.space, like.in_place

    def publish(self, subject: Subject, key: bytes) -> Observation:
        flat = replace(subject, image=subject.image.with_pixels(np.full_like(subject.image.pixels, 128)),
                       picture=np.full_like(subject.picture, _MIDDLE))  # fmt: skip
        return self._like.publish(flat, key)

    def code_of(self, subject: Subject) -> SparseCode | None:
        return self._like.code_of(subject)


def _check_picture(
    codec: Codec, profile: Profile, pixels: NDArray[np.uint8 | np.uint16], least_db: float, bits: int = 8
) -> None:
    height, width = pixels.shape
    bucket, image = Bucket.of(height, width), Image.of_pixels(pixels, bits, Source(FileKind.PNG, b""))
    composition = codec.composition(profile, bucket)
    same = composition == codec.composition(profile, bucket)
    _ask(same, "a composition is a function of profile and bucket", "another one")
    room = codec.packed_bytes(profile, bucket)
    for budget in (None, room, composition):
        code = codec.encode(image, profile, budget)
        for each in code.maps:
            _check_cells(each.cells, each.positions, each.levels)
        if not isinstance(budget, Composition):
            packed = entropy.pack(code)
            _ask(budget is None or len(packed) <= room, f"a packed code has {room} bytes at most", len(packed))
            back = entropy.unpack(packed)
        else:
            cells = [each.cells for each in composition.maps]
            _ask([each.cells for each in code.maps] == cells, f"a sealed code has the cells {cells}", "others")
            back = unseal(seal(code, composition, _KEY), composition, _KEY)
        _ask(_same(back, code), "a code comes back as it was packed or sealed", "another one")
        opened = codec.decode(code, profile, bucket)
        form = opened.shape, opened.dtype
        _ask(form == (pixels.shape, pixels.dtype), f"pixels come back as {pixels.shape}, {pixels.dtype}", form)
        quality = psnr(pixels.astype(float), opened.astype(float), float((1 << bits) - 1))
        _ask(quality >= least_db, f"smooth pictures come back with {least_db:g} dB at least", f"{quality:.1f}")


def _check_again(codec: Codec, profile: Profile, pixels: NDArray[np.uint8]) -> None:
    """The same once more, and what comes of damaged side bytes."""
    bucket, image = Bucket.of(*pixels.shape), Image.of_pixels(pixels, 8, Source(FileKind.PNG, b""))
    code, again = (codec.encode(image, profile, None) for _ in range(2))
    _ask(_same(code, again), "one image has one code", "another one")
    one, other = (codec.decode(code, profile, bucket) for _ in range(2))
    _ask(np.array_equal(one, other), "one code has one picture", "another one")
    for side in (b"", code.side[:-1], code.side + b"\0", bytes(len(code.side)), b"\xff" * len(code.side)):
        _refuses(partial(codec.decode, SparseCode(code.maps, side), profile, bucket))


def _refuses(decode: Callable[[], object]) -> None:
    """Bytes that nobody wrote give a picture or an error of medveil, and no other error."""
    try:
        decode()
    except MedveilError:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no error of medveil
        _ask(False, "damaged side bytes end in an IntegrityError", type(error).__name__)


def _check_cells(cells: int, positions: NDArray[np.int64], values: NDArray[np.int32]) -> None:
    sound = len(positions) == len(values) and bool(np.all(np.diff(positions) > 0))
    inside = not len(positions) or (positions[0] >= 0 and positions[-1] < cells)
    _ask(sound and bool(inside), f"positions go up, are below {cells} cells, and each has a value", positions)
    integers = np.issubdtype(positions.dtype, np.integer) and np.issubdtype(values.dtype, np.integer)
    _ask(integers, "positions and values are integers", (positions.dtype, values.dtype))
    _ask(bool(np.all(values != 0)), "no value is zero", "a zero")


def _check_observation(seen: Observation) -> None:
    sides = (seen.bucket.height, seen.bucket.width)
    _ask(all(side % Bucket.STEP == 0 for side in sides), f"sides of a bucket are multiples of {Bucket.STEP}", sides)
    for each in (*seen.maps, *seen.revealed):
        _check_cells(each.cells, each.positions, each.values)
    _ask(0 <= seen.place <= 1, "place is 0 to 1", seen.place)
    _ask(seen.encoding is None or bool(np.isfinite(seen.encoding).all()), "an encoding is of finite numbers", "others")


def _plan() -> RoundPlan:
    everybody = people(22, visits=2, side=EFFORT.working)
    own = [each for each in everybody if each.patient < 14]
    return plan_round("check", own, [each for each in everybody if each.patient >= 14], len(own), 0.3, seed=5)


def _gain(attack: Attack, plan: RoundPlan, mechanism: Mechanism, effort: Effort) -> float:
    """By how many standard errors, in the figure that gains most, a package tells more than another one."""
    return max(_advantages(_run_twice(attack, carry_out(plan, mechanism, effort))), default=0.0)


def _run_twice(attack: Attack, trial: Round) -> Sample:
    """What it finds, once its guesses are sound and come again."""
    watched = _Watched(attack, trial.tested[0].case.subject.picture.shape)
    first = run_attack(watched, trial)
    _ask(not first.refusal, "an attack is not refused where its leak is", first.refusal)
    _ask(watched.opinions > 0, "some guess has an opinion on something", "None")
    second = run_attack(attack, trial)
    same = all(np.array_equal(first.values[each], second.values[each], equal_nan=True) for each in first.values)
    _ask(same, "the same knowledge and seed give the same guesses", "others")
    return first


def _in_the_clear() -> Mechanism:
    """The code of codec lapped, for everybody to see."""
    codec = get_codec("lapped")
    profile = codec.profile(quality_centidb=4000, sparsity=None, deep=0)
    return Unprotected(PublicCodec(codec, profile, fixed=False, working=EFFORT.working), CodeCache())


class _Watched:
    """An attack whose guesses are checked."""

    def __init__(self, attack: Attack, shape: tuple[int, ...]) -> None:
        self.name, self.title, self.goal, self.knows = attack.name, attack.title, attack.goal, attack.knows
        self.needs, self.requires, self.cost, self.trains = attack.needs, attack.requires, attack.cost, attack.trains
        self._attack, self._shape, self.opinions = attack, shape, 0

    def fit(self, knowledge: Knowledge) -> Attacker:
        self._attacker = self._attack.fit(knowledge)
        return self

    def predict(self, observation: Observation) -> Guess:
        guess = self._attacker.predict(observation)
        _check_guess(guess, self._shape)
        self.opinions += any(part is not None for part in (guess.picture, guess.support, guess.embedding))
        return guess


def _check_guess(guess: Guess, shape: tuple[int, ...]) -> None:
    _ask(isinstance(guess, Guess), "predict gives a Guess", type(guess).__name__)
    if guess.picture is not None:
        _ask(guess.picture.shape == shape, f"a picture is {shape}", guess.picture.shape)
        _ask(bool(np.isfinite(guess.picture).all()), "a picture is of finite numbers", "others")
    if guess.embedding is not None:
        sound = guess.embedding.ndim == 1 and bool(np.isfinite(guess.embedding).all())
        _ask(sound, "an embedding is a vector of finite numbers", guess.embedding.shape)
    for scores in guess.support or ():
        _ask(scores.ndim == 1 and not np.isnan(scores).any(), "support is a score for each cell of a map", scores.shape)


def _advantages(sample: Sample) -> Iterator[float]:
    """Advantage of each figure in standard errors."""
    for values in sample.values.values():
        gains = (values[:, 0] - values[:, 1])[np.isfinite(values).all(axis=1)]
        if len(gains) > 1:
            yield float(gains.mean() / max(gains.std(ddof=1) / len(gains) ** 0.5, 1e-9))
    if sample.pairs is not None and sample.pairs.same.any() and not sample.pairs.same.all():
        same = sample.pairs.same
        spread = (1 / (12 * same.sum()) + 1 / (12 * (~same).sum())) ** 0.5  # of a rank sum without any leak
        yield float((auc(sample.pairs.score, same) - 0.5) / spread)


def _gallery(images: Sequence[TaskImage]) -> Gallery:
    def original(number: int) -> NDArray[np.float32]:
        field = _field(number, 0, (48, 40)) + 60.0 * (number % 2) * _lungs()
        return np.asarray(np.clip(field - 20, 0, 255), np.float32)

    def grey(number: int) -> NDArray[np.float32]:
        return np.full((48, 40), _MIDDLE, np.float32)

    sets = {ORIGINAL: original, "grey": grey}
    return Gallery(images, sets, lambda number: _lungs())


def _lungs() -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:48, :40]
    return np.asarray(((rows - 24) / 16) ** 2 + ((columns - 20) / 12) ** 2 < 1)


def _check_result(task: Task, found: TaskResult, images: int) -> None:
    _ask(found.name == task.name, f"a result bears the task's name, {task.name}", found.name)
    for question in found.questions:
        _ask(0 < question.images <= images, f"at most the {images} images are tested", question.images)
        for cell in question.cells:
            _ask(question.metric in cell.values, f"each cell has the deciding metric, {question.metric}", cell.values)
            _ask(all(np.isfinite(each.mean) for each in cell.values.values()), "values are finite numbers", cell.values)
        raw = question.cell(ORIGINAL, ORIGINAL).values[question.metric].mean
        blank = [cell.values[question.metric].mean for cell in question.cells if cell.test == "grey"]
        _ask(bool(blank), "every set is tested", "grey is not")
        _ask(raw > max(blank), "the deciding metric is better for images than for an even grey", (raw, blank))
    for agreement in found.agreements:
        _ask(len(agreement.features) == len(agreement.icc), "each feature has its figures", len(agreement.icc))


def _values(found: TaskResult) -> Mapping[str, Any]:
    questions = {
        (question.name, cell.train, cell.test, name): value.mean
        for question in found.questions for cell in question.cells for name, value in cell.values.items()
    }  # fmt: skip
    return {"questions": questions, "agreements": [each.are.tobytes() for each in found.agreements]}


def _described(thing: object, types: Mapping[str, type], *, words: Sequence[str]) -> None:
    """What every registry entry says of itself."""
    name = getattr(thing, "name", None)
    _ask(isinstance(name, str) and bool(NAME.fullmatch(name)), "a name is of lower-case words with hyphens", name)
    for attribute, kind in types.items():
        value = getattr(thing, attribute, None)
        _ask(isinstance(value, kind), f"{attribute} is of type {kind.__name__}", value)
    for attribute in words:
        value = getattr(thing, attribute, None)
        _ask(isinstance(value, str) and bool(value.strip()), f"{attribute} says something in words", value)


def _field(patient: int, visit: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    own, now = np.random.default_rng([1, patient]), np.random.default_rng([2, patient, visit])
    rows, columns = np.mgrid[: shape[0], : shape[1]] / max(shape)
    rows, columns = rows + now.normal(0, 0.004), columns + now.normal(0, 0.004)
    field = np.zeros(shape)
    for _ in range(12):
        up, across, phase, weight = own.normal(0, 2), own.normal(0, 2), own.uniform(0, 7), own.uniform(0.3, 1)
        field += weight * np.sin(2 * np.pi * (up * rows + across * columns) + phase)
    return np.clip(_MIDDLE + 30 * field + now.normal(0, 2, shape), 0, 255).astype(np.float32)


def _same(one: Any, other: Any) -> bool:
    """Whether two codes, observations or parts of them are equal."""
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if is_dataclass(one):
        names = [each.name for each in fields(one)]
        return type(one) is type(other) and all(_same(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other)


def _ask(holds: bool, rule: str, found: object) -> None:
    if not holds:
        raise CheckError(f"{rule}; here it is {str(found)[:200]}")
