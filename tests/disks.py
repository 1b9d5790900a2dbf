"""Small disks that really fill up or refuse to be written; they need root, as CI has it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """Make `folder` and mount a tmpfs there, unmounted at the end; skip where that is not allowed.

    Args:
        folder: must not exist yet.
        options: as for `mount -o`, such as "size=1m" or "ro".
    """
    with _mounted(folder, "-t", "tmpfs", "-o", options, "tmpfs"):
        yield folder


@contextlib.contextmanager
def image(folder: Path, kind: str, *maker: str) -> Iterator[Path]:
    """Make `folder` and mount a disk image of 8 MB there; skip where that is not allowed.

    Args:
        folder: must not exist yet.
        kind: of the file system, as for `mount -t`.
        maker: the command that makes one, to which the image's path is added.
    """
    if shutil.which(maker[0]) is None:
        pytest.skip(f"{maker[0]} is not installed")
    file = folder.with_name(f"{folder.name}.img")
    file.write_bytes(bytes(8 << 20))
    subprocess.run([*maker, file], capture_output=True, check=True)
    with _mounted(folder, "-t", kind, "-o", "loop", str(file)):
        yield folder


@contextlib.contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder.mkdir()
    command = ["mount", *arguments, str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def disk_without_links(folder: Path, size: str = "300M") -> Iterator[Path]:
    """Make `folder` and mount a FAT or exFAT there, as cards and sticks have it; skip without."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(int(size.removesuffix("M")) << 20)
    kernel, driver = _kernel_knows("vfat"), shutil.which("mount.exfat-fuse")
    make = shutil.which("mkfs.vfat" if kernel else "mkfs.exfat")
    if make is None or not (kernel or driver):
        pytest.skip("needs vfat and dosfstools, or exfat-fuse and exfatprogs")
    folder.mkdir()
    loop = ""
    try:
        _run(make, image)
        loop = _run("losetup", "--find", "--show", image)
        _run(*(("mount", "-t", "vfat") if kernel else (driver,)), loop, folder)
        yield folder
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no disk can be mounted here: {error.stderr.strip()}")
    finally:
        subprocess.run(["umount", folder], check=False, stderr=subprocess.DEVNULL)
        if loop:
            subprocess.run(["losetup", "--detach", loop], check=True)


def _kernel_knows(name: str) -> bool:
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "--quiet", name], check=False)
    return name in Path("/proc/filesystems").read_text().split()


def _run(*command: str | Path | None) -> str:
    line = [str(word) for word in command]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()


def resize(folder: Path, size: str) -> None:
    """Give a disk another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
