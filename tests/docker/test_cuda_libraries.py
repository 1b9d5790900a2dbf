"""The linker is told of every folder of CUDA's libraries, and of no other."""

import shutil
import subprocess
from pathlib import Path

import pytest

from commands import ROOT

LDCONFIG = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin:/bin")


def write_configuration(environment: Path) -> Path:
    configuration = environment.parent / "nvidia.conf"
    script = ROOT / "docker" / "cuda_libraries.sh"
    subprocess.run(["sh", script, environment, configuration], check=True)
    return configuration


def add_package(environment: Path, name: str) -> Path:
    folder = environment / "lib" / "python3.11" / "site-packages" / "nvidia" / name
    folder.mkdir(parents=True)
    return folder


def a_library() -> Path:
    """Return a real library: ldconfig passes over anything else."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return next(Path(line.split()[-1]) for line in lines if "/libc.so" in line or "/libc-" in line)


def test_each_library_folder_is_listed(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    folders = [add_package(environment, name) / "lib" for name in ("cublas", "cudnn")]
    for folder in folders:
        folder.mkdir()
    add_package(environment, "headers_only")
    assert write_configuration(environment).read_text() == "".join(f"{path}\n" for path in folders)


def test_without_cuda_nothing_is_listed(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    assert write_configuration(environment).read_text() == ""
    environment.mkdir()
    assert write_configuration(environment).read_text() == ""


@pytest.mark.skipif(LDCONFIG is None, reason="ldconfig is not installed")
def test_the_linker_finds_what_is_listed(tmp_path: Path) -> None:
    folder = add_package(tmp_path / "environment", "cublas") / "lib"
    folder.mkdir()
    shutil.copy(a_library(), folder / "libcublas.so.12")
    configuration, cache = write_configuration(tmp_path / "environment"), tmp_path / "cache"
    line = [str(LDCONFIG), "-C", str(cache)]
    subprocess.run([*line, "-f", configuration], check=True, capture_output=True)
    found = subprocess.run([*line, "-p"], check=True, capture_output=True, text=True).stdout
    assert str(folder) in found
