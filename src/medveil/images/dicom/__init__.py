"""DICOM files: single grey images in every common transfer syntax; they go out as Explicit VR Little Endian."""
