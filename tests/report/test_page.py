"""The report as a page: self-contained, escaped, complete, and for its user alone."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.audit.invented import HOSTILE, attack, attacks, audit, fidelity, measured, small

from medveil.audit.results import Verdict
from medveil.report.amounts import amount, interval
from medveil.report.charts import charts
from medveil.report.page import full_record, html_of, write_report
from medveil.report.sentences import answer, headline

_VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: text, elements, and everything that would be loaded."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.loaded, self.words, self.values = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        named = dict(attrs)
        self.loaded += [
            named[name] for name in ("src", "href", "data", "action", "srcset", "poster") if named.get(name)
        ]
        assert not [name for name in named if name.startswith("on")]
        self.values += [named["value"]] if tag == "data" else []
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "report"
    write_report(audit(), path)
    return path


@pytest.fixture
def undrawn(monkeypatch):
    """Reports without figures, for what is not about them."""
    monkeypatch.setattr("medveil.report.page._drawings", lambda *_, **__: ())


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_page_is_whole_and_loads_nothing(html):
    page = Page(html)
    assert page.elements.count("img") == 8
    assert "script" not in page.elements
    assert "link" not in page.elements
    assert all(source.startswith(("data:image/", "#")) for source in page.loaded)
    assert not re.search(r"https?:|url\(|@import", html)


def test_hostile_text_is_escaped(html):
    assert HOSTILE not in html
    assert "<script" not in html
    assert HOSTILE in Page(html).text


def test_every_number_of_the_attacks_is_on_the_page(folder, html):
    page = Page(html)
    for entry in json.loads((folder / "report.json").read_bytes())["attacks"]:
        assert entry["name"] in page.text
        for metric, found in entry["measured"].items():
            assert interval(metric, found["ci"]) in page.text
            for name in ("attacker", "baseline", "advantage", "upper", "margin", "smallest_visible", "worst"):
                assert ("" if found[name] is None else str(found[name])) in page.values, (entry["name"], name)
                signed = name in ("advantage", "upper", "smallest_visible")
                assert amount(metric, found[name], signed=signed) in page.text


def test_the_first_page_comes_first_and_settings_last(html):
    text = Page(html).text
    assert answer(audit()) in text
    parts = ["Contains pictures of patients. Not for publication.", headline(audit()), "What was released",
             "What a stranger gets", "What was tried", "What this does not say", "Signature", "What led to it",
             "What was asked", "What the answer rests on", "Attacks on this release",
             "Controls: would this audit have found a leak?", "What recipients get: fidelity", "Settings",
             "How to repeat it"]  # fmt: skip
    places = [text.index(part) for part in parts[:3]]
    for part in parts[3:]:
        places.append(text.index(part, places[-1]))
    assert places == sorted(places)


def test_no_figure_of_others_is_on_the_page(html):
    assert not re.search(r"published|PRIMIS|38\.48|18\.90", Page(html).text)


@pytest.fixture(scope="module")
def quiet():
    """An audit that broke nothing and shows no picture, with its charts."""
    found = audit(attacks=attacks(broken=False, pictures=False), fidelity=())
    return found, charts(found)


@pytest.mark.parametrize("conclusion", list(Verdict))
def test_no_report_claims_too_much(quiet, conclusion):
    found, drawn = replace(quiet[0], conclusion=conclusion), quiet[1]
    page = Page(html_of(found, full_record(found), drawn, pictures=True))
    assert not re.search(r"anonym|guarantee|unbreakable", page.text, flags=re.IGNORECASE)
    assert "Without pictures of patients" in page.text
    assert "Contains pictures" not in page.text


def test_without_pictures(tmp_path):
    write_report(small(), tmp_path / "r", pictures=False)
    names = sorted(path.name for path in (tmp_path / "r" / "figures").iterdir())
    assert not [name for name in names if name.startswith(("strip", "worst"))]
    assert "Contains pictures" not in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_pictures_of_an_earlier_report_go_and_other_files_stay(tmp_path):
    write_report(small(), tmp_path / "r")
    (tmp_path / "r" / "figures" / "notes.txt").write_text("mine")
    write_report(small(), tmp_path / "r", pictures=False)
    names = {path.name for path in (tmp_path / "r" / "figures").iterdir()}
    assert "notes.txt" in names
    assert "strip-code-decoder.png" not in names


def test_for_its_user_alone(folder):
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path.name


def test_json_is_written_last_and_taken_away_first(tmp_path, monkeypatch, undrawn):
    from medveil.report import page

    order = []
    target = tmp_path / "r"
    write = page.write_bytes

    def watched(path, data, **options):
        order.append(path.name)
        assert not (target / "report.json").exists()
        write(path, data, **options)

    monkeypatch.setattr(page, "write_bytes", watched)
    for _ in range(2):
        write_report(small(), target)
        assert order[-2:] == ["report.html", "report.json"]


def test_same_audit_same_files(tmp_path):
    for name in ("one", "two"):
        write_report(small(), tmp_path / name)
    paths = sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(paths) == 6
    for path in paths:
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_an_audit_without_anything(tmp_path):
    write_report(audit(Verdict.TOO_WEAK, attacks=(), controls=(), fidelity=()), tmp_path / "r")
    text = Page((tmp_path / "r" / "report.html").read_text(encoding="utf-8")).text
    assert "No attack could be run" in text
    assert "No control was run" in text
    assert "What is lost at each quality" not in text


def test_attack_with_nothing_to_measure(tmp_path, undrawn):
    odd = attack("wrong-key", verdict=Verdict.NO_EVIDENCE, extra={"keys_tried": 12.0})
    write_report(
        audit(attacks=(odd, attack("unet", measured())), controls=(), fidelity=(fidelity(False),)), tmp_path / "r"
    )
    text = Page((tmp_path / "r" / "report.html").read_text(encoding="utf-8")).text
    assert "nothing to measure" in text
    assert "keys tried 12" in text


def test_unwritable_folder_is_one_of_our_errors(tmp_path, undrawn):
    from medveil.errors import MedveilError

    (tmp_path / "file").write_text("x")
    with pytest.raises(MedveilError, match="could not be prepared") as caught:
        write_report(small(), tmp_path / "file")
    assert str(tmp_path) not in caught.value.message


def test_settings_are_words_and_numbers(tmp_path, undrawn):
    given = {"seed": 0, "threads": 1, "chosen": False, "quality": None, "limits": {"own_images": [16, 15]}}
    write_report(small(settings=given), tmp_path / "r")
    text = Page((tmp_path / "r" / "report.html").read_text(encoding="utf-8")).text
    for told in ("seed 0", "threads 1", "chosen no", "quality none", "limits, own images 16, 15"):
        assert told in text
