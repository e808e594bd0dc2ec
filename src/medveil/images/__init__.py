"""Grey images at their own bit depth, read from and written to the files of the clinic and of research.

Data. `read(path)` or `read_bytes` looks at the content, never at the suffix, and gives an `Image`: frames of integer
pixels as stored (today one grey frame, whose plane is `.pixels`), depth, spacing, scales, and its `Source`. Where keys
are held, `read_apart` has the file decoded in a process without any (`decoder_process`).
`records(image, tag_key)` splits what else the file held in two: the pixel record, which travels with the pixels, and
the identity record, which is for those with identity. `restore` makes an image of decoded pixels and records, and
`to_file_bytes` a file of the kind that went in (JPEG: PNG); `public` is an image
with what everybody may know of it. `intensity` brings stored values of any depth to grey
values 0 … 255.

Import from `medveil.images`, as `__all__` lists it; other rooms don't need the modules. `formats` chooses the module of
a file: `png`, `jpeg`, `tiff`, `nifti`, or `dicom/`. `bounds` holds the limits, `colour_form` grey pictures in the form
of coloured ones, `burned_in` what a DICOM file says of text in its pixels.

What holds:
- With exact pixels and both records every attribute comes back; with the pixel record alone no name, date, UID or free
  text.
- A file is read right, or refused by its kind and a reason in words. An oddity that leaves one reading is mended and
  said: `warnings(image)`.
- A size is checked before memory is taken for it. Decoders of others run within `bounds.walled`, or in a process of
  their own; share and audit, which hold keys, run none of them on files that others made.
- No message holds a value from a file. pydicom is imported here and in `datasets` only.

To add a kind of file: a module with `read`, `restore` and `write`, a member of `FileKind`, and its lines in `formats`.
An attribute that is to travel without identity: `dicom/attributes.py` or `dicom/acquisition.py`; tests/images holds it
against table E.1-1 of PS3.15.
"""

from medveil.images.burned_in import BurnedIn
from medveil.images.decoder_process import read_apart
from medveil.images.dicom.records import Instance
from medveil.images.formats import (
    colour_profile,
    instance,
    is_inverted,
    labelled,
    labels_of,
    patient_of,
    public,
    public_words,
    read,
    read_bytes,
    records,
    restore,
    same_attributes,
    sealed_instance,
    suffix,
    tagged,
    text_in_pixels,
    to_file_bytes,
    unit,
    warnings,
    written_instance,
)
from medveil.images.image import FileKind, Image, Source, pixel_type
from medveil.images.lossy_marking import Loss

__all__ = [
    "BurnedIn",
    "FileKind",
    "Image",
    "Instance",
    "Loss",
    "Source",
    "colour_profile",
    "instance",
    "is_inverted",
    "labelled",
    "labels_of",
    "patient_of",
    "pixel_type",
    "public",
    "public_words",
    "read",
    "read_apart",
    "read_bytes",
    "records",
    "restore",
    "same_attributes",
    "sealed_instance",
    "suffix",
    "tagged",
    "text_in_pixels",
    "to_file_bytes",
    "unit",
    "warnings",
    "written_instance",
]
