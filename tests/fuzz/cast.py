"""Who and what the seeds are made of: fixed keys, small pictures, and packages that medveil itself packed."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

from medveil import images
from medveil.codecs import registry
from medveil.codecs.code import Bucket, Codec, Profile
from medveil.images.image import FileKind, Image, Source
from medveil.keys.identity import Identity
from medveil.keys.tiers import EpochKeys, KeyRing, Tier
from medveil.protection.levels import level_of
from medveil.releases.packages.origin import Origin
from medveil.releases.packages.package import Package
from medveil.releases.packages.packing import PackingPlan, pack_image

RELEASE = bytes(range(16))
UID_KEY = b"u" * 32


def key(name: str) -> bytes:
    """32 bytes that are the same in every run."""
    return hashlib.sha256(name.encode()).digest()


OWNER = Identity(key("owner"), hybrid=False)
READER = Identity(key("reader"), hybrid=False)
HYBRID = Identity(key("hybrid"))
KEYS = EpochKeys(Tier.EXACT, key("exact"), key("identity"))
RING = KeyRing.whole({0: KEYS})
PROFILE = Profile("lapped", 3800)
DEEP = Profile("lapped", 4000, deep=1)


@cache
def lapped() -> Codec:
    return registry.get_codec("lapped")


def picture(height: int, width: int, bits: int, *, signed: bool = False, seed: int = 0) -> NDArray[np.generic]:
    """A smooth picture with some texture."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    shape = np.sin(rows / 9) + np.cos(columns / 7) + 0.1 * generator.standard_normal(rows.shape)
    grey = np.round((shape - shape.min()) / np.ptp(shape) * ((1 << bits) - 1)).astype(np.int64)
    if signed:
        return (grey - (1 << (bits - 1))).astype(np.int16)
    return grey.astype(np.uint8 if bits == 8 else np.uint16)


def plain_image(height: int, width: int, bits: int, *, signed: bool = False, padded: bool = False) -> Image:
    """An image without attributes; `padded`: with a corner of padding pixels."""
    pixels = picture(height, width, bits, signed=signed).copy()
    low = int(pixels.min())
    pixels[: height // 3, : width // 3] = low if padded else pixels[: height // 3, : width // 3]
    return Image.of_pixels(pixels, bits, Source(FileKind.PNG, b""), padding=(low, low) if padded else None)


@cache
def files() -> dict[FileKind, list[bytes]]:
    """Files of every kind that medveil reads."""
    from tests import image_files as make

    eight, sixteen = picture(40, 48, 8), picture(40, 48, 16)
    twelve, signed = picture(40, 48, 12), picture(40, 48, 12, signed=True)
    texts = [("Patient", "Ada"), ("Comment", "x" * 40)]
    return {
        FileKind.PNG: [make.png(eight, texts=texts, dpi=(100, 120)), make.png(sixteen)],
        FileKind.JPEG: [make.jpeg(eight, quality=90, dpi=(72, 72), comment=b"Ada")],
        FileKind.TIFF: [
            make.tiff(eight, compression="tiff_deflate", resolution=80.0, description="Ada"),
            make.tiff(sixteen, dpi=(30, 30)), make.big_endian_tiff(sixteen, "Ada"),
        ],
        FileKind.DICOM: [
            make.dicom(twelve, bits_stored=12), make.dicom(signed, bits_stored=12, PixelPaddingValue=-2000),
            make.dicom(eight), make.dicom(twelve | 0x4000, bits_stored=12),
        ],
        FileKind.NIFTI: [_nifti(eight, False), _nifti(picture(40, 48, 16, signed=True), True)],
    }  # fmt: skip


def _nifti(pixels: NDArray[np.generic], zipped: bool) -> bytes:
    import gzip

    import nibabel

    data = nibabel.Nifti1Image(pixels.T[:, :, None], np.diag([0.5, 0.5, 2, 1])).to_bytes()
    return gzip.compress(data, mtime=0) if zipped else data


@cache
def read_images(kind: FileKind) -> list[Image]:
    """The images in `files` of a kind."""
    from medveil.images import formats

    return [formats._read(data) for data in files()[kind]]


def plan(protection: str, profile: Profile = PROFILE, *, keep_file: bool = True) -> PackingPlan:
    """How packages are packed here, with all tiers where the protection has them."""
    tiers = (Tier.DIAGNOSTIC,) if protection == "obfuscated" else tuple(Tier)
    return PackingPlan(RELEASE, 0, level_of(protection), profile, tiers, (64, 128), keep_file, key("tags"), RING)


@cache
def packages(protection: str) -> list[tuple[Package, Profile]]:
    """Packages of one image of every kind."""
    found = []
    for kind in FileKind:
        image, file = read_images(kind)[0], files()[kind][0]
        profile = DEEP if image.bits_stored > 8 else PROFILE
        origin = Origin(f"a/{kind.value}", hashlib.sha256(file).digest())
        found.append((pack_image(image, origin, plan(protection, profile), lapped(), file)[0], profile))
    return found


def contents(package: Package) -> dict[str, bytes]:
    """What is in the encrypted sections of a package, without padding; the others as they are."""
    from medveil.errors import IntegrityError
    from medveil.protection import padding
    from medveil.releases.packages.unpacking import decrypted

    found = {}
    for section, data in package.sections.items():
        try:
            found[section.value] = padding.remove(decrypted(package, section, RING))
        except IntegrityError:  # a sealed or an obfuscated code
            found[section.value] = data
    return found


def write_again(image: Image) -> bytes:
    """The file that opening the image gives."""
    loss = images.Loss(ratio=2.0, method="MEDVEIL_LAPPED")
    _ = images.to_file_bytes(image, loss=None, uid_key=UID_KEY, tier="exact")
    return images.to_file_bytes(image, loss=loss, uid_key=UID_KEY, tier="diagnostic")


def bucket_of(height: int, width: int) -> Bucket:
    """A bucket that is not larger than what one input may take time for."""
    return Bucket(64 * max(1, height // 64 % 9), 64 * max(1, width // 64 % 9))
