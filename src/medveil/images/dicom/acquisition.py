"""How an image was taken, as far as everybody who opens it may know: `more` of the pixel record.

Integers, numbers and coded or defined terms that PS3.15 table E.1-1 does not name, from the modules of CT, MR, CR, DX,
mammography, PET, NM and XA. A number travels only if it lies where such a quantity can lie (so that no date of eight
digits and no long patient number fits into an integer), a term only if the standard or common usage defines it. What
is free text in the standard (convolution kernel, filter, manufacturer) travels only as a word of a list. The same
table is applied at sealing and at opening, where what it does not hold is left out: a later version may know more.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping

from medveil.images.dicom.attributes import IMAGE_TYPE, numbers, text, texts
from medveil.images.dicom.elements import Element

METHOD_CODES = 0x00120064
INSTANCE_NUMBER = 0x00200013
_MAX_BYTES = 512  # of a value
_MAX_WORD = 8192  # of a US: two printable characters are more
_DIGITS = 7  # significant ones of an FD or DS: eight characters in its bytes, or a date in a DS, do not survive that
_LONGEST_NUMBER = 16  # characters of a DS (PS3.5 6.2)
MAX_NUMBER = 65_535  # of a series, an acquisition, an instance: a year fits, a date does not

Check = Callable[[Element], bool]

_WHOLE = re.compile(r"[+-]?\d{1,9}")


def _whole(low: int, high: int, count: int = 1) -> Check:
    """Up to `count` integers of an IS, or of a US, in [low, high]."""

    def check(element: Element) -> bool:
        if element.vr == "US":
            values = list(struct.unpack(f"<{len(element.data) // 2}H", element.data[: len(element.data) // 2 * 2]))
            return len(element.data) == 2 * len(values) and _lie(values, low, high, count)
        parts = texts(element)
        return all(map(_WHOLE.fullmatch, parts)) and _lie([int(part) for part in parts], low, high, count)

    return check


def _number(low: float, high: float, count: int = 1) -> Check:
    """Up to `count` numbers of a DS, or of an FD, in [low, high]."""

    def check(element: Element) -> bool:
        if element.vr == "FD":
            values = list(struct.unpack(f"<{len(element.data) // 8}d", element.data[: len(element.data) // 8 * 8]))
            return len(element.data) == 8 * len(values) and _lie(values, low, high, count)
        short = all(len(part) <= _LONGEST_NUMBER for part in texts(element))
        return short and _lie(numbers(element) or [], low, high, count)

    return check


def _lie(values: list[int] | list[float], low: float, high: float, count: int) -> bool:
    return 1 <= len(values) <= count and all(math.isfinite(value) and low <= value <= high for value in values)


def _term(words: str, count: int = 1, *, separator: str | None = None) -> Check:
    """Up to `count` of these words (which blanks, or else `separator`, part); capitals and small letters are one."""
    allowed = {word.strip() for word in words.split(separator)} - {""}

    def check(element: Element) -> bool:
        parts = texts(element)
        return 1 <= len(parts) <= count and all(part.upper() in allowed for part in parts)

    return check


def _kernel(element: Element) -> bool:
    """A convolution kernel: a maker's word for one, and of Siemens maybe the strength of the iterations behind it."""
    parts = texts(element)
    known = 1 <= len(parts) <= 2 and (parts[0] in _KERNELS or bool(_KERNEL_FAMILIES.fullmatch(parts[0])))
    return known and all(part in _STRENGTHS for part in parts[1:])


