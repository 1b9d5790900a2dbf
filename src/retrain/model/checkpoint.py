"""Reads a PyTorch checkpoint of the format before 1.6 ("legacy", not a zip) with numpy alone.

Such a file is, one after the other: pickles of a magic number, a protocol number and facts of the
machine that wrote it; the pickled state dict; the pickled list of its storages' keys; and for each
key an int64 number of elements and the elements, all little-endian (`_legacy_save` in PyTorch's
torch/serialization.py). A tensor is a view of a storage: an offset, a shape and strides, all
counted in elements. Layouts other than the contiguous one do occur, so strides are honoured.

A pickle is a program. This one may name four globals, none of which can do anything but describe a
tensor; the views are checked against their storages before they are read.
"""

import hashlib
import io
import math
import pickle
import pickletools
import textwrap
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrain.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Storage(NamedTuple):
    """A flat array that stands further on in the file. size: its number of elements."""

    key: str
    dtype: str
    size: int


class _View(NamedTuple):
    """A tensor: the part of a storage that it shows. offset, strides: in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(path: Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Return the tensors of a legacy PyTorch state dict by name, in the file's order.

    Args:
        path: the checkpoint, a state dict of float32 and int64 tensors.
        sha256: the hexadecimal digest that the file must have; None skips the check.

    Returns:
        C-contiguous, writable copies, float32 or int64, of the shapes that PyTorch gave them:
        [out, in, height, width] for kernels, [] for counters.

    Raises:
        WeightsError: the file cannot be read, has another digest, is no such checkpoint, is cut
            short, names a forbidden global, or describes a tensor outside of its storage.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from error
    received = hashlib.sha256(data).hexdigest()
    if sha256 is not None and received != sha256.lower():
        raise WeightsError(f"{path}: sha256 must be {sha256}. Received: {received}.")
    try:
        return _parse(data)
    except Exception as error:  # damaged pickles raise nearly anything, see pickle.UnpicklingError
        reason = textwrap.shorten(str(error) or type(error).__name__, 200).rstrip(".")
        raise WeightsError(f"{path}: not a legacy PyTorch checkpoint: {reason}.") from error


def _parse(data: bytes) -> dict[str, np.ndarray]:
    file = io.BytesIO(data)
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ValueError("it does not begin with the magic number and protocol 1001")
    _Unpickler(file).load()  # byte order and type sizes of the writer; the values do not follow it
    unpickler = _Unpickler(file)
    views = _named_views(unpickler.load())
    keys = _Unpickler(file).load()
    storages = _read_storages(data, file.tell(), keys, unpickler.storages)
    return {name: _copy(view, storages) for name, view in views.items()}


class _Unpickler(pickle.Unpickler):
    """Admits what a state dict needs; tensors come out as views, their storages as records.

    What `find_class` hands out must not be open to change, since a pickle may also set attributes:
    hence names of dtypes rather than classes, and a type of C, and a function made for this file.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._file = file
        self.storages: dict[str, _Storage] = {}
        self._admitted: Mapping[tuple[str, str], str | type | Callable[..., _View]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda *args: _view(*args),
            ("torch", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }

    def load(self) -> Any:
        """Return the next object of the file, after a look at the opcodes that make it.

        A few wrong bytes may otherwise take gigabytes: a string whose length goes beyond the file,
        which `genops` refuses, or a high index of the memo, which is an array.
        """
        start = self._file.tell()
        for opcode, argument, _position in pickletools.genops(self._file):
            if opcode.name.endswith("PUT") and int(argument or 0) > self._file.tell():
                raise pickle.UnpicklingError(f"memo index {argument} in so short a file")
        self._file.seek(start)
        return super().load()

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the stand-in for one of the four admitted globals; raise for any other."""
        if (module, name) not in self._admitted:
            raise pickle.UnpicklingError(f"forbidden global {module!r}, {name!r}")
        return self._admitted[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage of ("storage", type, key, device, count, view of a storage)."""
        kind, dtype, key, _device, count, part = pid
        if kind != "storage" or dtype not in ("<f4", "<i8") or not isinstance(key, str):
            raise ValueError("a storage of an unknown kind")
        if not _are_sizes(count) or part is not None:
            raise ValueError(f"storage {key!r} is a part of another or has no size")
        storage = _Storage(key, dtype, count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {key!r} is described in two ways")
        return storage


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_autograd: Any) -> _View:
    """Check the arguments of `torch._utils._rebuild_tensor_v2` and keep them.

    A permuted kernel has at most as many elements as its storage. A view that repeats elements
    (stride 0) is no weight, but a few bytes that ask for any amount of memory.
    """
    if not (isinstance(storage, _Storage) and isinstance(shape, tuple)):
        raise ValueError("a tensor without storage or shape")
    if not (isinstance(strides, tuple) and _are_sizes(offset, *shape, *strides)):
        raise ValueError("a tensor whose offset, shape or strides are not counts")
    steps = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
    last = offset + sum(steps)
    if math.prod(shape) > storage.size or (0 not in shape and last >= storage.size):
        layout = f"shape {shape}, strides {strides} and offset {offset}"
        raise ValueError(f"a tensor of {layout} leaves its storage of {storage.size} elements")
    return _View(storage, offset, shape, strides)


def _are_sizes(*values: Any) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def _named_views(state: Any) -> dict[str, _View]:
    # By subscript: a pickle can shadow `.items` of an OrderedDict, but not its methods of the type.
    views = {name: state[name] for name in state} if isinstance(state, dict) else {}
    named = all(isinstance(name, str) and isinstance(views[name], _View) for name in views)
    if not views or not named:
        raise ValueError("it holds something else than named tensors")
    return views


def _read_storages(
    data: bytes, start: int, keys: Any, described: Mapping[str, _Storage]
) -> dict[str, np.ndarray]:
    """Return the storages by key, flat and read-only, from `data`, where they begin at `start`."""
    if not isinstance(keys, list) or set(keys) != set(described) or len(keys) != len(described):
        raise ValueError("its list of storages does not fit its tensors")
    storages = {}
    for key in keys:
        _, dtype, size = described[key]
        begin = start + 8  # behind the int64 that says the size again
        end = begin + size * np.dtype(dtype).itemsize
        if len(data) < end:
            raise EOFError(f"it is cut short, {len(data)} bytes where {end} or more are expected")
        if int.from_bytes(data[start:begin], "little", signed=True) != size:
            raise ValueError(f"storage {key!r} has another size than its tensors expect")
        storages[key] = np.frombuffer(data, dtype, size, begin)
        start = end
    return storages


def _copy(view: _View, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the elements of a view as a C-contiguous array in the machine's own byte order."""
    flat = storages[view.storage.key]
    size = flat.itemsize
    # This constructor checks the bounds once more, which `as_strided` would not.
    strides = [stride * size for stride in view.strides]
    strided: np.ndarray = np.ndarray(view.shape, flat.dtype, flat, view.offset * size, strides)
    return strided.astype(flat.dtype.newbyteorder("="), order="C")
