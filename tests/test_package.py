"""What `pip install` makes of the project: the command and the API, from any folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from commands import ROOT
from pictures import write_jpegs

SOURCES = ("src", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, since setuptools leaves its own files among the sources."""
    copy = tmp_path_factory.mktemp("project")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    line = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "out", "."]
    subprocess.run(line, cwd=copy, check=True)
    (built,) = (copy / "out").glob("*.whl")
    return built


def test_the_wheel_holds_all_that_is_no_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = ROOT / "src"
    wanted = {
        path.relative_to(sources).as_posix()
        for path in (sources / "retrain").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wanted <= names
    assert "retrain/py.typed" in wanted


def test_an_installed_package_has_the_command_and_the_api(
    wheel: Path, trained: Path, tmp_path: Path
) -> None:
    home = tmp_path / "fresh é"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    # What it depends on is installed here already; to fetch it again would take minutes.
    (site,) = (home / "lib").glob("python3*/site-packages")
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    picture = write_jpegs(tmp_path, "disc", 1, start=500)[0]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*line: str | Path) -> str:
        found = subprocess.run(
            line, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert run(home / "bin" / "retrain", "guess", trained, picture).startswith("disc (score = ")
    script = (
        "import sys, retrain\n"
        "from retrain.evaluate.report import render\n"
        "print(retrain.__file__)\n"
        "print(retrain.load(sys.argv[1]).guess(sys.argv[2]).best.category)\n"
    )
    where, best = run(python, "-c", script, trained, picture).split("\n")[:2]
    assert Path(where).is_relative_to(home)
    assert best == "disc"