_STRENGTHS = frozenset("12345")
_KERNEL_FAMILIES = re.compile(
    "(B|C|D|E|H|I|S|T|U|Bf|Bl|Br|Bv|Cv|Hc|Hf|Hp|Hr|Hv|Qr|Sa|Ub|Uf|Uh|Ur|Us)[1-9][0-9][fshumdt]?"  # Siemens
    "|F[CL][0-9]{2}"  # Toshiba, Canon
)
_WORDS_OF_KERNELS = """
    STANDARD STANDARD+ STD STD+ SOFT SOFT+ DETAIL LUNG CHEST BONE BONE+ BONEPLUS EDGE EDGE+ ULTRA SHARP SHARP+ SMOOTH
    SMOOTH+ HEAD BODY BRAIN A B C D E F L EA EB EC FA FB FC UA UB UC XCA XCB XCC YA YB YC YD SA SB SC CA CB CC CD
    HEAD_SOFT B_SOFT_A B_SOFT_B B_SOFT_C B_SHARP_A B_SHARP_B B_SHARP_C B_VSOFT_A B_VSOFT_B B_VSOFT_C H_SOFT_A H_SOFT_B
    H_SOFT_C H_SHARP_A H_SHARP_B H_SHARP_C C_SOFT_A C_SOFT_B LUNG_A LUNG_B
"""
_KERNELS = frozenset(_WORDS_OF_KERNELS.split()) | {"SOFT TISSUE", "BONE PLUS", "HD STANDARD"}
_MANUFACTURERS = """
    SIEMENS|SIEMENS HEALTHINEERS|SIEMENS HEALTHCARE|SIEMENS HEALTHCARE GMBH|GE MEDICAL SYSTEMS|G.E. MEDICAL SYSTEMS|
    GE HEALTHCARE|"GE HEALTHCARE"|GEMS|GE|PHILIPS|PHILIPS MEDICAL SYSTEMS|PHILIPS HEALTHCARE|
    PHILIPS MEDICAL SYSTEMS DMC GMBH|MARCONI MEDICAL SYSTEMS|PICKER INTERNATIONAL, INC.|ADAC|CPS|CTI|TOSHIBA|
    TOSHIBA_MEC|TOSHIBA_MEC_US|TOSHIBA_MEC_XR|CANON|CANON_MEC|CANON INC.|CANON MEDICAL SYSTEMS|HITACHI|
    HITACHI MEDICAL CORPORATION|HITACHI, LTD.|FUJIFILM|FUJIFILM CORPORATION|FUJI PHOTO FILM CO., LTD.|
    FUJI PHOTO FILM CO. LTD.|AGFA|AGFA-GEVAERT|AGFA HEALTHCARE|KODAK|EASTMAN KODAK COMPANY|CARESTREAM|
    CARESTREAM HEALTH|CARESTREAM HEALTH, INC.|KONICA|KONICA MINOLTA|KONICA MINOLTA, INC.|HOLOGIC|HOLOGIC, INC.|LORAD|
    LORAD, A HOLOGIC COMPANY|SAMSUNG|SAMSUNG ELECTRONICS|SAMSUNG MEDISON CO., LTD.|NEUROLOGICA|SHIMADZU|
    SHIMADZU CORPORATION|UIH|UNITED IMAGING HEALTHCARE|NEUSOFT|NMS|MINFOUND|HYPERFINE|HYPERFINE RESEARCH|BRUKER|
    BRUKER BIOSPIN MRI GMBH|ESAOTE|ESAOTE S.P.A.|FONAR|PARAMED|TIME MEDICAL|PLANMED|PLANMED OY|IMS|
    IMS GIOTTO S.P.A.|SECTRA|SECTRA IMTEC AB|SWISSRAY|DRGEM|VIEWORKS|RAYENCE|TRIXELL|VARIAN|
    VARIAN MEDICAL SYSTEMS|ELEKTA|ACCURAY|MEDISO|SPECTRUM DYNAMICS|ALOKA CO., LTD.|ACUSON|ATL|SONOSITE, INC.
"""
_FILTERS = """
    NONE|STRIP|WEDGE|BUTTERFLY|MULTIPLE|FLAT|BOWTIE|HEAD FILTER|BODY FILTER|SMALL FILTER|MEDIUM FILTER|LARGE FILTER|
    SMALL BOWTIE FIL|MEDIUM BOWTIE FI|LARGE BOWTIE FIL
"""
_SCAN_OPTIONS = """
    PER|RG|CG|PPG|FC|PFF|PFP|SP|FS|CT|SAT|SAT1|SAT2|IR|MTC|WE|PROSPECTIVE|GATED|EDR_GEMS|FAST_GEMS|SEQ_GEMS|
    FILTERED_GEMS|PHASED_ARRAY|ACC_GEMS|FILL_GEMS|NPW|TRF_GEMS|VASCTOF_GEMS|CINE|CINE_MODE|AXIAL|AXIAL MODE|AXIAL_SCAN|
    HELICAL|HELICAL MODE|HELICAL_CT|HELIX|SPIRAL|SEQUENTIAL|SCOUT|SCOUT MODE|SCANOSCOPE|SURVIEW|TOPOGRAM|TOMO|
    VOLUME_SCAN|NORMAL_CT|DYNAMIC|DYNAMIC_CT|CARDIAC|CARDIO
"""
_IMAGE_TYPES = """
    AXIAL|LOCALIZER|REFORMATTED|AVERAGE|RESAMPLED|CT_SOM5 SPI|CT_SOM5 SEQ|CT_SOM5 TOP|CT_SOM7 SPI|CT_SOM7 SEQ|
    CT_SOM7 TOP|DENSITY MAP|DIFFUSION MAP|IMAGE ADDITION|MODULUS SUBTRACT|MPR|OTHER|PHASE MAP|PHASE SUBTRACT|
    PROJECTION IMAGE|T1 MAP|T2 MAP|VELOCITY MAP|M|P|R|I|M_FFE|P_FFE|R_FFE|I_FFE|M_SE|P_SE|M_IR|P_IR|M_PCA|P_PCA|FFE|
    SE|IR|PCA|MAG|MAGNITUDE|PHASE|REAL|IMAGINARY|ADC|ADC_UNSPECIFIED|FA|TRACEW|TENSOR|DIFFUSION|PERFUSION|MEAN|SUB|
    MIP|MIN IP|MNIP|SWI|T1|T2|T2_STAR|FAT|WATER|IN_PHASE|OUT_PHASE|OPP_PHASE|NORM|ND|DIS2D|DIS3D|FM|FIL|MOSAIC|
    MFSPLIT|SINGLE PLANE|BIPLANE A|BIPLANE B|PROJECTION|RECON|WHOLE BODY|STATIC|DYNAMIC|GATED|TOMO|RECON TOMO|
    EMISSION|TRANSMISSION
"""
_IMAGE_KINDS = frozenset(word.strip() for word in _IMAGE_TYPES.split("|"))
_POSITIONS = "HFP HFS HFDR HFDL FFDR FFDL FFP FFS LFP LFS RFP RFS AFDR AFDL PFDR PFDL"
_FILTER_MATERIALS = """
    MOLYBDENUM ALUMINUM COPPER RHODIUM NIOBIUM EUROPIUM LEAD TIN TANTALUM SILVER TITANIUM GOLD IRON MIXED
"""
_CORRECTIONS = """
    UNIF COR NCO DECY ATTN SCAT DTIM NRGY LIN MOTN CLN RAN RADL DCAL NORM PMOT MOT TOF PSF RMOT NONE
"""
_UNITS = """
    CNTS NONE CM2 CM2ML PCNT CPS BQML MGMINML UMOLMINML MLMING MLG 1CM UMOLML PROPCNTS PROPCPS MLMINML MLML GML STDDEV
"""
_ORGANS = "BREAST GONADS BONE MARROW FETUS THYROID LUNG"
_YES_NO = "YES NO"
_MM, _MILLISECONDS = 10_000.0, 1e6
_MICRO = 1e7  # µAs, µA, µs: a date of eight digits is more

