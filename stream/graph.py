"""Whether an ONNX file holds all of its weights, or names other files for some. Pure.

ONNX Runtime, given a model as bytes, takes such a file from the directory that the process happens
to run in (or from one above: `..` goes), and no hash of the bundle covers it. So a bundle's graph
must hold everything itself.
"""

from collections.abc import Mapping
from typing import Final

# The messages of onnx.proto on the way to a tensor, with the numbers of the fields that lead there.
_WAYS: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA: Final = 13
_DATA_LOCATION: Final = 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def leans_on_other_files(model: bytes) -> bool:
    """Return whether any tensor of the ONNX file `model` lies in another file.

    Raises ValueError where the bytes are no protocol buffer. Weights are skipped, not read.
    """
    to_read = [("model", 0, len(model))]
    while to_read:
        kind, at, end = to_read.pop()
        while at < end:
            tag, at = _varint(model, at)
            field, wire = tag >> 3, tag & 7
            size = 0
            if wire == _VARINT:
                value, at = _varint(model, at)
                if kind == "tensor" and field == _DATA_LOCATION and value:
                    return True
            elif wire == _BYTES:
                size, at = _varint(model, at)
                if kind == "tensor" and field == _EXTERNAL_DATA:
                    return True
                if field in _WAYS[kind]:
                    to_read.append((_WAYS[kind][field], at, at + size))
            elif wire == _FIXED64:
                size = 8
            elif wire == _FIXED32:
                size = 4
            else:
                raise ValueError(f"no field at {at}")
            at += size
        if at != end:
            raise ValueError(f"a field ends at {at}, what holds it at {end}")
    return False


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at` and where it ends; at most ten bytes of seven bits."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError(f"no number before {at}")
