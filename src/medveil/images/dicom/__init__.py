"""DICOM files: single grey images in every common transfer syntax; they go out as Explicit VR Little Endian.

Data. `reader.read` makes an `Image` of a file's bytes: `parser` reads the data set, every length bounded, and mends
what leaves one reading; `pixels` and `compressed` get the stored values out. `records.seal` splits the attributes into
the pixel record and the identity record; `records.restore` goes back, `type2_attributes` adds what the standard asks of
an image whose patient may not be known, `identity_fields` new UIDs and a pseudonym, and `writer.write` makes the file.

Import: only `medveil.images.formats` does; other rooms import `medveil.images`.

What holds:
- An attribute is identity unless `attributes` or `acquisition` says that it travels; `terms` and `codes` say which
  values may.
- A UID never travels: it is a tag under a key, and a new UID of the recipient's own comes out.
- gdcm decodes in a process of its own (`gdcm_process`).

To add an attribute that travels: `attributes` (with the pixels) or `acquisition` (how it was taken), with a range or
its defined terms. A transfer syntax: `transfer_syntax`, and its decoder in `compressed`.
"""
