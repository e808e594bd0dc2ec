"""report.json follows the contract, and says the same whatever time it took."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.audit.invented import attack, attacks, audit, control, measured

from medveil.audit.gate import passed_thresholds, read_gate
from medveil.audit.record import (
    SCHEMA,
    canonical,
    expected_of,
    leading,
    ranked,
    read_record,
    record_of,
    revealed_percent,
    sensitivity,
)
from medveil.audit.results import FormCheck, Verdict
from medveil.errors import UsageError
from medveil.experiments.unit import Status

_NUMBER = (int, float, type(None))
_ATTACK = {
    "name": str, "level": str, "psnr": _NUMBER, "ssim": _NUMBER, "support_auc": _NUMBER, "linkage_auc": _NUMBER,
    "baseline": _NUMBER, "advantage": _NUMBER, "ci": (list, type(None)), "verdict": str,
}  # fmt: skip
_CONTROL = {"name": str, "kind": str, "expected": str, "got": str, "ok": bool}
_TOP = {
    "schema": int, "target": dict, "release": dict, "settings": dict, "data": dict, "attacks": list, "controls": list,
    "tasks": list, "conclusion": str, "grounds": list,
}  # fmt: skip


def _check(value, fields):
    for name, kind in fields.items():
        assert name in value, name
        assert isinstance(value[name], kind), name


def follows_contract(report):
    """The schema of the contract, by hand."""
    _check(report, _TOP)
    verdicts = {"broken", "no-evidence", "inconclusive"}
    assert report["conclusion"] in verdicts | {"too-weak", "measured"}
    for entry in report["attacks"]:
        _check(entry, _ATTACK)
        assert entry["verdict"] in verdicts
        if entry["ci"] is not None:
            low, high = entry["ci"]
            assert low is None or low <= high
    for entry in report["controls"]:
        _check(entry, _CONTROL)
        assert entry["kind"] in {"positive", "negative"}


def written(**changed):
    return json.loads(canonical(record_of(audit(**changed))))


@pytest.mark.parametrize("conclusion", list(Verdict))
def test_follows_the_contract(conclusion):
    report = written(conclusion=conclusion)
    follows_contract(report)
    assert report["conclusion"] == conclusion.value


@pytest.mark.parametrize("conclusion", list(Verdict))
def test_what_broke_the_release_is_named_whatever_the_conclusion_is(conclusion):
    assert written(conclusion=conclusion)["broken_by"] == ["code-decoder"]
    checks = (FormCheck("salts-differ", "Salts", "two alike", False), FormCheck("names", "Names", "sound", True))
    assert written(conclusion=conclusion, attacks=attacks(broken=False), checks=checks)["broken_by"] == ["salts-differ"]


def test_a_failed_attack_is_told_from_a_refused_one():
    failed = attack("vnet", status=Status.FAILED, refusal="MemoryError: it needs more memory than there is")
    refused = written(attacks=(attack("unet", refusal="no code to see"), failed))["refused"]
    assert {each["name"]: each["status"] for each in refused} == {"unet": "refused", "vnet": "failed"}


def test_checker_can_fail():
    report = written()
    report["attacks"][0]["verdict"] = "fine"
    with pytest.raises(AssertionError):
        follows_contract(report)


def test_an_audit_without_anything_is_a_report_too():
    report = written(attacks=(), controls=(), fidelity=())
    follows_contract(report)
    assert report["attacks"] == report["sensitivity"] == []


def test_refused_attacks_stand_apart_with_their_reason():
    report = written()
    assert [entry["name"] for entry in report["refused"]] == ["intersection"]
    assert "one publication" in report["refused"][0]["reason"]
    assert "intersection" not in [entry["name"] for entry in report["attacks"]]


def test_what_is_not_a_number_is_null():
    text = canonical(record_of(audit())).decode()
    assert "NaN" not in text
    assert "Infinity" not in text
    (unet,) = [entry for entry in json.loads(text)["attacks"] if entry["name"] == "unet"]
    assert unet["psnr"] is None
    assert unet["ci"] == [None, None]
    assert unet["measured"]["psnr"]["baseline"] == 14.2


def test_keys_are_sorted_and_numbers_rounded():
    text = canonical({"b": math.pi * 1000, "a": [np.float32(0.1), np.int64(3), -0.0, True]}).decode()
    assert text == '{\n "a": [\n  0.1,\n  3,\n  0.0,\n  true\n ],\n "b": 3141.59\n}\n'


def test_two_runs_differ_in_seconds_only():
    slow = audit(seconds=9.0, attacks=(attack("naive-decode", measured(), seconds=77.0),))
    fast = audit(seconds=1.0, attacks=(attack("naive-decode", measured(), seconds=1.0),))
    assert canonical(record_of(slow)) != canonical(record_of(fast))
    assert _without_seconds(record_of(slow)) == _without_seconds(record_of(fast))


def _without_seconds(value):
    if isinstance(value, dict):
        return {key: _without_seconds(one) for key, one in value.items() if key != "seconds"}
    return [_without_seconds(one) for one in value] if isinstance(value, list) else value


def test_the_deciding_metric_is_the_worst_one():
    weak, strong = measured("psnr", 0.29), measured("ssim", 0.011, verdict=Verdict.BROKEN)
    result = attack("unet", weak, strong, verdict=Verdict.BROKEN)
    assert leading(result) is strong
    assert leading(attack("none")) is None
    nothing = measured("psnr", math.nan)
    assert leading(attack("unet", nothing, weak)) is weak


def test_strongest_attack_first():
    broken = attack("b", measured(verdict=Verdict.BROKEN))
    larger, smaller = attack("l", measured("psnr", 0.2)), attack("s", measured("support_auc", 0.01))
    assert ranked([smaller, attack("refused", refusal="no"), larger, broken]) == [broken, larger, smaller]


def test_controls_say_what_was_expected_and_found():
    found = {entry["name"]: (entry["expected"], entry["got"], entry["ok"]) for entry in written()["controls"]}
    assert found["matched-decoys"] == ("broken", "broken", True)
    assert found["seeded-decoys"] == ("broken", "not-broken", False)
    assert found["random-codes"] == ("not-broken", "not-broken", True)
    assert found["revealed-0.1"] == ("either", "not-broken", True)
    assert found["revealed-10"] == ("broken", "broken", True)


def test_a_control_that_nothing_was_run_on():
    (entry,) = written(controls=(control("two-time-pad", attack("unet", refusal="no")),))["controls"]
    assert entry["got"] == "not-run"
    assert entry["ok"] is False


@pytest.mark.parametrize(
    ("name", "share"),
    [("revealed-0.1", 0.1), ("revealed-10@release", 10.0), ("revealed-much", None), ("unprotected", None)],
)
def test_share_of_revealed_cells(name, share):
    assert revealed_percent(name) == share


def test_only_the_far_end_of_the_curve_must_be_broken():
    names = ("revealed-0.1", "revealed-1@release", "revealed-10", "revealed-10@release")
    assert [expected_of(control(name)) for name in names] == ["either", "either", "broken", "broken"]
    assert expected_of(control("matched-decoys-all", ok=True)) == "either"


def test_sensitivity_is_a_curve_by_attack_and_metric():
    points = [point for point in sensitivity(audit().controls) if point["metric"] == "psnr"]
    assert [(point["percent"], point["advantage"]) for point in points] == [(0.1, 0.1), (1.0, 0.4), (10.0, 3.1)]


def test_matrix_has_every_control():
    matrix = written()["matrix"]
    assert matrix["matched-decoys"] == {"code-decoder": "broken", "unet": "broken", "naive-decode": "no-evidence"}
    assert set(matrix) == {entry["name"] for entry in written()["controls"]}


STORED = Path(__file__).parent / "stored" / "report-schema-1.json"


def test_a_report_of_schema_1_is_read_as_one_of_today(tmp_path):
    """It was written before there was a schema 2."""
    report = read_record(STORED)
    assert json.loads(STORED.read_text())["schema"] == 1
    assert report["schema"] == SCHEMA == 2
    assert report["target"] == {"kind": "keyed", "mechanism": "sealed"}
    assert {each["name"]: each["status"] for each in report["refused"]} == {"intersection": "refused", "vnet": "failed"}
    assert [each["name"] for each in report["checks"] if not each["tried"]] == ["key-of-other-epoch"]
    assert {each["name"]: each["status"] for each in report["tasks"]} == {
        "classification": "done", "radiomics": "done", "failing": "failed", "segmentation": "refused",
    }  # fmt: skip
    follows_contract(report)
    gate = tmp_path / "gate.toml"
    gate.write_text("""
        [audit]
        conclusion = ["no-evidence"]
        [attacks]
        psnr_advantage = 1.0
        [fidelity.diagnostic]
        psnr = 40.2
        [tasks.failing]
        max_loss = 0.1
        [tasks.classification]
        max_loss = 0.05
        tiers = ["preview"]
    """)
    assert passed_thresholds(read_gate(gate), report) == (
        "the conclusion is broken",
        "the attack vnet failed (MemoryError: it needs more memory than there is): nothing is known of it",
        "psnr_advantage of code-decoder is 1.237; the gate allows 1",
        "psnr of tier diagnostic is 40.11; the gate asks for 40.2",
        "task failing was not done, and the gate has thresholds for it",
        "kermany/normal-vs-pneumonia at tier preview may lose 0.09816; the gate allows 0.05",
    )


def test_a_report_of_today_is_read_as_it_is(tmp_path):
    (tmp_path / "report.json").write_bytes(canonical(record_of(audit())))
    assert read_record(tmp_path / "report.json") == json.loads((tmp_path / "report.json").read_text())


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 3}', '{"schema": 1}'])
def test_what_is_no_report_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    for path in (tmp_path / "report.json", tmp_path / "nowhere.json"):
        with pytest.raises(UsageError, match="report") as caught:
            read_record(path)
        assert caught.value.hint
        assert tmp_path.name not in caught.value.message


def test_a_report_nested_too_deep_cannot_be_read(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(UsageError, match="cannot be read: RecursionError"):
        read_record(path)


@pytest.mark.parametrize("changed", [{"grounds": None}, {"attacks": None}, {"controls": {}}, {"checks": "none"}])
def test_a_report_without_what_its_schema_has_is_refused(tmp_path, changed):
    record = {**record_of(audit()), **changed}
    (tmp_path / "report.json").write_bytes(canonical({name: each for name, each in record.items() if each is not None}))
    with pytest.raises(UsageError, match=r"no report\.json of schema 1 to 2"):
        read_record(tmp_path / "report.json")
    (tmp_path / "report.json").write_bytes(canonical(record))
    with pytest.raises(UsageError, match=r"no report\.json of schema 1 to 2"):
        read_record(tmp_path / "report.json")
