"""Weight-only quantisation: a file of a quarter of the size whose arithmetic is that of fp32.

Weights are stored as int8 with one scale for each output channel (for each token in a table of
embeddings) and multiplied out by ONNX Runtime's constant folding when the worker loads the file.
So the speed is that of fp32, a score does not depend on the texts beside it, and a GPU can run the
same file.

Why no eight-bit arithmetic: a 12 x 384 against its fp32 graph, on 1,000 validation texts at its
thresholds; two one-thread callers on an x86 CPU with AVX2, no VNNI:

    mechanism                               MiB   equal      largest    texts/s
                                                  decisions  logit off
    fp32, fused                             93.7                         68
    int8 weights, fp32 arithmetic (this)    23.8   99.9 %     0.14       70
    MatMulNBits, blocks of 128              24.9   99.9 %     0.16       38
    MatMulNBits, blocks of 32               26.8   99.8 %     0.10       35
    dynamic, but `output/dense` MatMulNBits 24.7   98.9 %     0.63       55
    dynamic, 7 bits, per channel            24.5   98.2 %     1.69       80

Dynamic misses the gate of 99.5 %: one scale serves all activations of a text, and outliers leave
few steps for the others.
"""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

_BY_ROW = ("EmbedLayerNormalization", "Gather", "Gemm")
"""Operators that read [rows, width] or [outputs, inputs]; all others read [inputs, outputs]."""

_SMALLEST = 16
"""Matrices with fewer rows or columns (the head, the token types) stay as they are."""


def to_int8_weights(fused: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with its large matrices in int8, each followed by what multiplies it out."""
    model = onnx.ModelProto()
    model.CopyFrom(fused)
    graph = model.graph
    by_row = {name for node in graph.node if node.op_type in _BY_ROW for name in node.input}
    decoding = []
    for tensor in list(graph.initializer):
        if len(tensor.dims) != 2 or min(tensor.dims) < _SMALLEST:
            continue
        steps, scales = quantise(numpy_helper.to_array(tensor), axis=int(tensor.name in by_row))
        small, factor, wide = (f"{tensor.name}_{part}" for part in ("int8", "scale", "fp32"))
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(steps, small))
        graph.initializer.append(numpy_helper.from_array(scales, factor))
        # Not DequantizeLinear: ONNX Runtime would not fold it but turn the product into
        # MatMulNBits, which takes 2.5 times as long on a CPU without VNNI.
        decoding.append(helper.make_node("Cast", [small], [wide], small, to=TensorProto.FLOAT))
        decoding.append(helper.make_node("Mul", [wide, factor], [tensor.name], factor))
    nodes = [*decoding, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def quantise(
    matrix: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return int8 steps and their scales, so that steps x scales is `matrix` to half a step.

    One scale serves all numbers along `axis`. Symmetric: from -127 to 127, zero stays zero.
    """
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    # Never zero: a scale lost among the subnormal numbers would divide by nothing.
    scales = np.maximum(largest / 127, np.finfo(np.float32).tiny).astype(np.float32)
    return np.rint(matrix / scales).astype(np.int8), scales
