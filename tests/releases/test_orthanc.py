"""A PACS as a client: Orthanc takes what several recipients opened at two tiers, and keeps it apart and in order."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from urllib.error import URLError

import numpy as np
import pydicom
import pytest
from tests import image_files
from tests.pictures import picture

from medveil.keys.tiers import Tier
from medveil.releases.opening import open_release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

PROGRAMS = ("Orthanc", "storescu")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason="needs Orthanc and storescu (Debian packages orthanc and dcmtk)"
)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Pacs:
    """A running Orthanc with an empty store."""

    def __init__(self, folder):
        self.http, self.dicom = free_ports(2)
        settings = {
            "Name": "TEST", "StorageDirectory": str(folder / "store"), "IndexDirectory": str(folder / "store"),
            "HttpPort": self.http, "DicomPort": self.dicom, "DicomAet": "TEST", "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "Plugins": [], "DicomAlwaysAllowStore": True,
        }  # fmt: skip
        folder.mkdir()
        (folder / "settings.json").write_text(json.dumps(settings))
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(["Orthanc", folder / "settings.json"], stdout=log, stderr=log, cwd=folder)
        for _ in range(200):
            try:
                self.get("system")
                return
            except URLError:
                time.sleep(0.1)
        self.stop()
        pytest.fail("Orthanc did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def get(self, what):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{what}", timeout=20) as answer:
            return json.load(answer)

    def store(self, folder):
        command = ["storescu", "-R", "-aec", "TEST", "+sd", "+r", "127.0.0.1", str(self.dicom), str(folder)]
        environment = {**os.environ, "TMPDIR": str(folder.parent)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def pacs(tmp_path):
    running = Pacs(tmp_path / "pacs")
    yield running
    running.stop()


def opened_by_two(tmp_path, originals, people):
    """What alice opened at two tiers and ida, who sees names, and mallory at one each: the folders."""
    alice, ida, mallory = (people[name].recipient for name in ("alice", "ida", "mallory"))
    settings = ShareSettings(
        to=(alice, ida, mallory), at={alice: Tier.EXACT, mallory: Tier.DIAGNOSTIC}, identity=(ida,), jobs=1,
        protection="encrypted",  # made and opened faster; what comes out is the same
    )  # fmt: skip
    result = share(originals, tmp_path / "release", settings, owner=people["owner"])
    assert result.failed == []
    folders = []
    for name, tier in (("alice", Tier.EXACT), ("alice", Tier.DIAGNOSTIC), ("mallory", Tier.DIAGNOSTIC),
                       ("ida", Tier.EXACT), ("ida", Tier.DIAGNOSTIC)):  # fmt: skip
        folders.append(tmp_path / f"{name}-{tier.value}")
        opened = open_release(tmp_path / "release", folders[-1], identity=people[name], tier=tier, jobs=1)
        assert opened.failed == []
    return folders


def all_of(folder):
    return [pydicom.dcmread(path) for path in folder.rglob("*") if path.is_file()]


def check(pacs, folders, patients):
    """Store every folder, and compare what the PACS has with what was sent."""
    sent = [data for folder in folders for data in all_of(folder)]
    for folder in folders:
        pacs.store(folder)
    statistics = pacs.get("statistics")
    assert statistics["CountInstances"] == len(sent)
    assert statistics["CountSeries"] == len({data.SeriesInstanceUID for data in sent})
    held = {one["MainDicomTags"]["PatientID"]: one["Studies"] for one in pacs.get("patients?expand")}
    assert set(held) == {data.PatientID for data in sent}
    assert len(held) == 3 * patients  # alice's, mallory's, and the true ones, which ida sees
    uids = {one["MainDicomTags"]["SOPInstanceUID"] for one in pacs.get("instances?expand&limit=10000&since=0")}
    assert uids == {data.SOPInstanceUID for data in sent}
    return [one for one in pacs.get("series?expand&limit=10000&since=0") if len(one["Instances"]) > 2]


def in_order(pacs, series):
    """Whether the order in space, as the PACS finds it, is that of the instance numbers, one way or the other."""
    slices = pacs.get(f"series/{series['ID']}/ordered-slices")
    assert slices["Type"] == "Volume"
    ids = [path.split("/")[2] for path in slices["Dicom"]]
    numbers = [int(pacs.get(f"instances/{each}/simplified-tags")["InstanceNumber"]) for each in ids]
    steps = set(np.sign(np.diff(numbers)))
    return steps in ({1}, {-1})


def test_two_tiers_and_two_recipients_lie_side_by_side(tmp_path, people, pacs):
    """Two invented patients with three slices each, whose files lie in no order."""
    for patient in (1, 2):
        for number in (3, 1, 2):
            data = image_files.dicom(
                picture(10 * patient + number, 24, 32, bits=12), bits_stored=12,
                PatientID=f"P{patient}", PatientName=f"Name^{patient}", StudyInstanceUID=f"1.2.{patient}",
                SeriesInstanceUID=f"1.2.{patient}.1", SOPInstanceUID=f"1.2.{patient}.1.{number}",
                FrameOfReferenceUID=f"1.2.{patient}.9", InstanceNumber=number,
                ImagePositionPatient=[0, 0, 2.5 * number],
            )  # fmt: skip
            path = tmp_path / "in" / f"{patient}" / f"{7 - number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    series = check(pacs, opened_by_two(tmp_path, [tmp_path / "in"], people), patients=2)
    assert len(series) == 2 * 5
    assert all(in_order(pacs, one) for one in series)


@pytest.mark.slow
def test_real_series_lie_side_by_side(shared, tmp_path, people, pacs):
    """A head CT and an MR series, each of one patient."""
    originals = [shared / "volumes" / "dicom" / "ct_head", shared / "dicom" / "studies" / "H-torchio-dicom-series"]
    folders = opened_by_two(tmp_path, originals, people)
    names = {data.PatientID for data in all_of(folders[3])}
    series = check(pacs, folders, patients=len(names))
    assert len(series) == 2 * 5
    assert all(in_order(pacs, one) for one in series)
