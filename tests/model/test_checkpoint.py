"""Checkpoints are written here by hand, opcode by opcode, so that they can be wrong on purpose."""

import hashlib
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from retrain.errors import WeightsError
from retrain.model.checkpoint import read_checkpoint

MAGIC = 119547037146038801333356
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
VALUES = np.arange(24, dtype="<f4")


def plain(value: object) -> bytes:
    """Return the opcodes that push a plain value, without the frame of a whole pickle."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    key: str = "1",
    size: int = 24,
    kind: bytes = b"FloatStorage",
) -> bytes:
    storage = b"(" + plain("storage") + b"ctorch\n" + kind + b"\n"
    storage += plain(key) + plain("cpu") + plain(size) + b"NtQ"
    view = plain(offset) + plain(shape) + plain(strides) + plain(False) + ORDERED_DICT
    return REBUILD + b"(" + storage + view + b"tR"


def checkpoint(
    tensors: dict[str, bytes], storages: dict[str, np.ndarray], after: bytes = b""
) -> bytes:
    """Return a whole file; `after` are opcodes that follow the filling of the state dict."""
    items = b"".join(plain(name) + opcodes for name, opcodes in tensors.items())
    state = b"\x80\x02" + ORDERED_DICT + b"(" + items + b"u" + after + b"."
    head = [MAGIC, 1001, {"protocol_version": 1001, "little_endian": True}]
    pickles = [pickle.dumps(part, protocol=2) for part in head]
    pickles += [state, pickle.dumps(list(storages), protocol=2)]
    values = [len(a).to_bytes(8, "little") + a.tobytes() for a in storages.values()]
    return b"".join(pickles + values)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refusal(path: Path, sha256: str | None = None) -> str:
    """Return the message, after checking what all refusals have in common."""
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path, sha256)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_strides_are_honoured(file: Path, axes: tuple[int, ...]) -> None:
    expected = VALUES.reshape(2, 3, 4).transpose(axes)
    strides = tuple(stride // 4 for stride in expected.strides)
    write(file, checkpoint({"w": tensor(0, expected.shape, strides)}, {"1": VALUES}))
    weights = read_checkpoint(file)["w"]
    np.testing.assert_array_equal(weights, expected)
    assert weights.dtype == np.float32
    assert weights.flags.c_contiguous
    assert weights.flags.writeable


def test_tensors_share_a_storage_at_offsets_and_copies_are_independent(file: Path) -> None:
    tensors = {"a": tensor(4, (2, 2), (2, 1)), "b": tensor(6, (18,), (1,))}
    write(file, checkpoint(tensors, {"1": VALUES}))
    weights = read_checkpoint(file)
    assert weights["a"].tolist() == [[4, 5], [6, 7]]
    weights["a"][:] = 0
    np.testing.assert_array_equal(weights["b"], np.arange(6, 24))


def test_int64_scalars_are_read_and_names_keep_their_order(file: Path) -> None:
    counter = tensor(0, (), (), key="2", size=1, kind=b"LongStorage")
    storages = {"1": VALUES, "2": np.array([2**40], dtype="<i8")}
    write(file, checkpoint({"z": tensor(0, (24,), (1,)), "a": counter}, storages))
    weights = read_checkpoint(file)
    assert list(weights) == ["z", "a"]
    assert weights["a"].dtype == np.int64
    assert weights["a"].tolist() == 2**40


def test_attributes_of_the_state_dict_change_nothing(file: Path) -> None:
    attributes = plain({"_metadata": {"version": 1}, "items": 3, "keys": 4}) + b"b"
    write(file, checkpoint({"w": tensor(0, (24,), (1,))}, {"1": VALUES}, attributes))
    np.testing.assert_array_equal(read_checkpoint(file)["w"], VALUES)


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (24,), (1,)),
        (0, (6, 4), (5, 1)),
        (24, (), ()),
        (-1, (24,), (1,)),
        (23, (24,), (-1,)),
        (0, (10**12,), (0,)),
        (0, (2**62, 2**62), (2**62, 1)),
    ],
)
def test_views_outside_of_their_storage_are_refused(
    file: Path, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    data = checkpoint({"w": tensor(offset, shape, strides)}, {"1": VALUES})
    assert re.search("leaves its storage|are not counts", refusal(write(file, data)))


def test_forbidden_globals_are_refused_and_not_executed(file: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch '{tmp_path / 'executed'}'",)

    for data in (pickle.dumps(Hostile()), checkpoint({"w": plain(Hostile())}, {})):
        assert "forbidden global" in refusal(write(file, data))
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Hostile()))  # shows that this test would notice
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "name", ["builtins\neval", "torch\nDoubleStorage", "torch._utils\n_rebuild_parameter"]
)
def test_neighbours_of_the_admitted_globals_are_refused(file: Path, name: str) -> None:
    opcodes = b"c" + name.encode() + b"\n"
    assert "forbidden global" in refusal(write(file, checkpoint({"w": opcodes}, {})))


@pytest.mark.parametrize("opcodes", [plain(3), plain("<f4"), b"ctorch\nFloatStorage\n", REBUILD])
def test_values_other_than_tensors_are_refused(file: Path, opcodes: bytes) -> None:
    assert "named tensors" in refusal(write(file, checkpoint({"w": opcodes}, {})))


def test_every_truncation_is_refused(file: Path) -> None:
    data = checkpoint({"w": tensor(0, (24,), (1,))}, {"1": VALUES})
    for size in range(len(data)):
        refusal(write(file, data[:size]))
    assert "cut short" in refusal(write(file, data[:-1]))


@pytest.mark.parametrize(
    "opcodes", [b"r\0\0\0\x02", b"p33554432\n", b"\x96" + (2**29).to_bytes(8, "little")]
)
def test_few_bytes_cannot_ask_for_gigabytes(file: Path, opcodes: bytes) -> None:
    tracemalloc.start()
    refusal(write(file, checkpoint({"w": plain(None) + opcodes}, {})))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_storages_that_do_not_fit_the_tensors_are_refused(file: Path) -> None:
    tensors = {"w": tensor(0, (24,), (1,))}
    assert "list of storages" in refusal(write(file, checkpoint(tensors, {"2": VALUES})))
    longer = np.arange(30, dtype="<f4")
    assert "another size" in refusal(write(file, checkpoint(tensors, {"1": longer})))
    tensors["v"] = tensor(0, (1,), (1,), size=30)
    assert "in two ways" in refusal(write(file, checkpoint(tensors, {"1": longer})))


def test_other_files_are_refused(file: Path, tmp_path: Path) -> None:
    for data in (b"", b"PK\x03\x04 a zip", b"\xff\xd8\xff\xe0 a JPEG", b"I1\n."):
        assert "not a legacy PyTorch checkpoint" in refusal(write(file, data))
    assert "cannot be read" in refusal(tmp_path)


def test_sha256_is_checked_before_the_file_is_parsed(file: Path) -> None:
    data = checkpoint({"w": tensor(0, (24,), (1,))}, {"1": VALUES})
    digest = hashlib.sha256(data).hexdigest()
    assert list(read_checkpoint(write(file, data), digest)) == ["w"]
    assert digest in refusal(file, "0" * 64)
    assert "sha256" in refusal(write(file, b"no checkpoint"), digest)


def test_reading_does_not_import_tensorflow() -> None:
    code = "import sys, retrain.model.checkpoint; sys.exit('tensorflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
