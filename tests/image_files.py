"""Writing image files of every kind that medveil reads, from numpy arrays, with other people's libraries."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
LOSSLESS = [RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
LOSSY = [JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000]


def png(pixels, *, texts=(), dpi=None, **options):
    """A PNG file with these (keyword, text) pairs."""
    info = PngInfo()
    for keyword, text in texts:
        info.add_text(keyword, text)
    if dpi:
        options["dpi"] = dpi
    return _saved(pixels, "PNG", pnginfo=info, **options)


def jpeg(pixels, **options):
    return _saved(pixels, "JPEG", **options)


def tiff(pixels, **options):
    return _saved(pixels, "TIFF", **options)


def _saved(pixels, form, **options):
    buffer = io.BytesIO()
    picture = pixels if isinstance(pixels, Pillow.Image) else Pillow.fromarray(pixels)
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def dataset(pixels, *, bits_stored=None, **attributes):
    """A CT data set with identity in standard, nested and private elements; keyword arguments override or add."""
    signed = pixels.dtype.kind == "i"
    allocated = 8 * pixels.dtype.itemsize
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID, data.StudyInstanceUID = "1.2.3.4.5.6", "1.2.3.4"
    data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.3.4.5", "1.2.3.9"
    data.StudyDate, data.StudyTime, data.Modality, data.Manufacturer = "20260102", "101112.13", "CT", "Maker"
    data.PatientName, data.PatientID = "Müller^Zoë", "ID-4711"
    data.PatientBirthDate, data.PatientSex, data.InstitutionName = "19700102", "F", "Sankt Ägidius"
    data.ReferringPhysicianName, data.AccessionNumber, data.StudyID = "Doc^Tor", "ACC9", "7"
    data.BodyPartExamined, data.SliceThickness, data.ViewPosition = "CHEST", "2.5", "PA"
    data.InstanceNumber, data.SeriesNumber = "3", "2"
    data.ImagePositionPatient, data.ImageOrientationPatient = [1.5, -2.25, 3], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.RescaleIntercept, data.RescaleSlope = [0.5, 0.25], "-1024", "1"
    data.WindowCenter, data.WindowWidth, data.WindowCenterWidthExplanation = "40", "400", "for Müller"
    inner, request = Dataset(), Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = "T-1", "99X", "Zoë's lung"
    request.RequestedProcedureDescription, request.RequestedProcedureCodeSequence = "look", Sequence([inner])
    data.RequestAttributesSequence = Sequence([request, Dataset()])
    block = data.private_block(0x0029, "MEDVEIL TEST", create=True)
    block.add_new(0x01, "LO", "private Müller")
    block.add_new(0x02, "SQ", Sequence([inner]))
    block.add_new(0x03, "OB", b"\1\2\3\4")
    block.add_new(0x04, "FD", [1.5, -2.5])
    data.add_new(0x60000010, "US", 4)
    data.add_new(0x60000011, "US", 4)
    data.add_new(0x60000100, "US", 1)
    data.add_new(0x60000102, "US", 0)
    data.add_new(0x60003000, "OW", b"\x0f\xf0")
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated, data.BitsStored = allocated, bits_stored or allocated
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(signed)
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    raw = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<")).tobytes()
    data.add_new(0x7FE00010, "OW", raw + b"\0" * (len(raw) % 2))
    return data


def dicom(pixels, syntax=ExplicitVRLittleEndian, *, bits_stored=None, **attributes):
    """A DICOM file of these pixels in this transfer syntax."""
    return encoded(dataset(pixels, bits_stored=bits_stored, **attributes), syntax, pixels)


def encapsulated(pixels, frame, syntax, *, bits_stored):
    """A DICOM file of an already compressed frame."""
    data = dataset(pixels, bits_stored=bits_stored)
    data.PixelData = encapsulate([frame])
    data["PixelData"].VR = "OB"
    return _written(_with_meta(data), syntax)


def _with_meta(data):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "SCANNER7"
    return FileDataset("", data, preamble=bytes(128), file_meta=meta)


def encoded(data, syntax, pixels=None):
    """A DICOM file of this data set in this transfer syntax."""
    whole = _with_meta(data)
    if syntax == RLELossless:
        whole.compress(syntax, encoding_plugin="pydicom", generate_instance_uid=False)
    elif syntax in (JPEGLSLossless, JPEGLSNearLossless):
        whole.compress(syntax, jls_error=2 * (syntax == JPEGLSNearLossless), generate_instance_uid=False)
    elif syntax in (JPEG2000Lossless, JPEG2000):
        options = {"j2k_cr": [10]} if syntax == JPEG2000 else {}
        whole.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False, **options)
    elif syntax == JPEGBaseline8Bit:
        whole.PixelData = encapsulate([jpeg(pixels, quality=90)])
        whole["PixelData"].VR = "OB"
    elif syntax in (JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit):
        return _by_gdcm(_written(whole, ExplicitVRLittleEndian), syntax)
    elif syntax == ExplicitVRBigEndian:
        for element in whole.iterall():
            if element.VR == "OW":
                element.value = np.frombuffer(element.value, "<u2").astype(">u2").tobytes()
    return _written(whole, syntax)


def _written(whole, syntax):
    whole.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dcmwrite(buffer, whole, enforce_file_format=True)
    return buffer.getvalue()


def _by_gdcm(data, syntax):
    import tempfile
    from pathlib import Path

    import gdcm

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.dcm"), Path(folder, "out.dcm")
        source.write_bytes(data)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(target))
        assert writer.Write()
        return target.read_bytes()


def png_of(header, body):
    """A PNG file of this IHDR data and these deflated rows."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def big_endian_tiff(pixels, description):
    """An uncompressed big endian TIFF file of 16-bit pixels."""
    import struct

    text = description.encode() + b"\0"
    strip = pixels.astype(">u2").tobytes()
    fields = [(256, 4, 1, pixels.shape[1]), (257, 4, 1, pixels.shape[0]), (258, 3, 1, 16 << 16), (259, 3, 1, 1 << 16)]
    fields += [(262, 3, 1, 1 << 16), (270, 2, len(text), 8 + len(strip)), (273, 4, 1, 8), (277, 3, 1, 1 << 16)]
    fields += [(278, 4, 1, pixels.shape[0]), (279, 4, 1, len(strip))]
    table = struct.pack(">H", len(fields)) + b"".join(struct.pack(">HHII", *field) for field in fields) + bytes(4)
    return struct.pack(">2sHI", b"MM", 42, 8 + len(strip) + len(text)) + strip + text + table


