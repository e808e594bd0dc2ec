"""One object a level: what it protects it opens again, under another key too; strangers get the public part alone."""

from dataclasses import dataclass

import numpy as np
import pytest
from tests.pictures import picture

from medveil.codecs.code import Bucket, SparseCode
from medveil.codecs.coding import Coding
from medveil.codecs.registry import get_codec
from medveil.errors import IntegrityError
from medveil.images.image import FileKind, Image, Source
from medveil.keys.tiers import Section
from medveil.protection.keystream import Keystream
from medveil.protection.levels import CODE, LEVELS, PREVIEW, SUPPORT, Obfuscated, coding_of, level_of

BUCKET = Bucket(64, 64)
IMAGE = Image.of_pixels(picture(1, 64, 60), 8, Source(FileKind.PNG, b""))
_lapped = get_codec("lapped")
CODING = Coding(_lapped, _lapped.profile(quality_centidb=3400, sparsity=None, deep=0))
LEVEL = pytest.mark.parametrize("level", [make() for make in LEVELS.values()], ids=list(LEVELS))


def key(section, number=0):
    return bytes([number]) * 16 + section.encode().ljust(16)


@dataclass
class Held:
    """The sections of a package, as the level wrote them, for who has the keys of this number."""

    data: dict
    plains: dict
    level: object
    number: int = 0

    def public(self, section):
        return self.level.read(section, self.data[section], CODING, BUCKET)

    def plain(self, section):
        return self.level.unpadded(self.plains[section])

    def key(self, section):
        return key(section, self.number)


def codes_of(level):
    """The codes that images have at this level: a preview where it may have one."""
    base = None
    if level.tiered:
        preview = CODING.preview
        base = preview.encode(IMAGE, level.budget(preview, BUCKET))
    main = CODING.encode(IMAGE, level.budget(CODING, BUCKET), base)
    return {CODE: main} if base is None else {PREVIEW: base, CODE: main}


def held(level):
    protected = level.protect(codes_of(level), CODING, BUCKET, key, Keystream(bytes(32), "decoys"))
    data = {section: public.to_bytes() for section, public in protected.public.items()}
    return Held(data, dict(protected.plain), level)


def same(one: SparseCode, other: SparseCode) -> bool:
    pairs = zip(one.maps, other.maps, strict=True)
    return one.side == other.side and all(
        np.array_equal(a.positions, b.positions) and np.array_equal(a.levels, b.levels) for a, b in pairs
    )


@LEVEL
def test_what_a_level_protects_it_opens_again(level):
    sections = held(level)
    for section, code in codes_of(level).items():
        assert same(level.open(section, sections, CODING, BUCKET), code)
    assert set(sections.data) | set(sections.plains) == set(level.sections(preview=level.tiered))
    assert set(sections.data) == set(level.shown) & set(level.sections(preview=level.tiered))


@LEVEL
def test_a_code_that_is_sealed_anew_opens_with_the_new_key(level):
    sections = held(level)
    for section, data in list(sections.data.items()):
        new = level.reseal(section, data, CODING, BUCKET, key(section), key(section, 1))
        assert (new == data) is level.clear(section)
        sections.data[section] = new
    sections.number = 1
    for section, code in codes_of(level).items():
        assert same(level.open(section, sections, CODING, BUCKET), code)


@LEVEL
def test_sections_have_the_length_that_is_stated(level):
    for section, data in held(level).data.items():
        stated = level.length(section, CODING, BUCKET)
        assert stated == (None if level.clear(section) else len(data))
    assert level.length(SUPPORT, CODING, BUCKET) is None


@LEVEL
def test_a_stranger_sees_a_picture_of_the_public_part_alone(level):
    sections = held(level)
    data = sections.data.get(CODE, sections.plains.get(CODE))
    seen = level.public_view(data, CODING, BUCKET)
    assert seen.dtype == np.uint8
    assert abs(seen.shape[0] - 64) < 64
    likeness = np.corrcoef(seen[:60, :60].ravel(), IMAGE.pixels[:60, :60].ravel())[0, 1]
    assert abs(likeness) < 0.5


@LEVEL
def test_what_is_no_code_of_the_level_is_refused(level):
    for section in level.shown:
        with pytest.raises(IntegrityError):
            level.read(section, b"\x01" * 40, CODING, BUCKET)
    with pytest.raises(IntegrityError):
        level.read(SUPPORT, b"", CODING, BUCKET)


def test_levels_have_names_and_decoys():
    assert level_of("obfuscated", 7) == Obfuscated(7)
    assert [level_of(name, 7).decoys for name in ("sealed", "encrypted")] == [None, None]
    assert (PREVIEW, CODE, SUPPORT) == (Section.PREVIEW, Section.CODE, Section.SUPPORT)
    assert [level_of(name).locked_by(CODE) for name in LEVELS] == [CODE, CODE, SUPPORT]
    assert coding_of(CODE, CODING) is CODING
    assert coding_of(PREVIEW, CODING) is CODING.preview
