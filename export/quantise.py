"""Eight bits a weight, for CPUs: two ways to do a product, and the order in which they are tried.

*Dynamic*: a scale per output channel for the weights, one scale for all activations of a text. The
fast kernel, but one outlier among the activations leaves few steps for all the others.

*Blockwise* (MatMulNBits): a scale for every 128 weights and every 128 activations of a token, so
that an outlier spoils its own block and no other.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

_CONTRIB = "com.microsoft"
PRODUCT_BLOCK = 128
EMBEDDING_BLOCK = 32
"""Divides the width of every BERT."""


@dataclass(frozen=True)
class Plan:
    """Which products are done blockwise; the others are dynamic."""

    blockwise: str | None
    """What the names of these nodes end with; None: no product."""
    note: str

    def names(self, node: str) -> bool:
        """Whether the product of that name is done blockwise."""
        return self.blockwise is not None and node.endswith(self.blockwise)


PLANS: Sequence[Plan] = (
    Plan(None, "Every product with dynamic 8-bit activations."),
    Plan(
        "/output/dense/MatMul",
        "The outputs of attention and feed-forward blockwise, the rest dynamic.",
    ),
    Plan("/MatMul", "Every product with blockwise 8-bit activations."),
)
"""Fastest first; the exporter takes the first that passes the gate."""


def quantise(traced: Path, plan: Plan) -> bytes:
    """Return the graph in the file `traced` (unfused) with 8-bit products and embeddings.

    Unfused, since the fused Attention has no 8-bit kernel for its weights.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        # Shapes only: without them the quantiser cannot tell a product from another.
        quant_pre_process(traced, path, skip_optimization=True, skip_symbolic_shape=True)
        model = onnx.load(path)
        _to_blocks(model.graph, plan)
        model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))
        onnx.save(model, path)
        quantize_dynamic(
            path,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            # Seven bits. Without VNNI (any x86 before 2019, many virtual machines) a kernel adds
            # two 8-bit products into 16 bits, which overflows and saturates: an 8-bit bundle
            # would give other scores on another CPU.
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        return path.read_bytes()


def _to_blocks(graph: onnx.GraphProto, plan: Plan) -> None:
    """Change embeddings, and the products that `plan` names, to blocks of 8 bits."""
    tables = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in tables:
            table = tables[node.input[0]]
            graph.initializer.extend(_to_block_gather(table, node))
        elif node.op_type == "MatMul" and node.input[1] in tables and plan.names(node.name):
            table = tables[node.input[1]]
            graph.initializer.extend(_to_block_product(table, node))
        else:
            continue
        graph.initializer.remove(table)


def blocks(
    matrix: npt.NDArray[np.float32], size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return `matrix` [rows, columns] as bytes [rows, blocks, size] and scales [rows, blocks].

    A weight is (byte - 128) x scale; a row that does not fill its last block is padded with zero.
    Symmetric rounding to the nearest, over the 255 values from -127 to 127.
    """
    padded = np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % size)))
    split = padded.reshape(len(matrix), -1, size)
    scales = np.abs(split).max(axis=2) / 127
    steps = split / np.where(scales == 0, 1, scales)[..., None]
    return (np.rint(steps) + 128).astype(np.uint8), scales.astype(np.float32)


def _to_block_product(weights: onnx.TensorProto, node: onnx.NodeProto) -> list[onnx.TensorProto]:
    """Turn MatMul(x, weights [inputs, outputs]) into the same product by blocks."""
    matrix = numpy_helper.to_array(weights)
    quantised, scales = blocks(matrix.T, PRODUCT_BLOCK)
    tensors = _tensors(weights.name, quantised, scales)
    _become(
        node,
        "MatMulNBits",
        [node.input[0], *(tensor.name for tensor in tensors)],
        K=matrix.shape[0],
        N=matrix.shape[1],
        bits=8,
        block_size=PRODUCT_BLOCK,
        accuracy_level=4,  # activations in 8 bits as well
    )
    return tensors


def _to_block_gather(table: onnx.TensorProto, node: onnx.NodeProto) -> list[onnx.TensorProto]:
    """Turn Gather(table [tokens, width], ids) into a gather of 8-bit rows."""
    matrix = numpy_helper.to_array(table)
    quantised, scales = blocks(matrix, EMBEDDING_BLOCK)
    tensors = _tensors(table.name, quantised.reshape(len(matrix), -1), scales)
    _become(
        node,
        "GatherBlockQuantized",
        [tensors[0].name, node.input[1], tensors[1].name],
        gather_axis=0,
        quantize_axis=1,
        bits=8,
        block_size=EMBEDDING_BLOCK,
    )
    return tensors


def _tensors(
    name: str, quantised: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32]
) -> list[onnx.TensorProto]:
    return [
        numpy_helper.from_array(quantised, f"{name}_quantised"),
        numpy_helper.from_array(scales, f"{name}_scales"),
    ]


def _become(node: onnx.NodeProto, kind: str, inputs: Sequence[str], **attributes: int) -> None:
    node.op_type, node.domain = kind, _CONTRIB
    del node.input[:], node.attribute[:]
    node.input.extend(inputs)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
