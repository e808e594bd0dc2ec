"""ShareSettings: one request to `share`, and the release-wide choices that follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medveil.codecs.code import Codec, Profile
from medveil.codecs.coding import Coding
from medveil.errors import MedveilError, TargetExistsError, UsageError
from medveil.images import FileKind, Instance
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient, Wrap
from medveil.keys.tiers import Tier
from medveil.keys.wrapping import wrap
from medveil.protection.levels import LEVELS, level_of
from medveil.registry import unknown
from medveil.releases.label_file import NO_LABELS, GivenLabels
from medveil.releases.packages.origin import Origin, common_part, pack_identity
from medveil.releases.records.ledger import MAX_OWNERS
from medveil.releases.records.owner_records import GrantNote, OwnerBook
from medveil.releases.writing.depth import Depth, Form, Forms, chosen_quality

DEFAULT_QUALITY_DB = 40.0
QUALITY_RANGE_DB = (30.0, 50.0)
BURNED_IN = ("warn", "refuse")
RASTER_STEPS = (64, 128)  # bytes, for image and identity sections
DICOM_STEPS = (2048, 4096)  # bytes; contract.md: identity to 4 KiB; any image record without lookup tables fits
MAX_GRID = 16_384  # bytes
PADDINGS = ("steps", "bucket")
"""Of exact sections and kept files: in steps of 3 per cent, or to the one length of their bucket."""
_OVERHEAD = 17  # padding mark and AEAD tag
_SPREAD = 8  # zlib's length differs by a few bytes with the digest


def check_burned_in(way: str) -> None:
    """Raise UsageError for a way with burned-in text that there is not."""
    if way not in BURNED_IN:
        raise unknown("way with burned-in text", way, BURNED_IN)


@dataclass(frozen=True)
class ShareSettings:
    """What the owner asked for.

    Attributes:
        to: recipients of the images, at the release's best tier unless `at` says otherwise.
        at: the tier of a recipient.
        identity: those of them who see names, dates and the other identity metadata as well.
        also_owners: who may open, grant, revoke and rotate as the owner does.
        tiers: tiers that the images are to have beside those that somebody is granted; `diagnostic` is always there.
        keep_file: seal the very file too, for who opens `exact` and sees identity.
        allow_classical: let classical keys receive a release made with a post-quantum key.
        allow_certificates: let X.509 certificates receive.
        protection: sealed, encrypted or obfuscated.
        codec: a registered name, or a folder that `medveil train` wrote.
        quality: target in dB, or None for the default.
        sparsity: nonzeros a code vector (primis), or None.
        decoys: decoys a code vector or map (obfuscated), 0 for as many as true nonzeros.
        min_quality: dB below which an image counts as failed, or None.
        max_rmse: RMSE in stored values above which an image counts as failed, or None.
        burned_in: `warn` of a DICOM file that does not rule out that text is burned into its pixels (it says that there
            is some, or is silent and of a kind that often has), or `refuse` it: it counts as failed.
        attach: files and folders that travel with the images, opened with identity only.
        labels: a labels file, of which `label_columns` travel with the images, to all recipients at every tier; see
            `label_file.labels_to_share`.
        label_columns: names of these columns.
        add: extend a release that is there.
        embed: put the codec's weights into the release; own ones are sealed.
        publish_weights: embed own weights for everybody to read.
        jobs: worker processes; 0 for one a core.
        dry_run: read everything, write nothing.
        pseudonyms: tell who sees no identity which DICOM images are of one patient.
        mixed_depth: let images of 8 bits and of more into one release.
        depth: of which of them are meant; None for all.
        rmse: error in modality units that the quality above 8 bits is chosen for, or None for the default.
        padding: of exact sections and kept files: one of `PADDINGS`; None for steps, or as the release has it.

    >>> ShareSettings(to=(alice.recipient,), quality=42).codec
    'lapped'
    """

    to: tuple[Recipient, ...] = ()
    at: Mapping[Recipient, Tier] = field(default_factory=dict)
    identity: tuple[Recipient, ...] = ()
    also_owners: tuple[Recipient, ...] = ()
    tiers: tuple[Tier, ...] = ()
    keep_file: bool = False
    allow_classical: bool = False
    allow_certificates: bool = False
    protection: str = "sealed"
    codec: str = "lapped"
    quality: float | None = None
    sparsity: int | None = None
    decoys: int = 0
    min_quality: float | None = None
    max_rmse: float | None = None
    burned_in: str = "warn"
    attach: tuple[str | Path, ...] = ()
    labels: str | Path | None = None
    label_columns: tuple[str, ...] = ()
    add: bool = False
    embed: bool = True
    publish_weights: bool = False
    jobs: int = 0
    dry_run: bool = False
    pseudonyms: bool = True
    mixed_depth: bool = False
    depth: Depth | None = None
    rmse: float | None = None
    padding: str | None = None

    def check(self) -> None:
        """Raises UsageError where the request contradicts itself."""
        for kind, name, known in (
            ("protection", self.protection, LEVELS), ("padding", self.padding or PADDINGS[0], PADDINGS),
        ):  # fmt: skip
            if name not in known:
                raise unknown(kind, name, known)
        check_burned_in(self.burned_in)
        level = level_of(self.protection)
        receiving = {recipient.text for recipient in self.to}
        if any(recipient.text not in receiving for recipient in self.identity):
            raise UsageError(
                "--identity names a recipient who is not granted the images", hint="name the same file with --to too"
            )
        if any(not recipient.verify_key for recipient in self.also_owners):
            raise UsageError(
                "--also-owner names a key that cannot sign", hint="use the .pub file that medveil keygen wrote"
            )
        if len(self.also_owners) >= MAX_OWNERS:
            raise UsageError(f"{len(self.also_owners)} further owners; {MAX_OWNERS - 1} at most can be named")
        if not level.tiered and self.release_tiers != (Tier.DIAGNOSTIC,):
            raise UsageError(
                f"protection {self.protection} has one tier, since its public part shows the code to everybody",
                hint="leave out =TIER, --tiers and --keep-file, or share with --protection sealed",
            )
        if self.quality is not None and self.sparsity is not None:
            raise UsageError("--quality and --sparsity are two ways to ask for the same; give one")
        if self.quality is not None and not QUALITY_RANGE_DB[0] <= self.quality <= QUALITY_RANGE_DB[1]:
            low, high = QUALITY_RANGE_DB
            raise UsageError(f"--quality {self.quality:g} dB; {low:g} to {high:g} dB are possible")
        if self.rmse is not None and (self.quality is not None or self.rmse <= 0):
            raise UsageError(
                f"--rmse {self.rmse:g}: an error above 0, and not beside --quality", hint="--rmse chooses the quality"
            )
        if self.decoys and level.decoys is None:
            raise UsageError(f"--decoys has a meaning with --protection obfuscated only, not {self.protection}")
        self._check_labels()
        if self.jobs < 0:
            raise UsageError(f"--jobs {self.jobs}; 1 or more are possible, 0 means one a core")

    def _check_labels(self) -> None:
        if (self.labels is None) != (not self.label_columns):
            raise UsageError(
                "--labels and --label-columns go together: the file, and the columns of it that everybody may read who "
                "opens the images",
                hint="such as --labels labels.csv --label-columns label,view",
            )

    @property
    def release_tiers(self) -> tuple[Tier, ...]:
        """The tiers that the images of a new release have, best first."""
        wanted = {Tier.DIAGNOSTIC, *self.tiers, *self.at.values(), *([Tier.EXACT] if self.keep_file else [])}
        return tuple(tier for tier in Tier if tier in wanted)

    @property
    def has_limits(self) -> bool:
        """Whether an image may fail for its quality, or for what its file says of text in the pixels."""
        return self.min_quality is not None or self.max_rmse is not None or self.burned_in != BURNED_IN[0]

    @property
    def limits(self) -> str:
        """The limits as text, to be compared with those of an unfinished share."""
        refused = f" {self.burned_in}" if self.burned_in != BURNED_IN[0] else ""
        return f"{self.min_quality} {self.max_rmse}{refused}"

    def check_same(self, book: OwnerBook, owner: Identity, labels: bytes, *, there: bool = False) -> None:
        """Raises TargetExistsError when a release or unfinished share was made with other settings.

        With `add`, settings that were left at their defaults are those of the release, and labels those of the images
        that are added.

        Args:
            book: of the release, or of the unfinished share.
            owner: whose it is.
            labels: digest of the labels that the images are to have, see `GivenLabels`.
            there: it is a release.
        """
        manifest = book.manifest
        asked: dict[str, object] = {"protection": self.protection, "codec": _codec_name(self.codec)}
        found: dict[str, object] = {"protection": manifest.protection, "codec": manifest.profile.codec}
        if self.sparsity is not None:
            asked["sparsity"], found["sparsity"] = self.sparsity, manifest.profile.sparsity
        elif manifest.profile.quality_centidb and not (self.add and self.quality is None):
            chosen = book.settings.get("rmse")
            if chosen is None or self.quality is not None:
                asked["quality"], found["quality"] = _centidb(self.quality), manifest.profile.quality_centidb
            if self.rmse is not None:
                asked["rmse"], found["rmse"] = f"{self.rmse:g}", chosen
        if self.decoys or not self.add:
            asked["decoys"], found["decoys"] = self.decoys, manifest.decoys
        if not self.add:  # the tiers of what is added are those of the release
            asked["labels"], found["labels"] = labels, book.settings.get("labels", NO_LABELS.digest)
            asked["tiers"], found["tiers"] = self.release_tiers, manifest.tiers
            asked["keep-file"], found["keep-file"] = self.keep_file, bool(book.settings.get("keep_file"))
            asked["pseudonyms"], found["pseudonyms"] = self.pseudonyms, book.settings.get("pseudonyms", self.pseudonyms)
        if self.padding is not None or not self.add:
            asked["padding"], found["padding"] = self.padding or PADDINGS[0], padding_of(book)
        if self.add and not set(self.release_tiers) <= set(manifest.tiers):
            asked["tiers"], found["tiers"] = self.release_tiers, manifest.tiers
        if self.add and not self.pseudonyms:
            asked["no-pseudonyms"], found["no-pseudonyms"] = True, not book.settings.get("pseudonyms")
        asked |= {"owners and recipients (medveil grant adds some)": True}
        found |= {"owners and recipients (medveil grant adds some)": self._same_people(book, owner)}
        if self.add:
            unstated = {"protection": "sealed", "codec": "lapped"}
            asked = {name: value for name, value in asked.items() if unstated.get(name) != value}
        _refuse_other([name for name in asked if asked[name] != found[name]], there=there)

    def _same_people(self, book: OwnerBook, owner: Identity) -> bool:
        """Whether the request names those whom the release was made for; with `add`, some who may open it now."""
        notes = [note for note in (book.grants if self.add else book.first) if not note.only]
        owners = {note.recipient.text for note in notes if note.is_owner}
        asked = {owner.recipient.text, *(recipient.text for recipient in self.also_owners)}
        others = [recipient for recipient in self.to if recipient.text not in owners]
        if not self.add:
            named = {(r.text, self.tier_of(r), r in self.identity) for r in others}
            return asked == owners and named == {
                (note.recipient.text, note.tier, note.sees_identity) for note in notes if not note.is_owner
            }
        return asked <= owners and all(any(self._is_had(r, note) for note in notes) for r in others)

    def _is_had(self, recipient: Recipient, note: GrantNote) -> bool:
        """Whether a grant gives a recipient all that the request says of them."""
        sees = note.sees_identity or recipient not in self.identity
        return note.recipient.text == recipient.text and self.at.get(recipient, note.tier) is note.tier and sees

    def tier_of(self, recipient: Recipient) -> Tier:
        """The tier that a recipient is granted."""
        return self.at.get(recipient, self.release_tiers[0])

    def check_same_limits(self, book: OwnerBook, *, there: bool = False) -> None:
        """Raises TargetExistsError when a release or unfinished share had other limits, which its packages passed, or
        other wishes for the codec's weights.
        """
        others = ["--min-quality, --max-rmse or --burned-in"] if self.limits != book.settings.get("limits") else []
        others += ["--no-embed"] if self.embed != bool(book.settings.get("embed", self.embed)) else []
        if there and self.embed and self.has_own_weights:
            published = book.manifest.profile.weights in book.manifest.weights
            others += ["--publish-weights"] if self.publish_weights != published else []
        _refuse_other(others, there=there)

    @property
    def has_own_weights(self) -> bool:
        """Whether the codec has weights that did not come with medveil."""
        from medveil.codecs.registry import get_codec, is_shipped

        data = get_codec(self.codec).weights_bytes()
        return bool(data) and not is_shipped(hashlib.sha256(data).digest())


def padding_of(book: OwnerBook) -> str:
    """How exact sections and kept files of a release are padded: one of `PADDINGS`."""
    return str(book.settings.get("padding", PADDINGS[0]))


def check_recipient(recipient: Recipient, *, hybrid: bool, allow_classical: bool, allow_certificates: bool) -> None:
    """Refuse whom nothing can be granted, before anything is coded.

    Args:
        recipient: who is to receive.
        hybrid: whether the release was made with a post-quantum key.
        allow_classical, allow_certificates: what the owner allowed.

    Raises:
        UsageError: the kind of key has to be allowed first.
        KeyFileError: nothing can be wrapped for the key, which only trying tells of some.
    """
    if recipient.wrap is Wrap.CMS_RSA and not allow_certificates:
        raise UsageError(
            "an X.509 certificate receives only with --allow-certificates: its grant shows issuer and serial number",
            hint="prefer a key that medveil keygen made",
        )
    if hybrid and not recipient.wrap.post_quantum and not allow_classical:
        raise UsageError(
            f"key {recipient.fingerprint} is classical ({recipient.wrap.value}) and the release post-quantum: "
            "whoever records it today could open it with a quantum computer",
            hint="ask for a key made by medveil keygen, or accept that with --allow-classical",
        )
    wrap(b"", recipient)


def _refuse_other(names: list[str], *, there: bool = False) -> None:
    if names and there:
        raise TargetExistsError(
            f"the release that is there was made with other settings ({', '.join(names)})",
            hint="to add images to it, say --add and leave these out: they are the release's own; else share into a "
            "new folder. Nothing was touched",
        )
    if names:
        raise TargetExistsError(
            f"it was begun with other settings ({', '.join(names)})",
            hint="share into a new folder, or repeat the settings of the first time; an unfinished share can be "
            "dropped by deleting the folder that ends in .partial",
        )


@dataclass(frozen=True)
class Survey:
    """What the inputs have in common, before any of them is coded.

    Attributes:
        forms: depth, size class and unit of each image.
        dicom: an image is DICOM.
        image_bytes, identity_bytes: the longest image and identity section that they need.
        dictionary: colour profiles that several of them carry.
        instances: the DICOM objects that the files hold, by path.
        other: images that are not of the depth that was asked for; nothing else here is of them.
    """

    forms: Forms = field(default_factory=Forms)
    dicom: bool = False
    image_bytes: int = 0
    identity_bytes: int = 0
    dictionary: bytes = b""
    instances: Mapping[Path, Instance] = field(repr=False, default_factory=dict)
    other: frozenset[Path] = field(repr=False, default=frozenset())


def survey(inputs: list[tuple[Path, str]], depth: Depth | None = None, labels: GivenLabels = NO_LABELS) -> Survey:
    """Read every input, given as (path, relative path); one that cannot be read is reported when its turn comes.

    Args:
        inputs: of the request.
        depth: of which images are meant; None for all.
        labels: that the images are to have.
    """
    from medveil import images
    from medveil.files import canonical

    forms: dict[Path, Form] = {}
    other: set[Path] = set()
    dicom, longest = False, 0
    identities: list[tuple[Origin, bytes]] = []
    profiles: list[bytes] = []
    instances: dict[Path, Instance] = {}
    for path, relative in inputs:
        try:
            image = images.read_apart(path)
            image = images.labelled(image, dict(labels.of.get(path, ())), labels.patients.get(path, ""))
            image = images.tagged(image, bytes(32))
            found = images.instance(image)
            pixel_record, identity_record = images.records(image, bytes(32))
            form = Form.of(image)
        except MedveilError:
            continue
        if depth not in (None, form.depth):
            other.add(path)
            continue
        forms[path] = form
        if found is not None:
            instances[path] = found
        kind = image.source.kind
        dicom |= kind is FileKind.DICOM
        longest = max(longest, len(canonical.dumps([kind.value, image.bits_stored, pixel_record])))
        identities.append((Origin(relative, hashlib.sha256(relative.encode()).digest()), identity_record))
        profiles.append(images.colour_profile(image))
    dictionary = common_part(profiles)
    packed = max((len(pack_identity(*identity, dictionary)) for identity in identities), default=0)
    sizes = longest + _OVERHEAD, packed + _OVERHEAD + _SPREAD
    return Survey(Forms(forms), dicom, *sizes, dictionary, instances, frozenset(other))


def choose_profile(settings: ShareSettings, forms: Forms) -> tuple[Profile, float | None]:
    """The release's one profile, and the error in modality units that images above 8 bits are to have about.

    Raises:
        UsageError: an error was asked for, and there is nothing that it could be of; or depths are mixed.
    """
    from medveil.codecs.registry import get_codec

    codec, level = get_codec(settings.codec), level_of(settings.protection)

    def profile(quality: int, *, deep: bool) -> Profile:
        return codec.profile(quality_centidb=quality, sparsity=settings.sparsity, deep=int(deep))

    asked, deep = _centidb(settings.quality), forms.deep
    if not settings.mixed_depth and deep:
        forms.refuse_mixed(level, *(Coding(codec, profile(asked, deep=each)) for each in (False, True)))
    error = settings.rmse or (forms.default_error if settings.quality is None else None)
    found = profile(asked, deep=deep)
    if settings.rmse is not None and not (deep and found.quality_centidb):
        raise UsageError(
            "--rmse chooses the quality of images of more than 8 bits, with a codec that has one",
            hint="leave it out: --quality is for images of 8 bits, --sparsity for codec primis",
        )
    if error is None or not (deep and found.quality_centidb):
        return found, error
    return profile(chosen_quality(forms.of_depth(Depth.DEEP), level, codec, error), deep=True), error


def codec_for(codec: str, profile: Profile, weights: bytes | None) -> Codec:
    """The codec to code with: of a folder that the user named, else the profile's, with the release's own weights."""
    from medveil.codecs.registry import codec_of_profile, get_codec

    return get_codec(codec) if Path(codec).is_dir() else codec_of_profile(profile, weights)


def choose_grids(found: Survey) -> tuple[int, int]:
    """Padding of image and identity sections: so large that all sections of the first share have one length.

    The lengths are rounded up to a step and held below MAX_GRID, so that one image with a long record does not
    lengthen all; a longer record takes several steps, and that shows. contract.md pads identity to 4 KiB; a picture's
    identity is a path of some ten bytes, and 4 KiB a picture would cost 0.24 bits per pixel on the reference set, so a
    release that begins with pictures only has a finer step. That it holds DICOM shows for the release as a whole.
    """
    image_step, identity_step = DICOM_STEPS if found.dicom else RASTER_STEPS
    image = -(-max(1, min(found.image_bytes, MAX_GRID)) // image_step) * image_step
    identity = -(-max(1, min(found.identity_bytes, MAX_GRID)) // identity_step) * identity_step
    return image, identity


def _centidb(quality: float | None) -> int:
    return round(100 * (DEFAULT_QUALITY_DB if quality is None else quality))


def _codec_name(codec: str) -> str:
    from medveil.codecs.registry import get_codec

    return get_codec(codec).name
