"""Tensors of the Open Inference Protocol: in JSON, or as bytes behind it.

The protocol is at https://github.com/kserve/open-inference-protocol; its extension for binary data
is Triton's: the header `Inference-Header-Content-Length` says where JSON ends, and the data of the
tensors follow in their order. BYTES are a length of four bytes, little-endian, and the bytes each.
"""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.serve.refusals import Refused

LENGTH = 4  # bytes that tell how many follow


@dataclass(frozen=True)
class Tensor:
    """A tensor by name. values: an array, or for BYTES a list with one item per element."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: NDArray[Any] | Sequence[bytes]


@dataclass(frozen=True)
class Wanted:
    """An output that was asked for. binary: whether as bytes behind the JSON."""

    name: str
    binary: bool


@dataclass(frozen=True)
class InferRequest:
    """A request as it was understood. outputs: those asked for; none for the usual ones.

    binary: whether outputs that were not named are wanted as bytes.
    """

    id: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Wanted, ...]
    binary: bool


def read_request(header: Any, data: bytes) -> InferRequest:
    """Understand a request.

    Args:
        header: its JSON.
        data: the bytes behind it.

    Raises:
        Refused: it is not what the protocol says (400).
    """
    if not isinstance(header, dict) or not isinstance(header.get("inputs"), list):
        raise Refused(400, "The body must be an object with a list of `inputs`.")
    inputs, rest = [], memoryview(data)
    for each in header["inputs"]:
        tensor, rest = _read_input(each, rest)
        inputs.append(tensor)
    if len(rest):
        raise Refused(400, f"{len(rest)} bytes are left behind the last input.")
    binary = bool(_parameters(header).get("binary_data_output"))
    outputs = header.get("outputs") or []
    if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
        raise Refused(400, "`outputs` must be a list of objects with a `name`.")
    wanted = tuple(
        Wanted(str(one.get("name")), bool(_parameters(one).get("binary_data", binary)))
        for one in outputs
    )
    return InferRequest(str(header.get("id", "")), tuple(inputs), wanted, binary)


def _parameters(holder: dict[str, Any]) -> dict[str, Any]:
    found = holder.get("parameters") or {}
    if not isinstance(found, dict):
        raise Refused(400, "`parameters` must be an object.")
    return found


def _read_input(given: Any, rest: memoryview) -> tuple[Tensor, memoryview]:
    if not isinstance(given, dict):
        raise Refused(400, "An input must be an object with name, datatype and shape.")
    name, datatype = str(given.get("name")), given.get("datatype")
    if datatype not in ("BYTES", "UINT8"):
        raise Refused(400, f"Input {name!r} must be BYTES or UINT8. Received: {datatype!r}.")
    shape = given.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise Refused(400, f"The shape of input {name!r} must be a list of numbers.")
    size = _parameters(given).get("binary_data_size")
    count = math.prod(shape)
    if size is None:
        values = _from_json(name, datatype, count, given.get("data"))
        return Tensor(name, datatype, tuple(shape), values), rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise Refused(400, f"Input {name!r} announces {size!r} bytes; {len(rest)} are there.")
    read = _split_bytes if datatype == "BYTES" else _numbers
    return Tensor(name, datatype, tuple(shape), read(name, count, rest[:size])), rest[size:]


def _from_json(name: str, datatype: str, count: int, data: Any) -> NDArray[Any] | list[bytes]:
    if datatype == "BYTES":
        flat = list(_flattened(data))
        if len(flat) != count or not all(isinstance(one, str) for one in flat):
            raise Refused(400, f"Input {name!r} must hold {count} strings. Received: {len(flat)}.")
        try:
            return [base64.b64decode(one, validate=True) for one in flat]
        except (binascii.Error, ValueError) as error:
            raise Refused(400, f"Input {name!r} must hold base64: {error}.") from None
    try:
        values = np.array(data).reshape(-1)
    except ValueError:
        values = np.array([None])
    whole = values.dtype.kind in "iu" and values.size == count
    if not whole or (count and (values.min() < 0 or values.max() > 255)):
        raise Refused(400, f"Input {name!r} must hold {count} whole numbers, 0..255.")
    return values.astype(np.uint8)


def _flattened(data: Any) -> Sequence[Any]:
    """Return the items of a list, or of the lists in it."""
    if not isinstance(data, list):
        return [data]
    if data and all(isinstance(one, list) for one in data):
        return [item for one in data for item in one]
    return data


def _numbers(name: str, count: int, data: memoryview) -> NDArray[np.uint8]:
    if len(data) != count:
        raise Refused(400, f"Input {name!r} must have {count} bytes. Received: {len(data)}.")
    return np.frombuffer(data, np.uint8)


def _split_bytes(name: str, count: int, data: memoryview) -> list[bytes]:
    found: list[bytes] = []
    start = 0
    while start + LENGTH <= len(data) and len(found) <= count:
        length = int.from_bytes(data[start : start + LENGTH], "little")
        start += LENGTH
        found.append(bytes(data[start : start + length]))
        start += length
    if len(found) != count or start != len(data):
        raise Refused(400, f"Input {name!r} must hold {count} elements, each after its length.")
    return found


def write_answer(
    head: dict[str, Any], tensors: Sequence[Tensor], binary: Sequence[bool]
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON if bytes follow it.

    Args:
        head: model name, version, id.
        tensors: the outputs.
        binary: for each, whether as bytes behind the JSON.
    """
    outputs, behind = [], []
    for tensor, as_bytes in zip(tensors, binary, strict=True):
        entry: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
        }
        if as_bytes:
            behind.append(_packed(tensor))
            entry["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            entry["data"] = _listed(tensor)
        outputs.append(entry)
    text = json.dumps({**head, "outputs": outputs}, ensure_ascii=False, allow_nan=False).encode()
    return b"".join([text, *behind]), len(text) if behind else None


def _packed(tensor: Tensor) -> bytes:
    if isinstance(tensor.values, np.ndarray):
        return np.asarray(tensor.values, "<f4").tobytes()
    parts = (len(one).to_bytes(LENGTH, "little") + one for one in tensor.values)
    return b"".join(parts)


def _listed(tensor: Tensor) -> list[Any]:
    """Return the values for JSON, which has no NaN: null is in its place."""
    if isinstance(tensor.values, np.ndarray):
        flat = tensor.values.reshape(-1).astype(float).tolist()
        return [value if math.isfinite(value) else None for value in flat]
    return [one.decode() for one in tensor.values]
