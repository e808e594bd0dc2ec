"""Defined terms and sane ranges: what a coded value or a number must be to travel with the pixels.

A code string is any sixteen capitals, and a number any digits: a name or a date of birth fits into both. So a code
travels only if it is a term that the standard or common usage defines (PS3.3, PS3.16 Annex L), and a number only if it
lies where such a quantity can lie. Records are read by their form alone, so that a longer table here does not shut out
an older reader.
"""

from __future__ import annotations

from collections.abc import Mapping

from medveil.images.dicom.codes import STORAGE_CLASSES

_MODALITIES = """
    AR AS ASMT AU BDUS BI BMD CD CF CFM CP CR CS CT CTPROTOCOL DD DF DG DM DMS DOC DS DX EC ECG EEG EMG EOG EPS ES FA
    FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS MA MG MR MS M3D NM OAM OCT OP OPM OPR OPT OPTBSV OPTENF OPV OSS
    OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM
    SMR SR SRF ST STAIN TEXTUREMAP TG US VA VF XA XAPROTOCOL XC
"""
_BODY_PARTS = """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE ANUS AORTA APPENDIX ARM AXILLA BACK BLADDER BLOODVESSEL BODY BONE BRAIN BREAST
    BRONCHUS BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS
    CLAVICLE COCCYX COLON CORNEA CORONARYARTERY CSPINE CTSPINE CLSPINE CALVARIUM CARPUS COLLARBONE DUODENUM EAR ELBOW
    ENTIREBODY ESOPHAGUS EXTREMITY EYE EYELID FACE FACIALBONES FEMUR FIBULA FINGER FOOT FOREARM FOREFOOT GALLBLADDER
    GENITALIA GLUTEUS HAND HEAD HEADNECK HEART HIP HIPS HUMERUS IAC ILEUM ILIUM INTESTINE JAW JEJUNUM JOINT KIDNEY
    KNEE KNEES LARYNX LEG LIVER LOWERARM LOWERLEG LOWERLIMB LSPINE LSSPINE LUNG LUNGS LYMPHNODE MANDIBLE
    MASTOID MAXILLA MEDIASTINUM METACARPUS METATARSUS MOUTH MUSCLE NASALBONES NECK NECKCHEST NECKCHESTABDOMEN
    NECKCHESTABDPELV NOSE OPTICCANAL ORBIT ORBITS OVARY PALATE PANCREAS PARANASALSINUS PAROTID PATELLA PELVIS
    PELVISLOWEXTREMT PENIS PHARYNX PROSTATE RADIUS RECTUM RETINA RIB RIBS SACRUM SCALP SCAPULA SCLERA SCROTUM SELLA
    SHOULDER SIJOINT SINUS SINUSES SKIN SKULL SMALLBOWEL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR TAIL TARSUS
    TEETH TESTIS THIGH THORAX THUMB THYMUS THYROID TIBIA TIBIAFIBULA TLSPINE TMJ TOE TOES TONGUE TOOTH TRACHEA TRUNK
    TSPINE ULNA UNKNOWN UPPERARM UPPERLEG UPPERLIMB URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WHOLESPINE WRIST
    ZYGOMA
"""
_BODY_PARTS_OF_TWO_WORDS = frozenset(
    [
        "WHOLE BODY",
        "WHOLE SPINE",
        "HEAD NECK",
        "HEAD AND NECK",
        "C SPINE",
        "T SPINE",
        "L SPINE",
        "LS SPINE",
        "TL SPINE",
        "CERVICAL SPINE",
        "THORACIC SPINE",
        "LUMBAR SPINE",
        "PORT CHEST",
        "CHEST ABDOMEN",
        "ABDOMEN PELVIS",
        "LOWER LEG",
        "UPPER LEG",
        "LOWER ARM",
        "UPPER ARM",
        "NASAL BONES",
        "FACIAL BONES",
        "SOFT TISSUE",
        "UP_EXM",
        "LOW_EXM",
        "UPPER_EXTREMITY",
        "LOWER_EXTREMITY",
        "LOWER EXTREMITY",
        "UPPER EXTREMITY",
        "WHOLE_BODY",
        "C_SPINE",
        "T_SPINE",
        "L_SPINE",
        "HEAD_NECK",
    ]
)
_VIEWS = """
    AP PA LL RL RLD LLD RLO LLO LAO RAO LPO RPO LAT LATERAL OBL OBLIQUE AXIAL TANGENTIAL DECUBITUS
    MLO CC ML LM LMO XCCL XCCM XCC FB SIO ISO CV AT SPECIMEN CCID MLID LMID
"""
_LOSSY_METHODS = """
    ISO_10918_1 ISO_14495_1 ISO_15444_1 ISO_15444_15 ISO_13818_2 ISO_14496_10 ISO_18181_1 ISO_23008_2
    MEDVEIL_LAPPED MEDVEIL_PRIMIS
"""
_LONGEST, _FARTHEST = 1000.0, 10_000.0  # mm
_LARGEST = 1e6  # a window's centre and width, an intercept, in modality units

