"""Targets: whole packages of a hostile owner, the records of images of every kind, and a learned codec's weights."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from tests.fuzz import cast, originals
from tests.fuzz.codes import _bytes, _integer
from tests.fuzz.containers import split
from tests.fuzz.target import Bound, Target

from medveil import images
from medveil.codecs.code import Bucket
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError, MedveilError
from medveil.files import canonical
from medveil.images import formats
from medveil.images.image import FileKind, Image
from medveil.keys.tiers import EpochKeys, KeyRing, Section, Tier
from medveil.protection import padding
from medveil.protection.encrypting import TAG_BYTES, encrypt
from medveil.protection.levels import level_of
from medveil.releases.packages import unpacking
from medveil.releases.packages.package import Package, PackageHeader, parse_header
from medveil.releases.packages.packing import entry_of

_FEWER, _FOREIGN = 2, 3  # in place of a depth: an entry with fewer commitments than sections, another owner's keys
_OTHER_RING = KeyRing.whole({0: EpochKeys(Tier.EXACT, cast.key("others"), cast.key("others"))})


def _package_seeds(protection: str) -> list[bytes]:
    found = []
    for package, profile in cast.packages(protection):
        head = package.header
        sides = [head.bucket.height, head.bucket.width]
        found.append(canonical.dumps([sides, profile.deep, 0, cast.contents(package), head.package + head.salt]))
    one = canonical.loads(found[0], what="seed", limit=1 << 24)
    wrong = (canonical.dumps([one[0], deep, *one[2:]]) for deep in (_FEWER, _FOREIGN))
    return [*found, *(canonical.dumps([*one[:2], lowered, *one[3:]]) for lowered in (1, 2)), *wrong]


def _package(data: bytes, bound: Bound, protection: str) -> None:
    """A package whose sections, sealed under good keys, hold what the input says; opened to the very file."""
    sides, deep, lowered, contents, place = split(data, 5)
    if not isinstance(sides, list) or len(sides) != 2 or not isinstance(contents, dict):
        raise IntegrityError("an input of another form")
    bucket = cast.bucket_of(*(_integer(side, 0, 1 << 20) for side in sides))
    bound.pixels = bucket.height * bucket.width
    sections = {section: _bytes(contents[section]) for section in Section if section.value in contents}
    package = _sealed(sections, bucket, protection, _bytes(place).ljust(32, b"\0")[:32])
    ring = cast.RING.lowered(list(Tier)[-_integer(lowered, 0, 2)])
    profile = cast.DEEP if deep == 1 else cast.PROFILE
    entry = entry_of(package, cast.RING)
    if deep == _FEWER:
        entry = dataclasses.replace(entry, commitments=entry.commitments[:-1])
    unpacking.check_commitments(package, entry, _OTHER_RING if deep == _FOREIGN else ring)
    if Section.ATTACHMENT in package.sections:
        unpacking.open_identity(package, ring)
        return
    opened = unpacking.PackageReader(package, level_of(protection), Coding(cast.lapped(), profile)).image(ring)
    _check(opened.image)
    cast.write_again(opened.image)


def _sealed(sections: dict[Section, bytes], bucket: Bucket, protection: str, place: bytes) -> Package:
    """As `packing` does it, with sections of any content."""
    public = {"sealed": (Section.PREVIEW, Section.CODE), "obfuscated": (Section.CODE,)}.get(protection, ())
    plain = {name: data if name in public else padding.to_steps(data) for name, data in sections.items()}
    lengths = tuple((name, len(data) + TAG_BYTES * (name not in public)) for name, data in plain.items())
    header = PackageHeader(cast.RELEASE, 0, place[:16], place[16:], bucket, lengths)
    parse_header(header.to_bytes())
    return Package(
        header,
        {
            name: data
            if name in public
            else encrypt(data, cast.RING.key(header.place(name)), header.associated_data(name))
            for name, data in plain.items()
        },
    )


def _check(image: Image) -> None:
    low, high = image.value_range
    if image.pixels.dtype.str not in ("|u1", "<u2", "<i2") or not 8 <= image.bits_stored <= 16:
        raise AssertionError("pixels of another type than any image")
    if image.pixels.size and not (low <= image.pixels.min() and image.pixels.max() <= high):
        raise AssertionError("pixels beyond their depth")


@cache
def _images(kind: FileKind) -> list[Image]:
    """The images of this kind in the seeds that are read."""
    found = cast.read_images(kind)
    for data in originals.seeds(kind):
        with contextlib.suppress(MedveilError):
            image = formats._read(data)
            found += [image] * (image.source.kind is kind)
    return found


def _record_seeds(kind: FileKind) -> list[bytes]:
    found = []
    for number, image in enumerate(_images(kind)):
        for identity in (image.source.identity_record, b""):
            found.append(canonical.dumps([number, *images.records(image, cast.key("tags"))[:1], identity]))
    return found


def _records(data: bytes, bound: Bound, kind: FileKind) -> None:
    """Pixel record and identity record of a kind of file, beside the pixels of one of the seeds."""
    number, pixel_record, identity_record = split(data, 3)
    image = _images(kind)[_integer(number, 0, 255) % len(_images(kind))]
    bound.pixels = image.pixels.size
    found = images.restore(image.pixels, image.bits_stored, kind, _bytes(pixel_record), _bytes(identity_record))
    _check(found)
    _ = images.suffix(found), cast.write_again(found), images.warnings(found)
    images.records(found, cast.key("tags"))
    if identity_record:
        formats.sealed_instance(kind, _bytes(pixel_record), _bytes(identity_record))
    if identity_record and formats.instance(found) is not None:
        formats.records(
            formats.tagged(found, cast.key("tags"), repeats=True), cast.key("tags"), pseudonyms=number % 2 == 0
        )


@cache
def _primis() -> Any:
    from medveil.codecs.primis.codec import PrimisCodec, shipped_weights

    codec = PrimisCodec(shipped_weights(4))
    return codec, codec.profile(quality_centidb=0, sparsity=None, deep=0)


def _primis_seeds() -> list[bytes]:
    from medveil.codecs import entropy

    codec, profile = _primis()
    padded = cast.plain_image(40, 48, 12, signed=True, padded=True)
    return [entropy.pack(codec.encode(image, profile, None)) for image in (cast.plain_image(40, 48, 8), padded)]


def _learned(data: bytes, bound: Bound) -> None:
    from medveil.codecs import entropy

    codec, profile = _primis()
    bound.pixels = 64 * 64
    coding, bucket = Coding(codec, profile), Bucket(64, 64)
    pixels = coding.decode(entropy.unpack(data, coding.max_cells(bucket)), bucket)
    if pixels.ndim != 2 or Bucket.of(*pixels.shape) != Bucket(64, 64):
        raise AssertionError("pixels of another shape than any image")


def _weights_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    from medveil.networks.primis import PrimisConfig, PrimisNetwork

    config = PrimisConfig(4, blocks=((16, 16),), bank_channels=(1, 2, 2))
    tensors = {name: value.to(torch.float16).contiguous() for name, value in PrimisNetwork(config).state_dict().items()}
    shapes = {name: list(value.shape) for name, value in tensors.items()}
    data = save(tensors)
    return [canonical.dumps([config_record(config), 1.0, shapes]), data[:200]]


def config_record(config: Any) -> dict[str, Any]:
    return {
        name: value.value if hasattr(value, "value") else _listed(value) for name, value in config.to_json().items()
    }


def _listed(value: Any) -> Any:
    return [_listed(each) for each in value] if isinstance(value, tuple | list) else value


def _weights(data: bytes, bound: Bound) -> None:
    """A weights file: of a configuration and tensors of shapes that the input states, or as it is."""
    import json

    import torch
    from safetensors.torch import save

    from medveil.codecs.primis.weights_file import parse_model

    try:
        config, step, shapes = split(data, 3)
        sizes = {str(name): [_integer(side, 0, 4096) for side in shape] for name, shape in shapes.items()}
        if sum(int(np.prod(size)) for size in sizes.values()) > 1 << 20:
            raise IntegrityError("an input of another form")
        tensors = {name: torch.zeros(size, dtype=torch.float16) for name, size in sizes.items()}
        data = save(tensors, metadata={"medveil-primis-1": json.dumps({"config": config, "step": step})})
    except (IntegrityError, TypeError, AttributeError, ValueError):
        pass
    parse_model(data)


def _on(function: Callable[[bytes, Bound, Any], None], argument: Any) -> Callable[[bytes, Bound], None]:
    return lambda data, bound: function(data, bound, argument)


TARGETS = (
    *(
        Target(f"package, {name}", _on(_package, name), lambda name=name: _package_seeds(name), share=1.5)
        for name in ("sealed", "encrypted", "obfuscated")
    ),
    *(
        Target(
            f"records of {kind.value}",
            _on(_records, kind),
            lambda kind=kind: _record_seeds(kind),
            share=5 if kind == "dicom" else 3,
        )
        for kind in FileKind
    ),
    Target("primis", _learned, _primis_seeds, is_record=False),
    Target("weights", _weights, _weights_seeds, share=0.7),
)
