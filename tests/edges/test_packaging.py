"""The distribution."""

import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_scripts_are_the_modules() -> None:
    """Each console script is the main of the module of its name."""
    scripts = {
        entry.name: entry.value
        for entry in distribution("kcguard").entry_points
        if entry.group == "console_scripts"
    }

    assert {
        f"kcguard-{name}": f"{name}.__main__:main" for name in ("stream", "train", "export")
    } == scripts


def test_the_distribution_cannot_be_uploaded_by_mistake() -> None:
    """The classifier that package indexes refuse is there."""
    assert "Private :: Do Not Upload" in distribution("kcguard").metadata.get_all("Classifier", [])


def test_the_wheel_holds_the_packages_and_the_sample_calls(tmp_path: Path) -> None:
    """A built wheel carries every module of the three packages, and the demo's calls."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
    )
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    modules = {
        str(path.relative_to(ROOT))
        for package in ("stream", "train", "export")
        for path in (ROOT / package).rglob("*.py")
    }

    assert modules <= names
    assert "stream/demo/calls.jsonl" in names


@pytest.mark.parametrize("name", ["stream", "train", "export"])
def test_each_part_explains_itself(name: str) -> None:
    """`python -m NAME --help` answers, and says what the program is called."""
    done = subprocess.run(
        [sys.executable, "-m", name, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode
    assert f"usage: kcguard-{name}" in done.stdout
