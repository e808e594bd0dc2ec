"""Identity sections are short for pictures of one program, and their dictionary tells nothing of anybody."""

import zlib

import pytest
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo
from tests.pictures import picture

from medveil.keys.tiers import Section, Tier
from medveil.releases.granting import Request, grant
from medveil.releases.listing import list_originals
from medveil.releases.packages.origin import MAX_DICTIONARY, Origin, common_part, pack_identity, unpack_identity
from medveil.releases.release import Release
from medveil.releases.settings import ShareSettings, survey
from medveil.releases.sharing import share

PROFILE = bytes(range(256)) * 4


def test_a_dictionary_holds_what_two_images_carry():
    assert common_part([b"a", b"b", b"", b""]) == b""
    assert common_part([b"rare", b"often", b"often", b"often", b"twice", b"twice"]) == b"twiceoften"
    assert len(common_part([bytes([n]) * 10_000 for n in range(9)] * 2)) == MAX_DICTIONARY


def test_a_section_with_a_known_profile_is_short():
    origin, record = Origin("a/b.png", bytes(32)), zlib.compress(PROFILE)
    packed = pack_identity(origin, record, record)
    assert len(packed) < len(pack_identity(origin, record, b"")) - 200
    assert unpack_identity(packed, record, "section", 1 << 20) == (origin, record)


@pytest.fixture
def named(tmp_path):
    """Three pictures with one colour profile, and with a name of their own, the last two with the same."""
    folder = tmp_path / "named"
    folder.mkdir()
    for number, name in enumerate(("ANNA", "DORA", "DORA")):
        info = PngInfo()
        info.add_text("Patient", f"{name} 1950-01-0{number // 2 + 1}" * 20)
        Picture.fromarray(picture(number)).save(folder / f"{name}{number}.png", pnginfo=info, icc_profile=PROFILE)
    return folder


def test_names_never_enter_the_dictionary(named):
    found = survey([(path, path.name) for path in sorted(named.iterdir())])
    assert len(found.dictionary) > 100
    assert b"DORA" not in found.dictionary
    assert b"Patient" not in found.dictionary


def test_identity_of_one_package_tells_nothing_of_the_others(tmp_path, named, people):
    out = tmp_path / "release"
    share([named], out, ShareSettings(tiers=(Tier.PREVIEW,), jobs=1), owner=people["owner"])
    anna = next(row.package for row in list_originals(out, people["owner"]) if "ANNA" in row.path)
    bob = people["alice"]
    request = Request((bob.recipient,), {bob.recipient: Tier.PREVIEW}, (bob.recipient,), only=(anna,))
    grant(out, request, people["owner"])
    ring = Release(out).access_of(bob).ring
    assert {package.hex() for package, _ in ring.sections} == {anna}
    assert (bytes.fromhex(anna), Section.IDENTITY) in ring.sections
    assert ring.dictionary
    assert b"DORA" not in ring.dictionary
    assert [row.path for row in list_originals(out, bob)] == ["named/ANNA0.png"]