_Rules = Mapping[int, tuple[str, Check]]

_GENERAL: _Rules = {
    0x00080070: ("LO", _term(_MANUFACTURERS, separator="|")),  # Manufacturer
    0x00185100: ("CS", _term(_POSITIONS)),  # Patient Position
    0x00200011: ("IS", _whole(0, MAX_NUMBER)),  # Series Number
    0x00200012: ("IS", _whole(0, MAX_NUMBER)),  # Acquisition Number
    INSTANCE_NUMBER: ("IS", _whole(0, MAX_NUMBER)),
    0x00200100: ("IS", _whole(0, MAX_NUMBER)),  # Temporal Position Identifier
    0x00200105: ("IS", _whole(0, MAX_NUMBER)),  # Number of Temporal Positions
    0x00201002: ("IS", _whole(0, MAX_NUMBER)),  # Images in Acquisition
    0x00181041: ("DS", _number(0, 10_000)),  # Contrast/Bolus Volume, ml
    0x00181048: ("CS", _term("IODINE|GADOLINIUM|CARBON DIOXIDE|BARIUM", separator="|")),  # Contrast/Bolus Ingredient
    0x00181060: ("DS", _number(0, _MILLISECONDS)),  # Trigger Time, from the R wave
    0x00181062: ("IS", _whole(0, 100_000)),  # Nominal Interval
    0x00181090: ("IS", _whole(0, MAX_NUMBER)),  # Cardiac Number of Images
    0x00181242: ("IS", _whole(0, 10_000_000)),  # Actual Frame Duration, ms
}
_CT: _Rules = {
    0x00180022: ("CS", _term(_SCAN_OPTIONS, 8, separator="|")),  # Scan Options (MR too)
    0x00180060: ("DS", _number(0, 1000)),  # KVP
    0x00180090: ("DS", _number(0, _MM)),  # Data Collection Diameter
    0x00181100: ("DS", _number(0, _MM)),  # Reconstruction Diameter
    0x00181110: ("DS", _number(0, _MM)),  # Distance Source to Detector
    0x00181111: ("DS", _number(0, _MM)),  # Distance Source to Patient
    0x00181120: ("DS", _number(-90, 90)),  # Gantry/Detector Tilt
    0x00181130: ("DS", _number(-_MM, _MM)),  # Table Height
    0x00181140: ("CS", _term("CW CC")),  # Rotation Direction
    0x00181150: ("IS", _whole(0, 1_000_000)),  # Exposure Time, ms
    0x00181151: ("IS", _whole(0, 100_000)),  # X-Ray Tube Current, mA
    0x00181152: ("IS", _whole(0, 100_000)),  # Exposure, mAs
    0x00181153: ("IS", _whole(0, int(_MICRO))),  # Exposure in µAs
    0x00181160: ("SH", _term(_FILTERS, separator="|")),  # Filter Type
    0x00181170: ("IS", _whole(0, 1000)),  # Generator Power, kW
    0x00181190: ("DS", _number(0, 100, 4)),  # Focal Spot(s)
    0x00181210: ("SH", _kernel),  # Convolution Kernel
    0x00189305: ("FD", _number(0, 1000)),  # Revolution Time
    0x00189306: ("FD", _number(0, 1000)),  # Single Collimation Width
    0x00189307: ("FD", _number(0, 1000)),  # Total Collimation Width
    0x00189309: ("FD", _number(0, 10_000)),  # Table Speed
    0x00189310: ("FD", _number(0, 10_000)),  # Table Feed per Rotation
    0x00189311: ("FD", _number(0, 100)),  # Spiral Pitch Factor
    0x00189313: ("FD", _number(-_MM, _MM, 3)),  # Data Collection Center (Patient)
    0x00189318: ("FD", _number(-_MM, _MM, 3)),  # Reconstruction Target Center (Patient)
    0x00189323: ("CS", _term("NONE FIXED MANUAL AUTOMATIC XY_MOD Z_MOD XYZ_EC ANGULAR ECG ORGANBASED", 4)),
    0x00189345: ("FD", _number(0, 10_000)),  # CTDIvol
}
_MR: _Rules = {
    0x00180020: ("CS", _term("SE IR GR EP RM", 5)),  # Scanning Sequence
    0x00180021: ("CS", _term("SK MTC SS TRSS SP MP OSP TOF NONE", 8)),  # Sequence Variant
    0x00180023: ("CS", _term("2D 3D")),  # MR Acquisition Type
    0x00180025: ("CS", _term("Y N")),  # Angio Flag
    0x00180080: ("DS", _number(0, _MILLISECONDS)),  # Repetition Time
    0x00180081: ("DS", _number(0, _MILLISECONDS)),  # Echo Time
    0x00180082: ("DS", _number(0, _MILLISECONDS)),  # Inversion Time
    0x00180083: ("DS", _number(0, 10_000)),  # Number of Averages
    0x00180084: ("DS", _number(0, 10_000)),  # Imaging Frequency, MHz
    0x00180085: ("SH", _term("1H H 3HE 7LI 13C 17O 19F 23NA 31P 39K 129XE")),  # Imaged Nucleus
    0x00180086: ("IS", _whole(0, 1000)),  # Echo Number(s)
    0x00180087: ("DS", _number(0, 30)),  # Magnetic Field Strength, T
    0x00180089: ("IS", _whole(0, MAX_NUMBER)),  # Number of Phase Encoding Steps
    0x00180091: ("IS", _whole(0, MAX_NUMBER)),  # Echo Train Length
    0x00180093: ("DS", _number(0, 1000)),  # Percent Sampling
    0x00180094: ("DS", _number(0, 1000)),  # Percent Phase Field of View
    0x00180095: ("DS", _number(0, 1e6)),  # Pixel Bandwidth
    0x00181310: ("US", _whole(0, _MAX_WORD, 4)),  # Acquisition Matrix
    0x00181312: ("CS", _term("ROW COL")),  # In-plane Phase Encoding Direction
    0x00181314: ("DS", _number(0, 360)),  # Flip Angle
    0x00181315: ("CS", _term("Y N")),  # Variable Flip Angle Flag
    0x00181316: ("DS", _number(0, 1000)),  # SAR
    0x00189075: ("CS", _term("DIRECTIONAL BMATRIX ISOTROPIC NONE")),  # Diffusion Directionality
    0x00189087: ("FD", _number(0, 100_000)),  # Diffusion b-value
    0x00189089: ("FD", _number(-1.01, 1.01, 3)),  # Diffusion Gradient Orientation
}
_RADIOGRAPHY: _Rules = {
    0x00181114: ("DS", _number(0, 100)),  # Estimated Radiographic Magnification Factor
    0x00181147: ("CS", _term("RECTANGLE ROUND HEXAGONAL")),  # Field of View Shape
    0x00181149: ("IS", _whole(0, 10_000, 2)),  # Field of View Dimension(s)
    0x00181155: ("CS", _term("SC GR")),  # Radiation Setting
    0x0018115A: ("CS", _term("CONTINUOUS PULSED")),  # Radiation Mode
    0x0018115E: ("DS", _number(0, 1e7)),  # Image and Fluoroscopy Area Dose Product
    0x00181166: ("CS", _term("IN FIXED RECIPROCATING FOCUSED PARALLEL CROSSED NONE", 4)),  # Grid
    0x00181191: ("CS", _term("TUNGSTEN MOLYBDENUM RHODIUM COPPER")),  # Anode Target Material
    0x001811A0: ("DS", _number(0, 1000)),  # Body Part Thickness
    0x001811A2: ("DS", _number(0, 1000)),  # Compression Force
    0x00181402: ("CS", _term("LANDSCAPE PORTRAIT")),  # Cassette Orientation
    0x00181403: (
        "CS",
        _term(
            "18CMX24CM 8INX10IN 24CMX30CM 10INX12IN 30CMX35CM 30CMX40CM 11INX14IN 35CMX35CM 14INX14IN "
            "35CMX43CM 14INX17IN"
        ),
    ),  # Cassette Size
    0x00181405: ("IS", _whole(0, 1_000_000)),  # Relative X-Ray Exposure
    0x00181411: ("DS", _number(0, 1e6)),  # Exposure Index
    0x00181412: ("DS", _number(0, 1e6)),  # Target Exposure Index
    0x00181413: ("DS", _number(-100, 100)),  # Deviation Index
    0x00181508: ("CS", _term("CARM COLUMN MAMMOGRAPHIC PANORAMIC CEPHALOSTAT RIGID NONE")),  # Positioner Type
    0x00181510: ("DS", _number(-360, 360)),  # Positioner Primary Angle
    0x00181511: ("DS", _number(-360, 360)),  # Positioner Secondary Angle
    0x00181531: ("DS", _number(-360, 360)),  # Detector Secondary Angle
    0x00181700: ("CS", _term("RECTANGULAR CIRCULAR POLYGONAL", 3)),  # Collimator Shape
    0x00181702: ("IS", _whole(-MAX_NUMBER, MAX_NUMBER)),  # Collimator Left Vertical Edge
    0x00181704: ("IS", _whole(-MAX_NUMBER, MAX_NUMBER)),  # Collimator Right Vertical Edge
    0x00181706: ("IS", _whole(-MAX_NUMBER, MAX_NUMBER)),  # Collimator Upper Horizontal Edge
    0x00181708: ("IS", _whole(-MAX_NUMBER, MAX_NUMBER)),  # Collimator Lower Horizontal Edge
    0x00186000: ("DS", _number(0, 1e6)),  # Sensitivity
    0x00187004: ("CS", _term("DIRECT SCINTILLATOR STORAGE FILM")),  # Detector Type
    0x00187005: ("CS", _term("AREA SLOT")),  # Detector Configuration
    0x0018701A: ("DS", _number(0, 100, 2)),  # Detector Binning
    0x00187020: ("DS", _number(0, 100, 2)),  # Detector Element Physical Size
    0x00187022: ("DS", _number(0, 100, 2)),  # Detector Element Spacing
    0x00187030: ("DS", _number(-MAX_NUMBER, MAX_NUMBER, 2)),  # Field of View Origin
    0x00187032: ("DS", _number(0, 360)),  # Field of View Rotation
    0x00187034: ("CS", _term(_YES_NO)),  # Field of View Horizontal Flip
    0x00187050: ("CS", _term(_FILTER_MATERIALS, 4)),  # Filter Material
    0x00187052: ("DS", _number(0, 100, 4)),  # Filter Thickness Minimum
    0x00187054: ("DS", _number(0, 100, 4)),  # Filter Thickness Maximum
    0x00187060: ("CS", _term("MANUAL AUTOMATIC")),  # Exposure Control Mode
    0x00187064: ("CS", _term("NORMAL ABORTED")),  # Exposure Status
    0x00188150: ("DS", _number(0, _MICRO)),  # Exposure Time in µs
    0x00188151: ("DS", _number(0, _MICRO)),  # X-Ray Tube Current in µA
    0x00281300: ("CS", _term(_YES_NO)),  # Breast Implant Present
    0x00281350: ("CS", _term(_YES_NO)),  # Partial View
    0x00400302: ("US", _whole(0, _MAX_WORD)),  # Entrance Dose
    0x00400314: ("DS", _number(0, 100)),  # Half Value Layer
    0x00400316: ("DS", _number(0, 1000)),  # Organ Dose
    0x00400318: ("CS", _term(_ORGANS)),  # Organ Exposed
    0x00408302: ("DS", _number(0, 10_000)),  # Entrance Dose in mGy
}
_NUCLEAR: _Rules = {
    0x00181181: ("CS", _term("PARA PINH FANB CONE SLNT ASTG DIVG NONE UNKN")),  # Collimator Type
    0x00280051: ("CS", _term(_CORRECTIONS, 16)),  # Corrected Image
    0x00540081: ("US", _whole(0, _MAX_WORD)),  # Number of Slices
    0x00540101: ("US", _whole(0, _MAX_WORD)),  # Number of Time Slices
    0x00541000: ("CS", _term("STATIC|DYNAMIC|GATED|WHOLE BODY|IMAGE|REPROJECTION", 2, separator="|")),  # Series Type
    0x00541001: ("CS", _term(_UNITS)),  # Units
    0x00541002: ("CS", _term("EMISSION TRANSMISSION")),  # Counts Source
    0x00541004: ("CS", _term("SUM|MAX PIXEL", separator="|")),  # Reprojection Method
    0x00541006: ("CS", _term("BSA BW LBM IBW LBMJAMES128 LBMJANMA")),  # SUV Type
    0x00541100: ("CS", _term("NONE DLYD SING")),  # Randoms Correction Method
    0x00541102: ("CS", _term("NONE START ADMIN")),  # Decay Correction
    0x00541300: ("DS", _number(-_MICRO, _MICRO)),  # Frame Reference Time, ms
    0x00541321: ("DS", _number(0, 1e6)),  # Decay Factor
    0x00541322: ("DS", _number(0, 1e9)),  # Dose Calibration Factor
    0x00541323: ("DS", _number(0, 1)),  # Scatter Fraction Factor
    0x00541324: ("DS", _number(0, 1000)),  # Dead Time Factor
    0x00541330: ("US", _whole(0, _MAX_WORD)),  # Image Index
}
RULES: _Rules = {**_GENERAL, **_CT, **_MR, **_RADIOGRAPHY, **_NUCLEAR}

