"""The fused graph is counted, and a fusion that did nothing is an error."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from export import graph
from export.errors import GateError
from tests import tiny
from train import model
from train.config import Pooling

FUSED = {"EmbedLayerNormalization": 1, "Attention": 2, "SkipLayerNormalization": 4, "BiasGelu": 2}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_bert_fuses_whole(tmp_path: Path, pooling: Pooling) -> None:
    """Embeddings, attention, skip connections and GELU of every layer become one operator each."""
    net, _ = model.load(str(tiny.write_base(tmp_path / "base")), pooling)
    graph.trace(net, tmp_path / "model.onnx")
    operators = Counter(
        node.op_type for node in graph.fuse(tmp_path / "model.onnx", net.config).graph.node
    )
    assert FUSED == {name: operators[name] for name in FUSED}
    assert 0 == operators["FastGelu"]


def test_a_graph_that_does_not_fuse_is_an_error(tmp_path: Path) -> None:
    """An activation that no fusion knows is told by operator and count."""
    base = tiny.write_base(tmp_path / "base", hidden_act="relu")
    net, _ = model.load(str(base))
    torch.manual_seed(1)
    graph.trace(net, tmp_path / "model.onnx")
    with pytest.raises(GateError, match="fusion left 0 BiasGelu in place of 2"):
        graph.fuse(tmp_path / "model.onnx", net.config)


def test_every_operator_that_is_missing_is_named() -> None:
    """A graph of which half fused names each operator that is not there as often as it must."""
    with pytest.raises(GateError, match="1 Attention in place of 2, 0 SkipLayerNormalization in"):
        graph.check_fused({**FUSED, "Attention": 1, "SkipLayerNormalization": 0}, layers=2)
