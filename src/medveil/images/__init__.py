"""Grey images at their own bit depth, read from and written to the files of the clinic and of research."""

from medveil.images.dicom.records import Instance
from medveil.images.image import FileKind, Image, Source, pixel_type
from medveil.images.kinds import (
    colour_profile,
    instance,
    read,
    read_bytes,
    records,
    restore,
    same_attributes,
    sealed_instance,
    suffix,
    tagged,
    to_file_bytes,
    warnings,
)
from medveil.images.loss import Loss

__all__ = [
    "FileKind",
    "Image",
    "Instance",
    "Loss",
    "Source",
    "colour_profile",
    "instance",
    "pixel_type",
    "read",
    "read_bytes",
    "records",
    "restore",
    "same_attributes",
    "sealed_instance",
    "suffix",
    "tagged",
    "to_file_bytes",
    "warnings",
]