# What was done to the pixels before (CID 7050), and stays true whatever else is removed.
PIXEL_METHODS = {"113101": "Clean Pixel Data Option", "113102": "Clean Recognizable Visual Features Option"}
_CODE_VALUE, _CODE_SCHEME, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104


def travelling(elements: Mapping[int, Element]) -> list[Element]:
    """The part of a data set that may stand in `more`; what is empty says nothing and stays out."""
    kept = (_kept(element) for element in elements.values())
    return [element for element in kept if element is not None]


def _kept(element: Element) -> Element | None:
    if element.tag == METHOD_CODES:
        codes = sorted({text(one.get(_CODE_VALUE)) for one in _items(element) if _is_of_pixels(one)})
        return coded(METHOD_CODES, [(code, "DCM", PIXEL_METHODS[code]) for code in codes]) if codes else None
    if element.tag == IMAGE_TYPE and element.vr == "CS":
        return _image_type(texts(element))
    vr, check = RULES.get(element.tag, ("", None))
    if check is None or element.encapsulated or element.items or len(element.data) > _MAX_BYTES:
        return None
    if element.vr == "UN":
        element = Element(element.tag, vr, element.value)
    if element.vr != vr or not element.data.strip(b" \0") or not check(element):
        return None
    return _rounded(element) if vr in ("FD", "DS") else element


