"""Who gets which attributes of a DICOM file, and that the owner gets every one of them back."""

import hmac
import io
import re
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from tests import image_files

from medveil import images
from medveil.errors import InputError
from medveil.images import Loss
from medveil.images.dicom.records import pixel_part

FILES = Path(pydicom.data.__file__).parent / "test_files"
NATIVE = ExplicitVRLittleEndian
LOSS = Loss(ratio=12.5, method="medveil-lapped")
CHANGED_BY_LOSS = {"SOPInstanceUID", "SeriesInstanceUID", "ImageType", "SourceImageSequence", "PixelData"}
CHANGED_BY_LOSS |= {"ReferencedSeriesSequence"}
CHANGED_BY_LOSS |= {f"LossyImageCompression{part}" for part in ("", "Ratio", "Method")}


def _opened(data):
    return pydicom.dcmread(io.BytesIO(data))


def _differences(first, second):
    """Keywords or tags of the elements that differ, sequences compared item by item."""
    found = set()
    for tag in {*first.keys(), *second.keys()}:
        name = pydicom.datadict.keyword_for_tag(tag) or str(tag)
        if tag.element == 0:
            continue
        if tag not in first or tag not in second:
            found.add(name)
        elif first[tag].VR == "SQ":
            if len(first[tag].value) != len(second[tag].value):
                found.add(name)
            for one, other in zip(first[tag].value, second[tag].value, strict=False):
                found |= {f"{name}.{inner}" for inner in _differences(one, other)}
        elif first[tag].value != second[tag].value:
            found.add(name)
    return found


@pytest.mark.parametrize("syntax", [pytest.param(one, id=one.name) for one in image_files.NATIVE])
def test_with_identity_an_exact_image_is_the_original(read, travel, write, ramp, syntax):
    data = image_files.dicom(ramp(bits=12), syntax, bits_stored=12)
    out = _opened(write(travel(read(data), identity=True)))
    original = _opened(data)
    differences = _differences(original, out)
    if syntax.is_implicit_VR:  # what an implicit file does not say is unknown bytes there and here
        assert {one for one in differences if "0029" not in one} == set()
    else:
        words = {"OverlayData", "PixelData"}  # pydicom leaves these as they stand in a big endian file
        assert differences == (set() if syntax.is_little_endian else words)
        assert out.get_item(0x60003000).value == b"\x0f\xf0"
        assert out.RequestAttributesSequence[0].RequestedProcedureCodeSequence[0].CodeMeaning == "Zoë's lung"
        assert out[0x0029, 0x1002].value[0].CodeValue == "T-1"
    assert out.PatientName == "Müller^Zoë"
    assert out.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert out.file_meta.SourceApplicationEntityTitle == "SCANNER7"
    assert out.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5.6"


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "693_J2KI.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "JPEG2000.dcm",
        "examples_overlay.dcm",
        "image_dfl.dcm",
    ],
)
def test_with_identity_files_of_other_makers_are_the_original(read, travel, write, name):
    data = (FILES / name).read_bytes()
    assert _differences(_opened(data), _opened(write(travel(read(data), identity=True)))) <= {"PixelData"}


@pytest.mark.filterwarnings("ignore:Failed to encode value:UserWarning")
@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 144", ["", "ISO 2022 IR 87"], "GB18030"])
def test_character_sets(read, travel, write, ramp, charset):
    name = {"ISO_IR 100": "Müller", "ISO_IR 144": "Люкceмбypг", "GB18030": "王^小东"}.get(str(charset), "Yamada=山田")
    data = image_files.dicom(ramp(), SpecificCharacterSet=charset, PatientName=name, InstitutionName="x")
    data = (
        data if charset != "ISO_IR 100" else image_files.dicom(ramp(), SpecificCharacterSet=charset, PatientName=name)
    )
    out = _opened(write(travel(read(data), identity=True)))
    assert _differences(_opened(data), out) == set()