def channelled_tiff(samples, order="<", *, photometric=2, compressed=False, tile=None):
    """A TIFF file of samples (height, width, channels) of 8 or 16 bits, in one strip or in square tiles.

    Compressed means deflated after horizontal differencing (predictor 2).
    """
    import struct
    import zlib

    height, width, channels = samples.shape
    parts = []
    side = tile or max(height, width)
    for top in range(0, height, side):
        for left in range(0, width, side):
            part = samples[top : top + side, left : left + side]
            if tile:
                missing = ((0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0))
                part = np.pad(part, missing)
            if compressed:
                part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
            raw = part.astype(part.dtype.newbyteorder(order)).tobytes()
            parts.append(zlib.compress(raw) if compressed else raw)
    bits, kind = 8 * samples.dtype.itemsize, {"II": "<", "MM": ">"}
    places, position = [], 8
    for part in parts:
        places.append(position)
        position += len(part)
    many = [places, [len(part) for part in parts]]
    fields = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [8 if compressed else 1])}
    fields |= {262: (3, [photometric]), 277: (3, [channels])}
    fields |= {322: (4, [side]), 323: (4, [side]), 324: (4, many[0]), 325: (4, many[1])} if tile else {
        273: (4, many[0]), 278: (4, [height]), 279: (4, many[1])
    }  # fmt: skip
    if compressed:
        fields[317] = (3, [2])
    if channels % 2 == 0:
        fields[338] = (3, [2])
    table, values = struct.pack(order + "H", len(fields)), b""
    beyond = position + 2 + 12 * len(fields) + 4
    for tag, (form, numbers) in sorted(fields.items()):
        raw = struct.pack(f"{order}{len(numbers)}{'I' if form == 4 else 'H'}", *numbers)
        if len(raw) > 4:
            place = struct.pack(order + "I", beyond + len(values))
            values += raw
        else:
            place = raw.ljust(4, b"\0")
        table += struct.pack(order + "HHI", tag, form, len(numbers)) + place
    name = next(name for name, one in kind.items() if one == order).encode()
    head = name + struct.pack(order + "HI", 42, position)
    return head + b"".join(parts) + table + bytes(4) + values