def _rounded(element: Element) -> Element:
    """The same numbers with as many digits as a measurement has."""
    if element.vr == "DS":
        joined = "\\".join(f"{value + 0.0:.{_DIGITS}g}" for value in numbers(element) or [])
        return Element(element.tag, "DS", (joined + " " * (len(joined) % 2)).encode())
    values = [float(f"{value:.{_DIGITS}g}") for value in struct.unpack(f"<{len(element.data) // 8}d", element.data)]
    return Element(element.tag, "FD", struct.pack(f"<{len(values)}d", *values))


def _image_type(values: list[str]) -> Element | None:
    """Image Type with the words of the modality from its third value on, where any of them is known."""
    words = [value if value in _IMAGE_KINDS else "" for value in values[2:]]
    if not any(words) or values[0] not in ("ORIGINAL", "DERIVED") or values[1] not in ("PRIMARY", "SECONDARY"):
        return None
    joined = "\\".join([*values[:2], words[0] or "OTHER", *filter(None, words[1:])])
    return Element(IMAGE_TYPE, "CS", (joined + " " * (len(joined) % 2)).encode())


def _items(element: Element) -> list[dict[int, Element]]:
    return [{inner.tag: inner for inner in item} for item in element.items]


def _is_of_pixels(code: Mapping[int, Element]) -> bool:
    return text(code.get(_CODE_SCHEME)) == "DCM" and text(code.get(_CODE_VALUE)) in PIXEL_METHODS


def coded(tag: int, codes: list[tuple[str, str, str]]) -> Element:
    """A sequence of these codes, each (value, scheme, meaning)."""
    tags = ((_CODE_VALUE, "SH"), (_CODE_SCHEME, "SH"), (_CODE_MEANING, "LO"))
    items = (
        tuple(Element(*tags[index], (word + " " * (len(word) % 2)).encode()) for index, word in enumerate(code))
        for code in codes
    )
    return Element(tag, "SQ", tuple(items))
