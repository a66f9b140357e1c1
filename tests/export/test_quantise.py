"""Eight-bit weights: small in the file, fp32 again when loaded."""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from export import graph
from export.quantise import quantise, to_int8_weights
from tests import tiny
from train import model

Matrix = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    directory = tmp_path_factory.mktemp("fused")
    net, _ = model.load(str(tiny.write_base(directory / "base")), "cls")
    graph.trace(net, directory / "model.onnx")
    return graph.fuse(directory / "model.onnx", net.config)


@given(
    matrix=arrays(np.float32, (4, 5), elements=st.floats(-100, 100, width=32)),
    axis=st.sampled_from([0, 1]),
)
def test_a_weight_is_off_by_half_a_step_at_most(matrix: Matrix, axis: int) -> None:
    """Multiplied out, no weight differs by more than half the scale of its channel."""
    steps, scales = quantise(matrix, axis)
    assert (1, 5) == scales.shape if axis == 0 else (4, 1) == scales.shape
    assert np.all(np.abs(steps * scales - matrix) <= scales * 0.5001)


def test_zero_stays_zero() -> None:
    """A channel of zeros is stored with a scale that divides, and stays zero."""
    steps, scales = quantise(np.zeros((2, 3), np.float32), axis=0)
    assert not (steps * scales).any()
    assert np.isfinite(scales).all()


def test_matrices_shrink_to_a_quarter(fused: onnx.ModelProto) -> None:
    """Every matrix with at least 16 rows and columns is int8 in the file, and no other tensor."""
    kinds = Counter(
        tensor.data_type
        for tensor in to_int8_weights(fused).graph.initializer
        if len(tensor.dims) == 2 and min(tensor.dims) >= 16
    )
    # Two layers of four products (query, key and value are one), words, positions, the pooler.
    assert {onnx.TensorProto.INT8: 2 * 4 + 3} == kinds


def test_the_graph_that_was_given_is_left_alone(fused: onnx.ModelProto) -> None:
    """Quantisation works on a copy."""
    before = fused.SerializeToString()
    to_int8_weights(fused)
    assert before == fused.SerializeToString()


def test_loading_leaves_the_operators_of_fp32(fused: onnx.ModelProto, tmp_path: Path) -> None:
    """ONNX Runtime multiplies the weights out once, at load: what runs is the fp32 graph."""
    counts = []
    for name, graph_ in (("fp32", fused), ("int8", to_int8_weights(fused))):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(tmp_path / f"{name}.onnx")
        ort.InferenceSession(graph_.SerializeToString(), options)
        loaded = onnx.load(options.optimized_model_filepath)
        counts.append(Counter(node.op_type for node in loaded.graph.node))
    assert counts[0] == counts[1]
