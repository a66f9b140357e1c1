"""The trained network as an ONNX graph, and the same graph with BERT's operators fused."""

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.onnx_model import OnnxModel
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import BertOnnxConfig
from transformers import PreTrainedModel

from export.errors import GateError

OPSET = 17
"""The first with LayerNormalization as one operator, and old enough for every ONNX Runtime."""


def trace(net: PreTrainedModel, path: Path) -> onnx.ModelProto:
    """Write `net` (eager attention) to `path` as one file, and return the graph.

    Inputs input_ids, attention_mask, token_type_ids [rows, tokens], both axes free; output
    `logits` [rows, labels]. Operators are small ones: nothing is fused yet.
    """
    with warnings.catch_warnings():
        # optimum 2.1 traces with the exporter that torch calls legacy, and the tracer warns of
        # every Python branch on a shape; the parity gate judges what came out.
        warnings.simplefilter("ignore")
        export(net, BertOnnxConfig(net.config, task="text-classification"), path, opset=OPSET)
    graph = onnx.load(path, load_external_data=False)
    if onnx.external_data_helper.uses_external_data(graph.graph.initializer[0]):
        raise GateError("the graph does not fit into one file (2 GiB is ONNX's limit)")
    return graph


def fuse(path: Path, config: Any) -> onnx.ModelProto:
    """Return the graph in `path` with attention, embeddings, skip connections and GELU fused.

    `config` is the network's. GELU stays exact (erf): a tanh approximation would change scores.
    Raises GateError where a fusion silently did nothing, as it does on any graph but an eager one.
    """
    options = FusionOptions("bert")
    options.enable_gelu_approximation = False
    fused = optimizer.optimize_model(
        str(path),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        optimization_options=options,
        opt_level=0,  # ONNX Runtime's own passes run when the worker loads the graph
    )
    check_fused(Counter(node.op_type for node in fused.model.graph.node), config.num_hidden_layers)
    result: onnx.ModelProto = fused.model
    return result


def to_fp16(fused: onnx.ModelProto) -> onnx.ModelProto:
    """Return the fused graph in half precision; the logits stay fp32."""
    model = OnnxModel(fused)
    # A sum over 512 tokens is where half precision would lose the most.
    model.convert_float_to_float16(keep_io_types=True, op_block_list=["ReduceSum", "Div"])
    result: onnx.ModelProto = model.model
    return result


def check_fused(operators: Mapping[str, int], layers: int) -> None:
    """Raise GateError unless `operators` (count by type) are those of a fused BERT of `layers`."""
    expected = {
        "EmbedLayerNormalization": 1,
        "Attention": layers,
        "SkipLayerNormalization": 2 * layers,
        "BiasGelu": layers,
    }
    wrong = [
        f"{operators.get(name, 0)} {name} in place of {count}"
        for name, count in expected.items()
        if operators.get(name, 0) != count
    ]
    if wrong:
        raise GateError(
            f"fusion left {', '.join(wrong)}; it knows BERT with eager attention and exact GELU "
            "as torch, optimum and onnxruntime of pyproject.toml export it"
        )
