"""A checkpoint becomes a bundle, whole and verified, or nothing at all."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.__main__ import main
from export.build import build
from export.errors import ExportError, GateError
from export.golden import TEXTS
from export.parity import GATES, Gate
from stream.bundle import Manifest, read_bundle
from stream.classifier import Classifier
from stream.errors import BundleError
from stream.policy import decide
from stream.schema import LABELS
from tests import tiny
from train.distill import distill
from train.evaluate import logits
from train.metrics import softmax

ANY = Gate(max_logit_difference=float("inf"), equal_decisions=0.0)
"""Of fifteen validation lines none may be left to decide on the gate."""
# Transformers sorts checkpoints by age; epochs of a tenth of a second have none.
pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable")


def manifest(bundle: Path) -> Manifest:
    return read_bundle(bundle).manifest


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_bundle_verifies(bundle: Path) -> None:
    """What was exported loads as the worker loads it and gives the golden scores again."""
    Classifier(read_bundle(bundle)).verify()
    assert list(TEXTS) == [golden.text for golden in manifest(bundle).golden]


def test_the_bundle_holds_these_files(bundle: Path) -> None:
    """A bundle is one model file, the tokenizer, the manifest and the two reports."""
    names = {"model.onnx", "tokenizer.json", "manifest.json", "report.json", "report.md"}
    assert names == set(files(bundle))
    assert names - {"manifest.json"} == set(manifest(bundle).files)


def test_the_bundle_decides_as_the_checkpoint(bundle: Path, run: Path) -> None:
    """On lines of training and validation the bundle decides as the trained model does."""
    texts = [text for text, _ in tiny.rows()]
    thresholds = manifest(bundle).thresholds
    served = Classifier(read_bundle(bundle)).score(texts).scores
    trained = softmax(logits(run, texts))
    equal = [
        decide(one, thresholds).label == decide(other, thresholds).label
        for one, other in zip(trained, served, strict=True)
    ]
    assert np.mean(equal) >= 0.98


def test_the_version_is_the_weights_hash(bundle: Path) -> None:
    """Without --version the version is the beginning of the sha256 of model.onnx."""
    digest = hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
    assert (bundle.name, digest[:12]) == (manifest(bundle).name, manifest(bundle).version)


def test_the_graph_takes_any_rows_and_tokens(bundle: Path) -> None:
    """The model is one file with free axes and the output `logits` of three columns, in fp32."""
    graph = onnx.load(bundle / "model.onnx", load_external_data=False)
    (output,) = graph.graph.output
    assert "logits" == output.name
    assert onnx.TensorProto.FLOAT == output.type.tensor_type.elem_type
    assert len(LABELS) == output.type.tensor_type.shape.dim[1].dim_value
    for entry in graph.graph.input:
        assert [0, 0] == [dim.dim_value for dim in entry.type.tensor_type.shape.dim]
    assert not any(tensor.external_data for tensor in graph.graph.initializer)


def test_the_manifest_tells_no_machine(bundle: Path, run: Path) -> None:
    """Neither manifest nor reports hold a path: base and data are named by their last component."""
    for name in ("manifest.json", "report.json", "report.md"):
        assert str(run.parent) not in (bundle / name).read_text(encoding="utf-8")
    told = manifest(bundle)
    assert "base" == told.base_model
    assert ("base", "data") == (
        told.training["config"]["base_model"],
        told.training["config"]["data"],
    )
    assert "out" not in told.training["config"]


def test_the_manifest_carries_figures_and_origin(bundle: Path, run: Path) -> None:
    """Figures, thresholds, data hashes and versions of the run stand in the manifest."""
    training = json.loads((run / "training.json").read_text(encoding="utf-8"))
    told = manifest(bundle)
    assert training["thresholds"] == told.thresholds
    assert training["data_sha256"] == told.training["data_sha256"]
    assert training["versions"] == told.training["versions"]
    assert (
        training["metrics"]["validation"]["at_thresholds"]["macro_f1"]
        == told.metrics["validation"]["macro_f1"]
    )
    assert 15 == told.metrics["parity"]["texts"]
    assert "onnxruntime" in told.training["exporter_versions"]


def test_the_report_is_readable(bundle: Path) -> None:
    """report.md names the precision, the parity and every label's figures."""
    text = (bundle / "report.md").read_text(encoding="utf-8")
    assert f"Precision {manifest(bundle).precision}" in text
    assert "equal decisions" in text
    assert all(label in text for label in LABELS)


