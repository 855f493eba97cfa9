"""Pages that are written from the code are as the code is."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_reference_pages_are_fresh():
    done = subprocess.run(
        [sys.executable, ROOT / "setup" / "reference.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_dependency_has_a_sentence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "dependencies.md").read_text().lower()
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    names = {
        line.split(">")[0].split("=")[0].split("[")[0].strip().lower() for line in [*project["dependencies"], *extras]
    }
    assert [name for name in sorted(names) if name not in page and not name.startswith("types-")] == []
