"""What of a file travels as `more`: how the image was taken, never a name, a date or a long number."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from tests import image_files

from medveil import images
from medveil.files import canonical
from medveil.images.dicom import acquisition
from medveil.images.dicom.elements import Element, encode
from medveil.images.dicom.records import pixel_part

CT = {
    "InstanceNumber": 17, "SeriesNumber": 4, "AcquisitionNumber": 2, "KVP": 120, "PatientPosition": "HFS",
    "ConvolutionKernel": "STANDARD", "XRayTubeCurrent": 280, "ExposureTime": 750, "GantryDetectorTilt": -12.5,
    "ScanOptions": "HELICAL MODE", "RotationDirection": "CW", "SpiralPitchFactor": 0.984, "Manufacturer": "SIEMENS",
}  # fmt: skip
MR = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
    "ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP"], "MRAcquisitionType": "3D",
    "RepetitionTime": 2530, "EchoTime": 3.39, "InversionTime": 1100, "FlipAngle": 7, "MagneticFieldStrength": 3,
    "EchoTrainLength": 1, "ImagedNucleus": "1H", "AcquisitionMatrix": [0, 256, 256, 0], "DiffusionBValue": 1000.0,
    "DiffusionGradientOrientation": [0.5, -0.5, 0.7071], "InPlanePhaseEncodingDirection": "ROW",
}  # fmt: skip
XRAY = {
    "DistanceSourceToDetector": 1800, "Grid": ["FOCUSED", "FIXED"], "FilterMaterial": "COPPER", "ExposureIndex": 230,
    "DetectorType": "SCINTILLATOR", "PositionerType": "COLUMN", "BodyPartThickness": 52, "CompressionForce": 110,
    "AnodeTargetMaterial": "TUNGSTEN", "BreastImplantPresent": "NO", "OrganExposed": "BREAST", "PartialView": "YES",
}  # fmt: skip
NUCLEAR = {
    "Units": "BQML", "SeriesType": ["WHOLE BODY", "IMAGE"], "DecayCorrection": "START", "ImageIndex": 9,
    "CorrectedImage": ["DECY", "ATTN", "SCAT"], "DecayFactor": 1.02, "ActualFrameDuration": 180000,
}  # fmt: skip


@pytest.fixture
def opened(read, travel, write, ramp):
    """The data set that a recipient without identity gets of a file with these attributes."""

    def _opened(**changed):
        raw = write(travel(read(image_files.dicom(ramp(), **changed)), identity=False))
        return pydicom.dcmread(io.BytesIO(raw))

    return _opened


@pytest.mark.parametrize("known", [CT, MR, XRAY, NUCLEAR], ids=["CT", "MR", "X-ray", "PET"])
def test_how_an_image_was_taken_travels(opened, known):
    out = opened(**known)
    assert {name: out.get(name) for name in known} == known


@pytest.mark.parametrize(
    ("keyword", "stated", "travels"),
    [
        ("KVP", "120.1985031212", "120.1985"),  # a date behind what a tube voltage has
        ("KVP", "+0120.00000", "120"),
        ("RepetitionTime", "2530.5", "2530.5"),
        ("FocalSpots", "0.6\\1.20000000001", "0.6\\1.2"),
        ("DoseCalibrationFactor", "519850312.5", "5.198503e+08"),
        ("GantryDetectorTilt", "-0.0", "0"),
    ],
)
def test_decimal_numbers_travel_with_seven_digits(opened, keyword, stated, travels):
    assert str(opened(**{keyword: stated.split("\\")}).get(keyword)).replace("'", "") == (
        f"[{travels.replace(chr(92), ', ')}]" if "\\" in travels else travels
    )


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning", "ignore:The value length:UserWarning")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("InstanceNumber", 65536),
        ("InstanceNumber", -1),
        ("SeriesNumber", 20260102),
        ("SeriesNumber", 123456),
        ("AcquisitionNumber", 19530417),
        ("KVP", "4711815"),
        ("ConvolutionKernel", "MUELLER"),
        ("ConvolutionKernel", ["Br40d", "for Jane"]),
        ("FilterType", "JANE"),
        ("Manufacturer", "Doctor Mueller"),
        ("ScanOptions", ["HELICAL MODE", "JANE"]),
        ("ScanningSequence", "JANE"),
        ("PatientPosition", "JANE"),
        ("ImagedNucleus", "JANE"),
        ("FlipAngle", "19530417"),
        ("ExposureInuAs", 20260102),
        ("ExposureTimeInuS", "20260102"),
        ("XRayTubeCurrent", 4711815),
        ("AcquisitionMatrix", [1, 2, 3, 4, 5]),
        ("AcquisitionMatrix", [0x414A, 0x454E, 0x4F44, 0x2045]),
        ("SpiralPitchFactor", 1953.0417),
        ("SpiralPitchFactor", float("nan")),
        ("DiffusionGradientOrientation", [1.0, 0.0, 0.0, 0.5]),
        ("CorrectedImage", ["DECY", "JANE"]),
        ("Grid", "OF_DR_MUELLER"),
        ("SequenceName", "*tfl3d1_16ns"),
        ("ProtocolName", "head of Jane"),
        ("ManufacturerModelName", "Jane 3000"),
        ("ReconstructionMethod", "OSEM by Jane"),
    ],
)
def test_what_no_such_quantity_or_term_is_stays_behind(read, travel, write, ramp, keyword, value):
    image = read(image_files.dicom(ramp(), **{keyword: value}))
    out, whole = (pydicom.dcmread(io.BytesIO(write(travel(image, identity=who)))) for who in (False, True))
    assert out.get(keyword) in (None, "")
    assert str(whole[keyword].value) == str(value)


@pytest.mark.parametrize("kernel", ["B30f", "H31s", "Br40d", "Bv36", "FC13", "FL04", "B", "YA", "LUNG", "BONEPLUS"])
def test_kernels_of_the_makers_travel(opened, kernel):
    assert opened(ConvolutionKernel=kernel).ConvolutionKernel == kernel
    assert opened(ConvolutionKernel=[kernel, "3"]).ConvolutionKernel == [kernel, "3"]


def test_an_instance_number_that_stays_behind_is_said_to_the_owner(read, ramp):
    for number, said in ((65536, True), (-1, True), (0, False), (65535, False), ("", False)):
        found = images.warnings(read(image_files.dicom(ramp(), InstanceNumber=number)))
        assert any("Instance Number" in each for each in found) is said, number


def test_every_rule_is_of_the_vr_that_the_dictionary_has():
    assert {
        hex(tag) for tag, (vr, _) in acquisition.RULES.items() if pydicom.datadict.dictionary_VR(tag) != vr
    } == set()


def test_what_more_must_not_hold_is_left_out_at_opening(read, ramp):
    """Neither a hostile owner nor a later version can bring anything out that this table does not hold."""
    image = read(image_files.dicom(ramp()))
    fields = canonical.loads(images.records(image, b"k" * 32)[0], what="record")
    smuggled = [
        Element(0x00100010, "PN", b"Mueller^Jane"),
        Element(0x00080080, "LO", b"Ward Seven"),
        Element(0x00180060, "DS", b"19530417"),
        Element(0x00181210, "SH", b"JANE"),
        Element(0x00180020, "LO", b"SE"),
        Element(0x00200013, "IS", b"7 "),
        Element(0x00181310, "UN", bytes(1 << 20)),  # longer than any such value
        Element(0x00280010, "US", b"\1\0"),  # rows: the picture's, not to be changed here
    ]
    fields["more"] = encode(smuggled)
    part = pixel_part(canonical.dumps(fields))
    assert [hex(tag) for tag in part.more] == ["0x200013"]


@pytest.mark.parametrize("tag", acquisition.RULES, ids=hex)
def test_no_text_hides_in_the_bytes_of_a_value(tag):
    """Eight characters that are also a number in range, two in each word, blanks and more behind a word."""
    vr = acquisition.RULES[tag][0]
    planted = [b"JANEDOE?", b"JANE DOE", b"JANE", b"1 JANE  ", b"1\0JANE\0", b"0.123456789012345678901234", b"1 \\JANE"]
    for value in planted:
        for element in acquisition.travelling({tag: Element(tag, vr, value)}):
            assert b"JAN" not in element.data
            assert b"EDOE" not in element.data
            assert len(element.data) <= 16


def test_an_implicit_file_tells_as_much(read, travel, write, ramp):
    from pydicom.uid import ImplicitVRLittleEndian

    data = image_files.dicom(ramp(), ImplicitVRLittleEndian, **CT)
    out = pydicom.dcmread(io.BytesIO(write(travel(read(data), identity=False))))
    assert {name: out.get(name) for name in CT} == CT


@pytest.mark.parametrize(
    ("whole", "left"),
    [
        (["ORIGINAL", "PRIMARY", "M", "JANE", "NORM"], ["ORIGINAL", "PRIMARY", "M", "NORM"]),
        (["ORIGINAL", "PRIMARY", "JANE", "ADC"], ["ORIGINAL", "PRIMARY", "OTHER", "ADC"]),
        (["ORIGINAL", "JANE", "M"], ["ORIGINAL", "SECONDARY", "OTHER"]),
        (["DERIVED", "SECONDARY"], ["DERIVED", "SECONDARY"]),
    ],
)
def test_the_words_of_a_modality_in_image_type(opened, whole, left):
    assert opened(ImageType=whole).ImageType == left


def test_what_mr_requires_is_there_where_the_original_has_none(opened):
    out = opened(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR")
    assert (out.ScanningSequence, out.SequenceVariant, out.EchoTime) == ("RM", "NONE", None)


PATIENTS = [
    ({"PatientID": "A"}, "a"),
    ({"PatientID": "A ", "StudyInstanceUID": "1.2.99", "PatientName": "Other^Name"}, "a"),
    ({"PatientID": "B"}, "b"),
    ({"PatientID": "A", "IssuerOfPatientID": "WARD"}, "a of the ward"),
    ({"PatientID": "", "StudyInstanceUID": "1.2.7"}, "study 7"),
    ({"PatientID": "", "StudyInstanceUID": "1.2.7", "PatientName": "X"}, "study 7"),
    ({"PatientID": "", "StudyInstanceUID": "1.2.8"}, "study 8"),
]


def test_patients_stay_apart_and_together(opened):
    """By ID and issuer; where a file has no ID, by study."""
    by_patient = {}
    for changed, who in PATIENTS:
        out = opened(**changed)
        assert out.PatientName == out.PatientID
        assert len(out.PatientID) == 26
        by_patient.setdefault(who, set()).add(out.PatientID)
    assert all(len(found) == 1 for found in by_patient.values())
    assert len(set().union(*by_patient.values())) == len(by_patient) == 5


def test_pseudonyms_are_keyed_and_can_be_withheld(read, ramp):
    image = read(image_files.dicom(ramp()))
    one, again, other = (pixel_part(images.records(image, key * 32)[0]).pseudonym for key in (b"k", b"k", b"l"))
    assert one == again != other
    assert len(one) == 16
    withheld = pixel_part(images.records(image, b"k" * 32, pseudonyms=False)[0])
    assert withheld.pseudonym == b""
    assert 0x00200013 in withheld.more
    assert one not in images.records(image, b"k" * 32)[1]


def test_a_pseudonym_of_another_length_is_refused(read, ramp):
    from medveil.errors import IntegrityError

    image = read(image_files.dicom(ramp()))
    fields = canonical.loads(images.records(image, b"k" * 32)[0], what="record")
    for wrong in (b"x" * 15, b"Jane Mueller, born 1953", "text"):
        with pytest.raises(IntegrityError):
            pixel_part(canonical.dumps({**fields, "pseudonym": wrong}))


def test_records_of_other_kinds_have_no_pseudonym(read):
    picture = np.zeros((8, 8), np.uint8)
    for data in (image_files.png(picture), image_files.tiff(picture)):
        record = images.records(read(data), b"k" * 32)[0]
        assert b"pseudonym" not in record
        assert record == images.records(read(data), b"k" * 32, pseudonyms=False)[0]


def test_a_record_that_is_sealed_again_keeps_what_it_has(read, travel, ramp):
    """As where an opened image is packed anew: other keys change nothing, and withholding withholds."""
    image = travel(read(image_files.dicom(ramp(), **CT)), identity=False)
    first, again = image.source.pixel_record, images.records(image, b"x" * 32)[0]
    assert first == again
    assert pixel_part(images.records(image, b"x" * 32, pseudonyms=False)[0]).pseudonym == b""


def test_nested_sequences_in_more_are_left_out(read, travel, write, ramp):
    inner = Dataset()
    inner.PatientName = "Jane"
    data = image_files.dicom(ramp(), DeidentificationMethodCodeSequence=[inner])
    raw = write(travel(read(data), identity=False))
    assert b"Jane" not in raw