def test_the_report_of_the_run_comes_along(run: Path, tmp_path: Path) -> None:
    """What was reported of the run stands in the bundle, hashed, under the bundle's own title."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    thresholds = json.loads((run / "training.json").read_text("utf-8"))["thresholds"]
    content = {"pairs": {"all": 0.9}, "thresholds": thresholds}
    (copy / "report.json").write_text(json.dumps(content), encoding="utf-8")
    (copy / "report.md").write_text("# run\n\nminimal pairs 90 %\n", encoding="utf-8")
    (copy / "pictures").mkdir()
    (copy / "pictures/learning.png").write_bytes(b"png")
    build(copy, tmp_path / "models/tiny", "fp32")
    out = tmp_path / "models/tiny"
    text = (out / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# tiny\n")
    assert text.endswith("\n\nminimal pairs 90 %\n")
    figures = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert {"pairs", "thresholds", "parity"} == set(figures)
    assert "pictures/learning.png" in read_bundle(out).manifest.files


def test_a_report_of_other_thresholds_is_refused(run: Path, tmp_path: Path) -> None:
    """A report made before the thresholds were chosen anew stays out of the bundle."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "report.json").write_text('{"thresholds": {}}', encoding="utf-8")
    with pytest.raises(ExportError, match="run `kcguard-train report` again"):
        build(copy, tmp_path / "models/tiny", "fp32")


def test_a_distilled_run_exports_and_names_its_teacher(run: Path, tmp_path: Path) -> None:
    """A student becomes a bundle as any run does; of its teacher's path the name is told."""
    student = tmp_path / "student"
    distill(tiny.distill_config(tmp_path, run, layers=2, learning_rate=1e-4))
    build(student, tmp_path / "models/mini", "int8", gate=ANY)
    trained = manifest(tmp_path / "models/mini").training["config"]
    assert [run.name] == trained["teacher"]
    assert str(tmp_path) not in json.dumps(trained)


def test_a_tampered_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    """A bundle of which one byte was changed is refused, and the file is named."""
    for name, content in files(bundle).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "tokenizer.json").write_bytes((bundle / "tokenizer.json").read_bytes() + b" ")
    with pytest.raises(BundleError, match=r"tokenizer\.json does not have the sha256"):
        read_bundle(tmp_path)


def test_a_failed_gate_writes_nothing_and_says_by_how_much(run: Path, tmp_path: Path) -> None:
    """Where a logit is off by more than allowed the difference is told and no file is left."""
    gate = dataclasses.replace(GATES["fp32"], max_logit_difference=0.0)
    with pytest.raises(GateError, match=r"a logit is off by \S+, allowed is 0"):
        build(run, tmp_path / "models/tiny", "fp32", gate=gate)
    assert {} == files(tmp_path)


def test_too_few_equal_decisions_are_told(run: Path, tmp_path: Path) -> None:
    """Where the decisions differ too often the share that is equal is told, and nothing is left."""
    gate = dataclasses.replace(GATES["int8"], equal_decisions=1.01)
    with pytest.raises(GateError, match=r"% of 15 decisions are equal, needed are 101\.00%"):
        build(run, tmp_path / "tiny", "int8", gate=gate)
    assert {} == files(tmp_path)


def test_a_failed_gate_leaves_the_old_bundle(run: Path, bundle: Path, tmp_path: Path) -> None:
    """A bundle that is already there stays as it was when the new one fails its gate."""
    old = tmp_path / "tiny"
    old.mkdir()
    for name, content in files(bundle).items():
        (old / name).write_bytes(content)
    with pytest.raises(GateError):
        build(run, old, "fp32", gate=dataclasses.replace(GATES["fp32"], equal_decisions=1.01))
    assert files(bundle) == files(old)


def test_a_directory_that_is_no_bundle_is_refused(run: Path, tmp_path: Path) -> None:
    """A directory without a manifest is not replaced, and its files stay."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/todo.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(ExportError, match="exists and is no bundle"):
        build(run, tmp_path / "notes", "fp32")
    assert {"todo.txt": b"keep me"} == files(tmp_path)


def test_a_bundle_is_replaced_by_the_next(run: Path, tmp_path: Path) -> None:
    """A second export to the same place leaves the second bundle, and nothing beside it."""
    arguments = ["--checkpoint", str(run), "--out", str(tmp_path / "tiny")]
    second = ["--version", "second", "--name", "guard", "--base-model", "some/base"]
    assert 0 == main([*arguments, "--precision", "fp32", "--version", "first"])
    assert 0 == main([*arguments, "--precision", "int8", *second])
    told = manifest(tmp_path / "tiny")
    assert ("guard", "second", "int8", "some/base") == (
        told.name,
        told.version,
        told.precision,
        told.base_model,
    )
    assert [tmp_path / "tiny"] == list(tmp_path.iterdir())


def test_a_class_that_was_trained_with_cls_pooling_exports_too(tmp_path: Path) -> None:
    """The shape of KcBERT itself, [CLS] and pooler, fuses and passes the fp32 gate."""
    run = tiny.train_run(tmp_path, pooling="cls", epochs=1)
    build(run, tmp_path / "models/tiny", "fp32")
    Classifier(read_bundle(tmp_path / "models/tiny")).verify()