def test_loss_changes_what_it_must_and_nothing_else(read, travel, write, ramp):
    data = image_files.dicom(ramp(bits=12), bits_stored=12, SmallestImagePixelValue=0, LargestImagePixelValue=4095)
    image = read(data)
    coarse = (image.pixels // 16 * 16).astype(np.uint16)
    out = _opened(write(travel(image, identity=True, pixels=coarse), loss=LOSS))
    assert _differences(_opened(data), out) == CHANGED_BY_LOSS | {"LargestImagePixelValue"}
    assert np.array_equal(out.pixel_array, coarse)
    assert out.LargestImagePixelValue == 4080
    assert out.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert (out.LossyImageCompression, out.LossyImageCompressionRatio) == ("01", 12.5)
    assert out.LossyImageCompressionMethod == "MEDVEIL_LAPPED"
    source = out.SourceImageSequence[0]
    assert (source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID) == (out.SOPClassUID, "1.2.3.4.5.6")
    assert out.SOPInstanceUID.startswith("2.25.")
    assert out.SOPInstanceUID.is_valid
    assert out.file_meta.MediaStorageSOPInstanceUID == out.SOPInstanceUID


def test_loss_is_added_to_earlier_loss(read, travel, write, ramp):
    earlier = pydicom.Dataset()
    earlier.ReferencedSOPInstanceUID = "1.2.9"
    data = image_files.dicom(
        ramp(),
        LossyImageCompression="01",
        LossyImageCompressionRatio="3.5",
        LossyImageCompressionMethod="ISO_10918_1",
        SourceImageSequence=[earlier],
    )
    out = _opened(write(travel(read(data), identity=True), loss=LOSS))
    assert list(out.LossyImageCompressionRatio) == [3.5, 12.5]
    assert list(out.LossyImageCompressionMethod) == ["ISO_10918_1", "MEDVEIL_LAPPED"]
    assert [item.ReferencedSOPInstanceUID for item in out.SourceImageSequence] == ["1.2.3.4.5.6", "1.2.9"]


# Type 1 and 2 attributes of the modules of a CT image that the original fills (PS3.3 A.3.3).
TYPE_1 = "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID Modality ImageType "
TYPE_1 += "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation "
TYPE_1 += "PixelData PixelSpacing ImageOrientationPatient ImagePositionPatient RescaleIntercept RescaleSlope"
TYPE_2 = "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName "
TYPE_2 += "StudyID SeriesNumber InstanceNumber Manufacturer KVP AcquisitionNumber SliceThickness PatientPosition "
TYPE_2 += "PositionReferenceIndicator"
PSEUDONYMS = ("PatientName", "PatientID")
DECLARES = "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence "
DECLARES += "LongitudinalTemporalInformationModified"
TRAVELS = "BodyPartExamined ViewPosition SliceThickness WindowCenter WindowWidth PatientOrientation"


def test_without_identity_only_what_belongs_to_the_pixels_is_left(read, travel, write, ramp):
    data = image_files.dicom(ramp(bits=12), bits_stored=12)
    image = read(data)
    raw = write(travel(image, identity=False))
    out = _opened(raw)
    assert np.array_equal(out.pixel_array, image.pixels)
    for keyword in TYPE_1.split():
        assert out[keyword].value not in ("", None, []), keyword
    known = {"SliceThickness": 2.5, "SeriesNumber": 2, "InstanceNumber": 3}
    assert {keyword: out[keyword].value for keyword in known} == known
    empty = [keyword for keyword in TYPE_2.split() if keyword not in (*known, *PSEUDONYMS)]
    assert [keyword for keyword in empty if out[keyword].value not in ("", None)] == []
    assert re.fullmatch("[A-Z2-7]{26}", out.PatientID)
    assert out.PatientName == out.PatientID
    travels = {*TYPE_1.split(), *TYPE_2.split(), *TRAVELS.split(), *DECLARES.split()}
    assert {element.keyword for element in out} <= travels
    assert out.PatientIdentityRemoved == "YES"
    for planted in ("Müller", "Zoë", "4711", "Ägidius", "SCANNER7", "private", "Doc^Tor", "20260102"):
        assert planted.encode() not in raw, planted
        assert planted.encode() not in images.records(image, b"k" * 32)[0], planted


CLASS = "1.2.840.10008.5.1.4.1.1."


@pytest.mark.parametrize(
    ("sop_class", "required"),
    [
        ("7", ["ConversionType", "PatientOrientation", "Laterality", "RescaleType"]),
        ("1", ["BodyPartExamined", "ViewPosition", "PatientOrientation"]),
        ("4", ["ScanningSequence", "SequenceVariant", "EchoTime", "RepetitionTime", "MRAcquisitionType"]),
        ("1.1", ["PresentationIntentType", "AnatomicRegionSequence", "DetectorType", "AcquisitionContextSequence"]),
        ("1.2", ["PositionerType", "OrganExposed", "ViewCodeSequence"]),
    ],
)
def test_what_other_classes_require_is_there(read, travel, write, ramp, sop_class, required):
    """The lists are what dciodvfy (dicom3tools) asks for; it finds no error in such files."""
    view = pydicom.Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "R-10242", "SRT", "cranio-caudal of Jane"
    data = image_files.dataset(ramp(), SOPClassUID=CLASS + sop_class, ScanningSequence="SE", SequenceVariant="SK")
    data.ViewCodeSequence = [view]
    for keyword in ("BodyPartExamined", "ViewPosition", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(data, keyword)
    raw = write(travel(read(image_files.encoded(data, ExplicitVRLittleEndian)), identity=False))
    out = _opened(raw)
    assert out.SOPClassUID == CLASS + sop_class
    assert [keyword for keyword in required if keyword not in out] == []
    assert b"Jane" not in raw
    assert (out.ViewCodeSequence[0].CodeValue, out.ViewCodeSequence[0].CodeMeaning) == ("R-10242", "R-10242")
    if "ScanningSequence" in required:
        assert (out.ScanningSequence, out.SequenceVariant) == ("SE", "SK")


@pytest.mark.parametrize(("sop_class", "modality"), [("128", "PT"), ("20", "NM"), ("12.1", "XA"), ("77.1.4", "XC")])
def test_classes_that_need_what_does_not_travel_become_secondary_captures(
    read, travel, write, ramp, sop_class, modality
):
    image = read(image_files.dicom(ramp(), SOPClassUID=CLASS + sop_class, Modality=modality))
    out, whole = (_opened(write(travel(image, identity=identity))) for identity in (False, True))
    assert (out.SOPClassUID, out.Modality, out.ConversionType) == (CLASS + "7", modality, "WSD")
    assert out.file_meta.MediaStorageSOPClassUID == CLASS + "7"
    assert whole.SOPClassUID == CLASS + sop_class


def test_codes_of_private_schemes_stay_behind(read, travel, write, ramp):
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "4711", "99JANE", "Jane"
    image = read(image_files.dicom(ramp(), AnatomicRegionSequence=[code], ViewCodeSequence=[code]))
    out = _opened(write(travel(image, identity=False)))
    assert "AnatomicRegionSequence" not in out
    assert "ViewCodeSequence" not in out


def test_new_uids_are_stable_and_keyed(read, travel, write, ramp):
    first = travel(read(image_files.dicom(ramp(), SOPInstanceUID="1.2.3.4.5.6")), identity=False)
    second = travel(read(image_files.dicom(ramp(), SOPInstanceUID="1.2.3.4.5.7")), identity=False)
    one, again, two = (_opened(write(image)) for image in (first, first, second))
    other, lossy = _opened(write(first, uid_key=b"o" * 32)), _opened(write(first, loss=LOSS))
    assert one.SOPInstanceUID == again.SOPInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert lossy.SOPInstanceUID != one.SOPInstanceUID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert one[keyword].value == two[keyword].value != other[keyword].value
        assert (lossy[keyword].value == one[keyword].value) == (keyword != "SeriesInstanceUID")
        assert one[keyword].value.is_valid
        assert one[keyword].value.startswith("2.25.")


def _uids_in(dataset):
    """Every UID in a data set, in sequences too, that names no public thing."""
    found = set()
    for element in dataset.iterall():
        if element.VR == "UI" and element.value:
            found |= {str(one) for one in (element.value if element.VM > 1 else [element.value])}
    return {uid for uid in found if not uid.startswith("1.2.840.10008.")}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("tier", ["exact", "preview"])
def test_without_identity_no_uid_of_a_file_is_left(read, travel, write, tier):
    loss, count = (None if tier == "exact" else LOSS), 0
    for path in sorted(FILES.glob("*.dcm")):
        try:
            image = read(path.read_bytes())
        except InputError:
            continue
        original, raw = pydicom.dcmread(path, force=True), write(travel(image, identity=False), loss=loss, tier=tier)
        assert [uid for uid in _uids_in(original) if uid.encode() in raw] == []
        count += len(_uids_in(original)) > 2
    assert count > 10


def _uid(tag, suffix=b""):
    """A new UID as docs/format-records.md has it."""
    digest = hmac.digest(b"u" * 32, tag + suffix, "sha256")
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


@pytest.mark.parametrize("tier", ["exact", "diagnostic", "preview"])
def test_new_uids_are_those_of_the_format(read, travel, write, ramp, tier):
    """By tier the SOP instance, and the series of a derived image; study and frame of reference are one for all."""
    image = travel(read(image_files.dicom(ramp())), identity=False)
    tags = pixel_part(image.source.pixel_record).uids
    out = _opened(write(image, loss=None if tier == "exact" else LOSS, tier=tier))
    assert out.SOPInstanceUID == out.file_meta.MediaStorageSOPInstanceUID
    assert out.SOPInstanceUID == _uid(tags["SOPInstanceUID"], tier.encode())
    assert out.SeriesInstanceUID == _uid(tags["SeriesInstanceUID"], b"" if tier == "exact" else tier.encode())
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        assert out[keyword].value == _uid(tags[keyword])


def test_with_identity_a_derived_image_has_a_series_of_its_own_that_names_its_source(read, travel, write, ramp):
    earlier = pydicom.Dataset()
    earlier.SeriesInstanceUID = "1.2.9"
    data = image_files.dicom(ramp(), ReferencedSeriesSequence=[earlier])
    image = travel(read(data), identity=True)
    original, exact = _opened(data), _opened(write(image))
    lossy, coarse = (_opened(write(image, loss=LOSS, tier=tier)) for tier in ("diagnostic", "preview"))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert exact[keyword].value == original[keyword].value
        assert len({one[keyword].value for one in (original, lossy, coarse)}) == 3
    for one in (lossy, coarse):
        assert (one.StudyInstanceUID, one.FrameOfReferenceUID) == ("1.2.3.4", "1.2.3.9")
        source, series = one.SourceImageSequence[0], one.ReferencedSeriesSequence[0]
        assert series.SeriesInstanceUID == original.SeriesInstanceUID
        for reference in (source, series.ReferencedInstanceSequence[0]):
            assert reference.ReferencedSOPClassUID == original.SOPClassUID
            assert reference.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert one.ReferencedSeriesSequence[1].SeriesInstanceUID == "1.2.9"


@pytest.mark.parametrize(("loss", "tier"), [(LOSS, "exact"), (None, "diagnostic")])
def test_a_tier_that_contradicts_the_loss_is_a_mistake(read, travel, write, ramp, loss, tier):
    image = travel(read(image_files.dicom(ramp())), identity=True)
    with pytest.raises(ValueError, match="tier"):
        write(image, loss=loss, tier=tier)


def test_uids_in_the_pixel_record_are_tags(read, ramp):
    image = read(image_files.dicom(ramp()))
    part = pixel_part(images.records(image, b"k" * 32)[0])
    assert {len(tag) for tag in part.uids.values()} == {16}
    assert set(part.uids) == {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"}
    other = pixel_part(images.records(image, b"l" * 32)[0])
    assert all(part.uids[keyword] != other.uids[keyword] for keyword in part.uids)


@pytest.mark.parametrize("syntax", [*image_files.NATIVE, RLELossless], ids=lambda syntax: syntax.name)
def test_the_content_of_an_object_is_the_same_in_every_transfer_syntax(read, ramp, syntax):
    def file_of(one):
        data = image_files.dataset(ramp())
        for number in range(0x1001, 0x1005):  # of no VR in an implicit file
            del data[0x0029, number]
        del data[0x60003000]  # pydicom does not swap it
        return image_files.encoded(data, one, ramp())

    found, other = (images.instance(read(file_of(one))) for one in (syntax, NATIVE))
    assert found == other
    assert (found.uid, len(found.content)) == ("1.2.3.4.5.6", 32)


@pytest.mark.parametrize("change", [{"PatientName": "Other"}, {"WindowCenter": "41"}, {"OverlayData": b"\0\1"}, {}])
def test_what_differs_in_one_value_or_one_pixel_is_other_content(read, ramp, change):
    pixels = ramp() if change else ramp() ^ np.eye(*ramp().shape, dtype=np.uint8)
    data = image_files.dataset(pixels)
    for keyword, value in change.items():
        if keyword == "OverlayData":
            data[0x60003000].value = value
        else:
            setattr(data, keyword, value)
    one, other = (
        images.instance(read(file)) for file in (image_files.encoded(data, NATIVE), image_files.dicom(ramp()))
    )
    assert one.uid == other.uid
    assert one.content != other.content


def test_an_object_says_which_it_is_to_its_owner(read, ramp):
    image = read(image_files.dicom(ramp()))
    found, tag = images.instance(image), pixel_part(images.records(image, b"k" * 32)[0]).uids["SOPInstanceUID"]
    for repeats in (False, True):
        again = images.tagged(image, b"k" * 32, repeats=repeats)
        sealed = images.records(again, b"k" * 32)
        assert images.sealed_instance(image.source.kind, *sealed)[1] == found.content
        assert (images.sealed_instance(image.source.kind, *sealed)[0] == tag) != repeats
        assert images.instance(again) == found
        assert images.same_attributes(again, image)
        assert found.content not in sealed[0]


def test_missing_uids_get_some_of_their_own(read, travel, write, ramp):
    outs = []
    for value in (0, 1):
        data = image_files.dataset(ramp() ^ np.uint8(value))
        raw = image_files.encoded(data, ExplicitVRLittleEndian)
        stripped = pydicom.dcmread(io.BytesIO(raw))
        del stripped.StudyInstanceUID, stripped.SeriesInstanceUID, stripped.FrameOfReferenceUID
        buffer = io.BytesIO()
        stripped.save_as(buffer)
        outs.append(_opened(write(travel(read(buffer.getvalue()), identity=False))))
    assert outs[0].StudyInstanceUID != outs[1].StudyInstanceUID
    assert "FrameOfReferenceUID" not in outs[0]


def _lut(**extra):
    item = pydicom.Dataset()
    item.add_new(0x00283002, "US", [4, 0, 16])
    item.LUTExplanation = "for Jane Smith"
    item.add_new(0x00283006, "US", [0, 1, 2, 3])
    for keyword, value in extra.items():
        setattr(item, keyword, value)
    return item


def test_luts_travel_without_their_words(read, travel, write, ramp):
    nested = pydicom.Dataset()
    nested.PatientName = "Jane"
    lut = _lut(ModalityLUTType="Jane's units", RequestAttributesSequence=[nested])
    data = image_files.dicom(ramp(), VOILUTSequence=[_lut(), _lut()], ModalityLUTSequence=[lut])
    image = read(data)
    out = _opened(write(travel(image, identity=False)))
    assert [list(item.LUTData) for item in out.VOILUTSequence] == [[0, 1, 2, 3]] * 2
    assert out.ModalityLUTSequence[0].ModalityLUTType == "US"
    assert b"Jane" not in write(travel(image, identity=False))
    assert _differences(_opened(data), _opened(write(travel(image, identity=True)))) == set()


@pytest.mark.parametrize(
    ("keyword", "value", "left"),
    [
        ("ImageType", ["ORIGINAL", "PRIMARY", "SMITH JANE", "X"], ["ORIGINAL", "PRIMARY", "OTHER"]),
        ("ImageType", ["SMITH", "JANE"], ["DERIVED", "SECONDARY"]),
        ("BodyPartExamined", "lung of Jane", None),
        ("PatientOrientation", ["JANE", "SMITH"], None),
        ("RescaleType", "Jane", None),
        ("RescaleType", "HU", "HU"),
        ("SOPClassUID", "1.2.3.4711", "1.2.840.10008.5.1.4.1.1.7"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
def test_a_value_that_is_not_what_its_attribute_holds_stays_behind(read, travel, write, ramp, keyword, value, left):
    image = read(image_files.dicom(ramp(), **{keyword: value}))
    out = _opened(write(travel(image, identity=False)))
    assert out.get(keyword) == left
    assert _opened(write(travel(image, identity=True)))[keyword].value == value


def test_a_name_in_a_number_stays_behind(read, travel, write, ramp):
    data = image_files.dicom(ramp()).replace(b"DS\x04\x002.5 ", b"DS\x04\x00JANE")
    image = read(data)
    assert b"JANE" not in write(travel(image, identity=False))
    assert b"JANE" in write(travel(image, identity=True))


def test_icons_with_compressed_pixels_are_left_out(read, travel, write, ramp):
    icon = pydicom.Dataset()
    icon.Rows, icon.Columns = 2, 2
    icon.add_new(0x7FE00010, "OB", b"\1\2\3\4")
    plain = image_files.dicom(ramp(), IconImageSequence=[icon])
    assert "IconImageSequence" in _opened(write(travel(read(plain), identity=True)))
    assert "IconImageSequence" not in _opened(write(travel(read(plain), identity=False)))
    fragments = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0\1\2\3\4\xfe\xff\xdd\xe0\0\0\0\0"
    native = b"\xe0\x7f\x10\x00OB\0\0\4\0\0\0\1\2\3\4"
    undefined = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + fragments
    assert plain.count(native) == 1
    packed = _grown(plain, native, undefined)
    assert "IconImageSequence" not in _opened(write(travel(read(packed), identity=True)))


def _grown(data, old, new):
    """Replace a value in a sequence of explicit lengths, and mend those lengths."""
    place, growth = data.index(old), len(new) - len(old)
    sequence, item = data.rindex(b"\x88\x00\x00\x02SQ", 0, place) + 8, data.rindex(b"\xfe\xff\x00\xe0", 0, place) + 4
    out = bytearray(data)
    for at in (sequence, item):
        if out[at : at + 4] != b"\xff\xff\xff\xff":
            out[at : at + 4] = (int.from_bytes(out[at : at + 4], "little") + growth).to_bytes(4, "little")
    out[place : place + len(old)] = new
    return bytes(out)


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, False),
        ({"BurnedInAnnotation": "NO"}, False),
        ({"BurnedInAnnotation": "YES"}, True),
        ({"BurnedInAnnotation": "maybe Jane"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "BurnedInAnnotation": "NO"}, False),
        ({"BurnedInAnnotation": "yes"}, True),
        *(
            ({"Modality": modality}, True)
            for modality in ("US", "IVUS", "OT", "XC", "ES", "GM", "OP", "DOC", "HC", "RG")
        ),
        *(({"Modality": modality}, True) for modality in ("DX", "MG", "IO", "PX")),
        *(({"Modality": modality}, False) for modality in ("CT", "MR", "PT", "NM", "CR", "XA", "RF")),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, False),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1"}, True),
        ({"ConversionType": "DF"}, True),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, True),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
def test_burned_in_annotation_is_warned_about(read, ramp, changes, warned):
    image = read(image_files.dicom(ramp(), **changes))
    found = images.warnings(image)
    assert bool(found) == warned == (not images.text_in_pixels(image).is_ruled_out)
    assert not any("Jane" in line for line in found)
    stated = changes.get("BurnedInAnnotation", "")
    assert any("says YES" in line for line in found) == (stated.upper() == "YES")


def test_other_kinds_of_file_say_nothing_of_text(read, ramp):
    assert images.text_in_pixels(read(image_files.png(ramp()))) is images.BurnedIn.UNSAID


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_values_too_long_for_an_explicit_length_survive(read, travel, write, ramp):
    """Implicit files may hold long values of short kinds; explicit ones hold them as unknown (PS3.5 6.2.2)."""
    data = image_files.dataset(ramp())
    data.add_new(0x00081030, "LO", "x" * 70_000)
    out = write(travel(read(image_files.encoded(data, ImplicitVRLittleEndian)), identity=True))
    assert bytes(_opened(out).get_item(0x00081030).value) == b"x" * 70_000


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Modality", "DOE"),
        ("ConversionType", "DOE_JOHN"),
        ("PresentationIntentType", "DOE JOHN"),
        ("BodyPartExamined", "DOE JOHN"),
        ("ViewPosition", "MRN 4711"),
        ("PatientOrientation", ["PAL", "PAP"]),
        ("BurnedInAnnotation", "DOE"),
        ("PixelIntensityRelationship", "DOE"),
        ("VOILUTFunction", "DOE"),
        ("LossyImageCompression", "47"),
        ("LossyImageCompressionMethod", "ISO_4711"),
        ("LossyImageCompressionRatio", "19700417"),
        ("PresentationLUTShape", "DOE"),
        ("SliceThickness", "19700417"),
        ("SpacingBetweenSlices", "4711"),
        ("ImagerPixelSpacing", ["4711", "1"]),
        ("PixelSpacing", ["1", "19700417"]),
        ("PixelAspectRatio", ["1970", "417"]),
        ("ImagePositionPatient", ["1970", "4", "170417"]),
        ("ImageOrientationPatient", ["1970", "4", "17", "0", "0", "0"]),
        ("SliceLocation", "19700417"),
        ("WindowCenter", "19700417"),
        ("WindowWidth", "-19700417"),
        ("RescaleIntercept", "19700417"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7.4711"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_free_text_and_dates_in_codes_and_numbers_are_identity(read, travel, write, ramp, keyword, value):
    image = read(image_files.dicom(ramp(), **{keyword: value}))
    part = pixel_part(images.records(image, b"k" * 32)[0])
    assert pydicom.datadict.tag_for_keyword(keyword) not in part.elements
    bare, whole = (_opened(write(travel(image, identity=identity))) for identity in (False, True))
    assert _differences(_opened(image_files.dicom(ramp(), **{keyword: value})), whole) == set()
    assert keyword not in bare or bare[keyword].value != whole[keyword].value


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Modality", "DX"),
        ("BodyPartExamined", "LSPINE"),
        ("BodyPartExamined", "WHOLE BODY"),
        ("ViewPosition", "MLO"),
        ("PatientOrientation", ["L", "PF"]),
        ("PixelIntensityRelationshipSign", -1),
        ("LossyImageCompressionMethod", ["ISO_10918_1", "MEDVEIL_LAPPED"]),
        ("SliceThickness", "0.625"),
        ("SliceThickness", None),
        ("WindowCenter", ["450", "-200"]),
        ("NumberOfFrames", "1"),
    ],
)
def test_defined_terms_and_quantities_travel(read, travel, write, ramp, keyword, value):
    data = image_files.dicom(ramp(), **{keyword: value})
    assert _opened(write(travel(read(data), identity=False)))[keyword].value == _opened(data)[keyword].value


@pytest.mark.parametrize(
    ("scheme", "value", "travels"),
    [("SCT", "51185008", True), ("SRT", "T-D3000", True), ("SCT", "4711", False), ("SRT", "DOE-JOHN", False)],
)
def test_codes_travel_only_if_the_standard_lists_them(read, travel, write, ramp, scheme, value, travels):
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "Jane"
    raw = write(travel(read(image_files.dicom(ramp(), AnatomicRegionSequence=[code])), identity=False))
    assert ("AnatomicRegionSequence" in _opened(raw)) == travels
    assert b"Jane" not in raw


def test_records_of_a_later_table_are_read(ramp):
    """A term that this version does not know is refused at sharing, not at opening."""
    from medveil.images.dicom import attributes
    from medveil.images.dicom.elements import Element

    later = {0x00180015: Element(0x00180015, "CS", b"NEWPART ")}
    assert attributes.is_travelling(later)
    assert attributes.travelling(later, ramp()) == []
