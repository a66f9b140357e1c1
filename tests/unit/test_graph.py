"""Graphs that keep weights in other files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    SparseTensorProto,
    TensorProto,
    helper,
    numpy_helper,
)

from stream.graph import leans_on_other_files

SHIPPED = Path(__file__).parents[2] / "models" / "kcguard"


def a_tensor(outside: bool) -> TensorProto:
    tensor = numpy_helper.from_array(np.ones((4, 4), np.float32), "weights")
    if outside:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="elsewhere")
    return tensor


def a_graph(tensor: TensorProto) -> GraphProto:
    return helper.make_graph([], "graph", [], [], [tensor])


def in_initializer(tensor: TensorProto) -> ModelProto:
    return helper.make_model(a_graph(tensor))


def in_attribute(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("Constant", [], ["x"], value=tensor)
    return helper.make_model(helper.make_graph([node], "graph", [], []))


def in_branch(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("If", ["x"], ["y"], then_branch=a_graph(tensor))
    return helper.make_model(helper.make_graph([node], "graph", [], []))


def in_lists(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("Any", [], [])
    node.attribute.add(name="tensors", type=AttributeProto.TENSORS, tensors=[tensor])
    node.attribute.add(name="graphs", type=AttributeProto.GRAPHS, graphs=[a_graph(tensor)])
    return helper.make_model(helper.make_graph([node], "graph", [], []))


def in_sparse(tensor: TensorProto) -> ModelProto:
    graph = helper.make_graph([], "graph", [], [])
    graph.sparse_initializer.append(SparseTensorProto(values=tensor, indices=a_tensor(False)))
    return helper.make_model(graph)


def in_function(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("Constant", [], ["x"], value=tensor)
    model = in_initializer(a_tensor(False))
    model.functions.append(helper.make_function("own", "f", [], ["x"], [node], []))
    return model


def in_training(tensor: TensorProto) -> ModelProto:
    model = in_initializer(a_tensor(False))
    model.training_info.add().algorithm.CopyFrom(a_graph(tensor))
    return model


PLACES = [
    in_initializer,
    in_attribute,
    in_branch,
    in_lists,
    in_sparse,
    in_function,
    in_training,
]


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_in_another_file_is_found_wherever_it_stands(
    place: Callable[[TensorProto], ModelProto],
) -> None:
    """A graph leans on other files exactly where one of its tensors does, at any depth."""
    found = [
        leans_on_other_files(place(a_tensor(outside)).SerializeToString())
        for outside in (False, True)
    ]

    assert [False, True] == found


def test_the_shipped_graph_is_whole() -> None:
    """The shipped model leans on no other file."""
    assert not leans_on_other_files((SHIPPED / "model.onnx").read_bytes())


@given(st.binary(max_size=200))
def test_bytes_are_a_graph_or_a_value_error(data: bytes) -> None:
    """Any bytes give an answer or a ValueError."""
    try:
        answer = leans_on_other_files(data)
    except ValueError:
        return

    assert answer in (True, False)


@pytest.mark.parametrize("cut", [1, 5, 10])
def test_a_graph_that_is_cut_short_is_none(cut: int) -> None:
    """A file that ends inside of a field is no graph."""
    whole = in_initializer(a_tensor(False)).SerializeToString()

    with pytest.raises(ValueError, match=r"field ends|no number"):
        leans_on_other_files(whole[:-cut])
