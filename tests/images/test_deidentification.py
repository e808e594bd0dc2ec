"""PS3.15 table E.1-1, whole: what it names is gone without identity, or is exactly a replacement that it allows."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from tests import image_files

from medveil import images
from medveil.images.dicom import acquisition, attributes, type2_attributes
from medveil.keys.tiers import Tier
from medveil.releases.opening import open_release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

TABLE = list(csv.DictReader((Path(__file__).parent / "ps3_15_table_e1_1.csv").open(encoding="utf-8")))
# What a file without identity holds although the table names it, and what the table allows there.
REPLACED_UIDS = {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"}  # U
PSEUDONYMS = {"PatientID", "PatientName"}  # Z/D and Z: a dummy of the recipient's own
EMPTY_TYPE_2 = {  # Z
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex", "StudyID",
    "AcquisitionContextSequence",  # X/Z: required, and may be empty, in digital X-ray
}  # fmt: skip
CLASSES = {"CT": "2", "MR": "4", "CR": "1", "DX": "1.1", "MG": "1.2", "OT": "7", "PT": "128"}
MARKER = re.compile(
    rb"PLANTED|19[0-9]{2}0417|(?<![0-9.])(?:235958|87654)|087Y|87\.65432|1\.2\.826\.0\.1\.3680043\.9"
)  # five or six digits inside of a random UID are none


def row_tag(row):
    """The tag of a row; of a repeating group its first."""
    return int(row["tag"].replace("60xx", "6000").replace("50xx3", "50003").replace("50xxxxxx", "50003000"), 16)


def planted(row, number):
    """A legal value that is nowhere else in the file."""
    item = Dataset()
    item.CodeMeaning, item.PatientComments = f"PLANTED {number}", f"PLANTED {number}"
    text = f"PLANTED {number}"
    values = {
        "SQ": [item], "DA": f"19{number % 90 + 10}0417", "TM": "235958.777", "DT": f"19{number % 90 + 10}0417235958",
        "PN": f"PLANTED^{number}", "UI": f"1.2.826.0.1.3680043.9.{number}", "CS": f"PLANTED_{number}", "AS": "087Y",
        "DS": "87.65432", "IS": "87654", "US": 8765, "OB": b"PLANTED!", "OW": b"PLANTED!", "UN": b"PLANTED!",
        "AE": f"PLANTED_{number}",
    }  # fmt: skip
    return DataElement(row_tag(row), row["vr"], values.get(row["vr"], text))


def plant(data, rows=TABLE):
    """Put every attribute of the table into a data set, and some into the items that travel."""
    data.file_meta = pydicom.dataset.FileMetaDataset()
    for number, row in enumerate(rows):
        if row_tag(row) >> 16 > 2:  # below are the commands of network messages and the meta information
            data[row_tag(row)] = planted(row, number)
    block = data.private_block(0x0009, "PLANTED CREATOR", create=True)
    block.add_new(0x01, "LO", "PLANTED private")
    for keyword in ("AnatomicRegionSequence", "ViewCodeSequence"):
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "51185008", "SCT", "PLANTED meaning"
        for number, row in enumerate(rows):
            if row_tag(row) >> 16 > 8 and row["vr"] != "OW":
                code[row_tag(row)] = planted(row, number)
        setattr(data, keyword, [code])
    return data


def invented(pixels, sop_class, modality):
    return image_files.dataset(
        pixels, SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{sop_class}", Modality=modality, bits_stored=12
    )


def file_of(data):
    whole = pydicom.FileDataset("", data, preamble=bytes(128))
    whole.file_meta = pydicom.dataset.FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    whole.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    whole.file_meta.SourceApplicationEntityTitle = "PLANTED"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, whole, enforce_file_format=True)
    return buffer.getvalue()


def left_over(out, rows=TABLE):
    """The rows of the table of which an opened file holds more than the table allows."""
    found = []
    for number, row in enumerate(rows):
        here = out.file_meta if row["tag"].startswith("0002") else out
        keyword = pydicom.datadict.keyword_for_tag(row_tag(row))
        if row_tag(row) not in here:
            continue
        value = here[row_tag(row)].value
        if keyword in REPLACED_UIDS | {"MediaStorageSOPInstanceUID"}:
            fits = value.startswith("2.25.") and value != planted(row, number).value
        elif keyword in PSEUDONYMS:
            fits = re.fullmatch("[A-Z2-7]{26}", str(value)) is not None
        else:
            fits = keyword in EMPTY_TYPE_2 and value in ("", None, [])
        if not fits:
            found.append(row["name"])
    return found


def named_by_table(tags):
    """Keywords of those of these tags that the table names."""
    rows = {row_tag(row) for row in TABLE}
    return {pydicom.datadict.keyword_for_tag(tag) for tag in tags if tag in rows}


def test_the_table_is_whole():
    """655 rows of edition 2026c, beside the one for private attributes."""
    assert len({row["tag"] for row in TABLE}) == len(TABLE) == 655
    assert {row["action"] for row in TABLE} == {"D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}


@pytest.mark.parametrize("modality", CLASSES)
def test_nothing_that_the_table_names_is_left(read, travel, write, ramp, modality):
    data = plant(invented(ramp(bits=12), CLASSES[modality], modality))
    data.SOPClassUID, data.Modality = f"1.2.840.10008.5.1.4.1.1.{CLASSES[modality]}", modality
    raw = file_of(data)
    assert len(MARKER.findall(raw)) > 500
    image = travel(read(raw), identity=False)
    for loss in (None, images.Loss(ratio=3, method="medveil-lapped")):
        out = write(image, loss=loss)
        opened = pydicom.dcmread(io.BytesIO(out))
        assert left_over(opened) == []
        assert [element.tag for element in opened if element.tag.is_private] == []
        assert MARKER.findall(out) == []
    assert MARKER.findall(image.source.pixel_record) == []


def test_the_check_itself_finds_what_is_left(ramp):
    """The control: each row, left as it was, is found."""
    data = plant(invented(ramp(bits=12), "2", "CT"))
    found = left_over(pydicom.dcmread(io.BytesIO(file_of(data))))
    commands = {"00001000", "00001001"}  # stand in no file
    assert set(found) == {row["name"] for row in TABLE if row["tag"] not in commands}


def test_nothing_that_the_table_names_comes_out_of_a_release(tmp_path, ramp):
    """The same, the whole way: share, then open at every tier without identity, file by file."""
    from medveil.keys.identity import generate

    owner, alice = (generate(tmp_path / f"{name}.key") for name in ("owner", "alice"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "planted.dcm").write_bytes(file_of(plant(invented(ramp(bits=12), "2", "CT"))))
    wanted = ShareSettings(to=(alice.recipient,), tiers=tuple(Tier), jobs=1)
    assert share([tmp_path / "in"], tmp_path / "release", wanted, owner=owner).done == 1
    for tier in Tier:
        open_release(tmp_path / "release", tmp_path / tier.value, identity=alice, tier=tier, jobs=1)
        (path,) = (tmp_path / tier.value).iterdir()
        assert left_over(pydicom.dcmread(path)) == []
        assert MARKER.findall(path.read_bytes()) == []


def test_no_attribute_that_may_travel_is_named_by_the_table():
    allowed = set(attributes._TRAVELLING) | {attributes.IMAGE_TYPE, *attributes._LUT_SEQUENCES, *attributes._IN_LUT}
    allowed |= {attributes._ANATOMIC_REGION, attributes._VIEW_CODE, attributes._MODIFIERS, *attributes._IN_CODE}
    assert named_by_table(allowed) == set()
    assert named_by_table({*acquisition.RULES, acquisition.METHOD_CODES}) == set()
    assert named_by_table(attributes.UID_TAGS) == REPLACED_UIDS
    added = set(type2_attributes._ALWAYS).union(*type2_attributes._BY_CLASS.values())
    assert named_by_table(added) == EMPTY_TYPE_2
    assert named_by_table([0x00100020, 0x00080080]) == {"PatientID", "InstitutionName"}  # the control


def test_what_is_declared_is_what_holds(read, travel, write, ramp):
    """Basic profile, and no option: nothing that an option would keep or clean is there."""
    out = pydicom.dcmread(
        io.BytesIO(write(travel(read(file_of(plant(invented(ramp(bits=12), "2", "CT")))), identity=False)))
    )
    assert out.PatientIdentityRemoved == "YES"
    assert re.fullmatch(r"medveil \S+: .*PS3\.15 2026c E\.1", out.DeidentificationMethod)
    codes = {item.CodeValue for item in out.DeidentificationMethodCodeSequence}
    assert [item.CodingSchemeDesignator for item in out.DeidentificationMethodCodeSequence] == ["DCM"] * len(codes)
    assert codes == {"113100"}
    assert out.LongitudinalTemporalInformationModified == "REMOVED"
    for option in ("113105", "113106", "113107", "113108", "113109", "113110", "113112"):
        rows = [row for row in TABLE if option in row["options"].split()]
        assert len(rows) >= 5
        kept = [row["name"] for row in rows if row_tag(row) in out and out[row_tag(row)].value not in ("", None)]
        assert kept == ([] if option != "113110" else [row["name"] for row in rows if row_tag(row) in out])


def test_with_identity_the_declarations_are_the_originals(read, travel, write, ramp):
    for value in (None, "YES", "NO"):
        data = image_files.dataset(ramp())
        if value:
            data.PatientIdentityRemoved, data.DeidentificationMethod = value, "by hand, Jane"
        image = read(image_files.encoded(data, ExplicitVRLittleEndian))
        out = pydicom.dcmread(io.BytesIO(write(travel(image, identity=True))))
        assert out.get("PatientIdentityRemoved") == value
        assert out.get("DeidentificationMethod") == ("by hand, Jane" if value else None)
        assert "LongitudinalTemporalInformationModified" not in out
        assert "DeidentificationMethodCodeSequence" not in out


def method_code(value, scheme="DCM", meaning="by Jane"):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def test_of_earlier_methods_those_stay_that_were_done_to_the_pixels(read, travel, write, ramp):
    """Clean pixel data stays true; that dates were retained does not, for they are removed now."""
    codes = [method_code("113100"), method_code("113106"), method_code("113101"), method_code("113102", "99JANE")]
    data = image_files.dicom(
        ramp(), PatientIdentityRemoved="YES", DeidentificationMethod="Jane", DeidentificationMethodCodeSequence=codes
    )
    raw = write(travel(read(data), identity=False))
    out = pydicom.dcmread(io.BytesIO(raw))
    assert out.PatientIdentityRemoved == "YES"
    assert [(item.CodeValue, item.CodeMeaning) for item in out.DeidentificationMethodCodeSequence] == [
        ("113100", "Basic Application Confidentiality Profile"),
        ("113101", "Clean Pixel Data Option"),
    ]
    assert b"Jane" not in raw


def test_names_burned_into_the_pixels_are_not_declared_removed(read, travel, write, ramp):
    """(0012,0062) speaks of the pixels too (PS3.3 C.7.1.1)."""
    out = pydicom.dcmread(
        io.BytesIO(write(travel(read(image_files.dicom(ramp(), BurnedInAnnotation="YES")), identity=False)))
    )
    assert (out.PatientIdentityRemoved, out.BurnedInAnnotation) == ("NO", "YES")
    assert "DeidentificationMethodCodeSequence" in out


_CT, _ULTRASOUND, _CAPTURE = (f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("2", "6.1", "7"))


@pytest.mark.parametrize("sop_class", [_CT, _ULTRASOUND, _CAPTURE])
@pytest.mark.parametrize("stated", [b"NO", b"YES", b"yes ", b"Yes ", b"Y ", b"no", b"UNKNOWN ", b"", b"YES\\NO", None])
def test_what_share_warns_of_is_not_declared_removed(read, travel, write, ramp, stated, sop_class):
    """Any spelling of Burned In Annotation but NO, and none where text in pictures is usual."""
    data = image_files.dicom(ramp(), SOPClassUID=sop_class, BurnedInAnnotation="MARKED")
    element = b"\x28\x00\x01\x03CS"
    marked = element + b"\6\0MARKED"
    assert data.count(marked) == 1
    new = b"" if stated is None else element + len(stated).to_bytes(2, "little") + stated
    image = read(data.replace(marked, new))
    out = pydicom.dcmread(io.BytesIO(write(travel(image, identity=False))))
    warned = any("burned into" in line for line in images.warnings(image))
    assert warned == (stated != b"NO" if stated is not None else sop_class != _CT)
    assert out.PatientIdentityRemoved == ("NO" if warned else "YES")


def test_a_record_of_an_earlier_version_opens_as_before(read, travel, write, ramp):
    """Neither pseudonym nor `more`: as everything is that was sealed before there were any."""
    from medveil.files import canonical

    image = read(image_files.dicom(ramp()))
    pixel_record, _ = images.records(image, b"k" * 32)
    fields = canonical.loads(pixel_record, what="record")
    fields = {name: value for name, value in fields.items() if name not in ("more", "pseudonym")}
    old = images.restore(image.pixels, image.bits_stored, image.source.kind, canonical.dumps(fields), b"")
    out = pydicom.dcmread(io.BytesIO(write(old)))
    assert (out.PatientID, out.PatientName, out.InstanceNumber) == ("", "", None)
    assert out.PatientIdentityRemoved == "YES"
    assert np.array_equal(out.pixel_array, image.pixels)