# By tag; the empty value is a term everywhere.
TERMS: Mapping[int, frozenset[str]] = {
    0x00080016: STORAGE_CLASSES,
    0x00080060: frozenset(_MODALITIES.split()),
    0x00080064: frozenset(["DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"]),  # Conversion Type
    0x00080068: frozenset(["FOR PRESENTATION", "FOR PROCESSING"]),  # Presentation Intent Type
    0x00180015: frozenset(_BODY_PARTS.split()) | _BODY_PARTS_OF_TWO_WORDS,
    0x00185101: frozenset(_VIEWS.split()),
    0x00280004: frozenset(["MONOCHROME1", "MONOCHROME2"]),
    0x00280301: frozenset(["YES", "NO"]),  # Burned In Annotation
    0x00280A02: frozenset(["GEOMETRY", "FIDUCIAL"]),  # Pixel Spacing Calibration Type
    0x00281040: frozenset(["LIN", "LOG", "DISP"]),  # Pixel Intensity Relationship
    0x00281056: frozenset(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),  # VOI LUT Function
    0x00282110: frozenset(["00", "01"]),  # Lossy Image Compression
    0x00282114: frozenset(_LOSSY_METHODS.split()),
    0x20500020: frozenset(["IDENTITY", "INVERSE", "LIN OD"]),  # Presentation LUT Shape
}
# By tag: how many numbers at most, and from where to where they may lie.
RANGES: Mapping[int, tuple[int, float, float]] = {
    0x00180050: (1, 0.0, _LONGEST),  # Slice Thickness
    0x00180088: (1, -_LONGEST, _LONGEST),  # Spacing Between Slices
    0x00181164: (2, 0.0, _LONGEST),  # Imager Pixel Spacing
    0x00182010: (2, 0.0, _LONGEST),  # Nominal Scanned Pixel Spacing
    0x00200032: (3, -_FARTHEST, _FARTHEST),  # Image Position (Patient)
    0x00200037: (6, -1.01, 1.01),  # Image Orientation (Patient)
    0x00201041: (1, -_FARTHEST, _FARTHEST),  # Slice Location
    0x00280008: (1, 0, 1),  # Number of Frames
    0x00280030: (2, 0.0, _LONGEST),  # Pixel Spacing
    0x00280034: (2, 0, 1000),  # Pixel Aspect Ratio
    0x00281050: (16, -_LARGEST, _LARGEST),  # Window Center
    0x00281051: (16, 0.0, _LARGEST),  # Window Width
    0x00281052: (1, -_LARGEST, _LARGEST),  # Rescale Intercept
    0x00281053: (1, -_LARGEST, _LARGEST),  # Rescale Slope
    0x00282112: (8, 0.0, 1000.0),  # Lossy Image Compression Ratio
}
_AXES = {"R": 0, "L": 0, "A": 1, "P": 1, "F": 2, "H": 2}


def is_term(tag: int, values: list[str]) -> bool:
    """Whether these values of an attribute are defined terms; True of attributes that hold no terms."""
    allowed = TERMS.get(tag)
    return allowed is None or all(not value or value in allowed for value in values)


def is_in_range(tag: int, numbers: list[float]) -> bool:
    """Whether these numbers can be such a quantity; True of attributes that are no quantity."""
    if tag not in RANGES:
        return True
    count, low, high = RANGES[tag]
    return len(numbers) <= count and all(low <= number <= high for number in numbers)


def is_direction(value: str) -> bool:
    """Whether a value of Patient Orientation names every axis at most once."""
    axes = [_AXES.get(letter, -1) for letter in value]
    return -1 not in axes and len(set(axes)) == len(axes)
