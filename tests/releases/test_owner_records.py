"""What one owner writes into the notes is read by the programs of the others."""

from dataclasses import replace

import pytest

from medveil.codecs.code import Profile
from medveil.errors import IntegrityError, NoFittingKeyError
from medveil.files import canonical
from medveil.keys.identity import Identity
from medveil.keys.tiers import EpochKeys, Tier
from medveil.keys.wrapping import wrap
from medveil.releases.records.manifest import Manifest
from medveil.releases.records.owner_records import DRAFT, GrantNote, Notes, OwnerBook

KEY = b"k" * 32
GRANT = [b"g" * 16, ["age1" + "q" * 58, b""], "exact", True, [], "", False]


def notes(settings=None, keys=((0, KEY, KEY),), granted=(GRANT,)):
    return canonical.dumps([{} if settings is None else settings, [list(row) for row in keys], list(granted)])


def changed(place, value):
    return [value if number == place else field for number, field in enumerate(GRANT)]


def test_notes_come_back():
    people = [Identity.fresh(classical=True).recipient, Identity.fresh().recipient]
    granted = tuple(
        GrantNote(
            bytes([i]) * 16, person, Tier.PREVIEW, bool(i), (b"p" * 16,) * i, "2027-01-01" * i, not i, "exact" * i
        )
        for i, person in enumerate(people)
    )
    written = Notes({"limits": [None, 1.5]}, {0: EpochKeys.fresh(), 7: EpochKeys.fresh()}, granted)
    assert Notes.from_bytes(written.to_bytes()) == written
    assert Notes.from_bytes(notes()).keys[0].tier_key == KEY


def test_notes_of_the_first_version_have_a_uid_key_for_each_tier():
    assert Notes.from_bytes(notes()).granted[0].uid_tier == "exact"
    assert Notes.from_bytes(notes(settings={"uid_tiers": [""]})).granted[0].uid_tier == ""
    assert Notes.from_bytes(notes(settings={"uid_tiers": [""], "embed": True})).settings == {"embed": True}


def named(name, length=64):
    return notes(settings={"names": [[b"g" * 16, name.encode().ljust(length, b"\0")]]})


def test_names_come_back_and_their_lengths_do_not_show():
    person = Identity.fresh(classical=True).recipient
    lengths = set()
    for name in ("", "alice", "Zoë " + "x" * 60):
        written = Notes(granted=(GrantNote(b"g" * 16, replace(person, name=name), Tier.EXACT, True),)).to_bytes()
        lengths.add(len(written))
        assert Notes.from_bytes(written).granted[0].recipient.name == name.encode()[:64].decode()
    assert len(lengths) == 1
    assert Notes.from_bytes(named("ida")).granted[0].recipient.name == "ida"
    assert Notes.from_bytes(notes()).granted[0].recipient.name == ""
    assert Notes.from_bytes(named("ida")).settings == {}


@pytest.mark.parametrize(
    "data",
    [
        notes(settings=[]),
        notes(settings={"uid_tiers": []}),
        notes(settings={"uid_tiers": ["", ""]}),
        notes(settings={"uid_tiers": ["best"]}),
        notes(settings={"uid_tiers": [[]]}),
        notes(settings={"uid_tiers": {}}),
        notes(settings={"names": {}}),
        notes(settings={"names": [[b"g" * 16]]}),
        notes(settings={"names": [[b"g" * 16, "ida"]]}),
        notes(settings={"names": [["g", bytes(64)]]}),
        named("ida", 3),
        named("i\x1bda"),
        named(" ida"),
        notes(keys=[(0, KEY, b"short")]),
        notes(keys=[(0, [], KEY)]),
        notes(keys=[(None, KEY, KEY)]),
        notes(keys=[([], KEY, KEY)]),
        notes(keys=[(1 << 32, KEY, KEY)]),
        notes(keys=[(1, KEY, KEY), (0, KEY, KEY)]),
        notes(keys=[(1, KEY, KEY), (1, KEY, KEY)]),
        notes(keys=[(1, KEY)]),
        notes(granted=[[]]),
        notes(granted=[{}]),
        notes(granted=[changed(0, b"short")]),
        notes(granted=[changed(1, ["age26nonsense", b""])]),
        notes(granted=[changed(1, [{}, b""])]),
        notes(granted=[changed(1, ["age1qq", b"short"])]),
        notes(granted=[changed(1, ["age1qq", "text"])]),
        notes(granted=[changed(2, "best")]),
        notes(granted=[changed(2, [])]),
        notes(granted=[changed(3, 1)]),
        notes(granted=[changed(4, b"")]),
        notes(granted=[changed(4, [b"short"])]),
        notes(granted=[changed(5, b"2027-01-01")]),
        notes(granted=[changed(5, "tomorrow")]),
        notes(granted=[changed(6, None)]),
        canonical.dumps([{}, {}, []]),
        canonical.dumps([{}, []]),
        canonical.dumps(7),
        b"",
    ],
)
def test_notes_of_another_form_are_refused(data):
    with pytest.raises(IntegrityError):
        Notes.from_bytes(data)


def test_a_draft_comes_back_to_its_owner_alone(tmp_path):
    owner, thief = Identity.fresh(classical=True), Identity.fresh(classical=True)
    verify_key = owner.recipient.verify_key
    manifest = Manifest(
        b"r" * 16, 0, 0, verify_key, False, "sealed", Profile("lapped", 4000), tuple(Tier), (64, 128), "2026-11-21"
    )
    book = OwnerBook(manifest, KEY, {"embed": True}, {0: EpochKeys.fresh()}, dictionary=b"names")
    book.save_draft(tmp_path, owner)
    found = OwnerBook.load_draft(tmp_path, owner)
    assert (found.manifest, found.keys, found.settings, found.dictionary) == (
        manifest,
        book.keys,
        {"embed": True},
        b"names",
    )
    with pytest.raises(NoFittingKeyError):
        OwnerBook.load_draft(tmp_path, thief)
    payload = canonical.dumps([manifest.to_bytes(), KEY, notes(), b""])
    for error, body in (
        (NoFittingKeyError, [payload, thief.sign(b"medveil/v1/draft", payload)]),  # anybody can wrap for the owner
        (NoFittingKeyError, [payload]),
        (IntegrityError, [payload, owner.sign(b"medveil/v1/draft", payload)]),  # of another form
        (IntegrityError, [b"", owner.sign(b"medveil/v1/draft", b"")]),
    ):
        (tmp_path / DRAFT).write_bytes(wrap(canonical.dumps(body), owner.recipient))
        with pytest.raises(error):
            OwnerBook.load_draft(tmp_path, owner)
