"""Grey images at their own bit depth, read from and written to the files of the clinic and of research."""

from medveil.images.image import FileKind, Image, Source, pixel_type
from medveil.images.kinds import (
    colour_profile,
    read,
    read_bytes,
    records,
    restore,
    same_attributes,
    suffix,
    to_file_bytes,
    warnings,
)
from medveil.images.loss import Loss

__all__ = [
    "FileKind",
    "Image",
    "Loss",
    "Source",
    "colour_profile",
    "pixel_type",
    "read",
    "read_bytes",
    "records",
    "restore",
    "same_attributes",
    "suffix",
    "to_file_bytes",
    "warnings",
]
