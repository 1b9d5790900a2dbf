"""Runs commands to whom Linux refuses some system calls, as file systems without a feature do.

python tests/system_calls.py ERRNO CALL,CALL... COMMAND...
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

import pytest

ARCHITECTURES = {  # as <linux/audit.h> names them, and the calls' numbers
    "x86_64": (0xC000003E, {"flock": 73, "symlink": 88, "symlinkat": 266}),
    "aarch64": (0xC00000B7, {"flock": 32, "symlinkat": 36}),
}
SYMLINKS = ("symlink", "symlinkat")
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000


def refusing(error: int, *calls: str) -> tuple[str, ...]:
    """Return what to put before a command so that calls fail in it; skip where that cannot be."""
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        pytest.skip("system calls are refused on Linux only, on x86_64 and aarch64")
    return (sys.executable, str(Path(__file__)), errno.errorcode[error], ",".join(calls))


def _refuse(error: int, calls: list[str]) -> None:
    """Let calls fail from now on, by a filter of the kernel's (seccomp)."""
    architecture, numbers = ARCHITECTURES[platform.machine()]
    wanted = [numbers[call] for call in calls if call in numbers]
    steps = [(_LOAD, 0, 0, 4), (_JUMP_IF_EQUAL, 0, len(wanted) + 1, architecture), (_LOAD, 0, 0, 0)]
    steps += [(_JUMP_IF_EQUAL, len(wanted) - i, 0, number) for i, number in enumerate(wanted)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE | error)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, program)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no filter")


if __name__ == "__main__":
    _refuse(getattr(errno, sys.argv[1]), sys.argv[2].split(","))
    os.execv(sys.argv[3], sys.argv[3:])
