"""The how-to of training from a release, run as it stands."""

import csv
import os
import re
import subprocess
import sys

import pytest
from PIL import Image as Picture
from tests.pictures import picture

from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share


@pytest.mark.slow
def test_the_code_of_the_how_to_runs(tmp_path, people, repository):
    text = (
        (repository / "docs" / "how-to" / "training.md").read_text(encoding="utf-8").split("## Train from a sealed")[1]
    )
    training, writing = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[:2]
    (tmp_path / "in").mkdir()
    lines = ["image,label,patient_id"]
    for number in range(6):
        Picture.fromarray(picture(number, 40, 32 + 8 * (number % 2))).save(tmp_path / "in" / f"{number}.png")
        lines.append(f"in/{number}.png,{'ab'[number % 2]},p{number // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    settings = ShareSettings(to=(people["alice"].recipient,), identity=(people["alice"].recipient,), jobs=1)
    share([tmp_path / "in"], tmp_path / "release", settings, owner=people["owner"])
    for name in ("alice", "owner"):
        (tmp_path / f"{name}.key").write_text(people[name].to_text())
        (tmp_path / f"{name}.key").chmod(0o600)
    environment = os.environ | {"PYTHONPATH": str(repository / "src"), "OMP_NUM_THREADS": "1"}
    for name, code in (("training.py", training), ("writing.py", writing)):
        (tmp_path / name).write_text(code)
        done = subprocess.run(
            [sys.executable, name], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=120
        )
        assert done.returncode == 0, done.stderr
        if name == "training.py":
            assert done.stdout.strip() == "('a', 'b') 6 0 0"
    with (tmp_path / "labels-by-package.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["label"] for row in rows) == list("aaabbb")
    assert all(re.fullmatch("[0-9a-f]{32}", row["package"]) for row in rows)
