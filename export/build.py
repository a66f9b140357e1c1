"""Makes a bundle out of a checkpoint: convert, gate, describe, verify, put in place."""

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from export import golden, graph, parity, publish, quantise, report
from export.errors import ExportError, GateError
from export.parity import GATES, Gate, Parity
from stream.bundle import (
    MODEL,
    TOKENIZER,
    Bundle,
    Golden,
    Manifest,
    Precision,
    file_hashes,
    read_bundle,
    write_manifest,
)
from stream.classifier import Classifier
from stream.schema import LABELS
from stream.text import NORMALISER_VERSION
from train import data, model
from train.evaluate import logits
from train.fit import write_json

log = logging.getLogger(__name__)


def build(
    checkpoint: Path,
    out: Path,
    precision: Precision,
    name: str | None = None,
    model_version: str | None = None,
    base_model: str | None = None,
    gate: Gate | None = None,
) -> None:
    """Write the bundle `out`, or raise and leave whatever is there as it is.

    `gate` None is the precision's own. Raises ExportError where the checkpoint or `out` cannot be
    used, GateError where no model came out that does what the trained one does.
    """
    publish.check_replaceable(out)
    training = read_training(checkpoint)
    texts = [row.text for row in data.deduplicate(data.read(checkpoint / "validation.tsv"))]
    net, tokenizer = model.load(str(checkpoint))
    draft = Bundle(
        manifest=Manifest(
            name=name or out.name,
            version=model_version or "",
            base_model=base_model
            or model.display_name(training["config"].get("base_model", "distilled")),
            labels=LABELS,
            max_length=training["max_length"],
            normaliser_version=NORMALISER_VERSION,
            thresholds=training["thresholds"],
            precision=precision,
            opset=graph.OPSET,
            files={},
            golden=tuple(Golden(text=text, scores=(0.0,) * len(LABELS)) for text in golden.TEXTS),
            golden_tolerance=golden.TOLERANCES[precision],
        ),
        model=b"",
        tokenizer=tokenizer.backend_tokenizer.to_str().encode(),
    )
    log.info("%d validation texts through the trained model", len(texts))
    trained = logits(checkpoint, texts)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside `out`: a rename must not cross file systems.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        finished = Path(scratch) / out.name
        finished.mkdir()
        content = convert(net, precision, Path(scratch) / "traced.onnx")
        bundle = replace(draft, model=content)
        found = parity.compare(trained, parity.served_logits(bundle, texts), training["thresholds"])
        log.info(
            "%.2f%% equal decisions, logits off by up to %.2g",
            100 * found.equal_decisions,
            found.max_logit_difference,
        )
        if failures := (gate or GATES[precision]).failures(found):
            raise GateError(f"nothing was written, for {'; and '.join(failures)}")
        write(finished, bundle, checkpoint, training, found)
        verify(finished)
        publish.publish(finished, out)
    log.info("%s: %.1f MiB, verified", out, len(content) / 2**20)


def read_training(checkpoint: Path) -> dict[str, Any]:
    """Return what the run says of itself; raise ExportError where it cannot be served as it is."""
    path = checkpoint / "training.json"
    if not path.is_file():
        raise ExportError(f"{checkpoint}: no training.json; is it a run that `fit` finished?")
    training: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if training["labels"] != list(LABELS):
        raise ExportError(f"{path}: labels {training['labels']}, not {list(LABELS)}")
    if training["normaliser_version"] != NORMALISER_VERSION:
        raise ExportError(
            f"{path}: trained with normaliser {training['normaliser_version']}, this kcguard has "
            f"{NORMALISER_VERSION}; train anew"
        )
    return training


def convert(net: PreTrainedModel, precision: Precision, scratch: Path) -> bytes:
    """Return the model file for `net`; the file `scratch` is overwritten."""
    graph.trace(net, scratch)
    fused = graph.fuse(scratch, net.config)
    as_asked = {
        "fp32": lambda: fused,
        "fp16": lambda: graph.to_fp16(fused),
        "int8": lambda: quantise.to_int8_weights(fused),
    }
    return bytes(as_asked[precision]().SerializeToString())


def write(
    directory: Path, bundle: Bundle, run: Path, training: Mapping[str, Any], found: Parity
) -> None:
    """Write the files of `bundle`; golden scores, figures and hashes join the draft manifest.

    What `kcguard-train report` left in `run` comes along, pictures included.
    """
    draft = bundle.manifest
    (directory / MODEL).write_bytes(bundle.model)
    (directory / TOKENIZER).write_bytes(bundle.tokenizer)
    figures = {"rows": training["rows"], "metrics": training["metrics"]}
    prose = None
    if (run / "report.json").is_file():
        figures = json.loads((run / "report.json").read_text(encoding="utf-8"))
        if figures.get("thresholds") != training["thresholds"]:
            raise ExportError(
                f"{run}: report.json is of other thresholds than training.json; run "
                "`kcguard-train report` again"
            )
        prose = (run / "report.md").read_text(encoding="utf-8")
        shutil.copytree(run / "pictures", directory / "pictures")
    write_json(directory / "report.json", {**figures, "parity": found.to_json()})
    (directory / "report.md").write_text(
        report.markdown(draft.name, draft.precision, len(bundle.model), training, found, prose),
        encoding="utf-8",
    )
    versions = {name: version(name) for name in ("torch", "optimum-onnx", "onnx", "onnxruntime")}
    hashes = file_hashes(directory)
    write_manifest(
        directory,
        draft.model_copy(
            update={
                "version": draft.version or hashes[MODEL][:12],
                "files": dict(hashes),
                "golden": score_golden(bundle),
                "metrics": report.summary(training, found),
                "training": report.provenance(training, versions),
            }
        ),
    )


def score_golden(bundle: Bundle) -> tuple[Golden, ...]:
    """Return the golden texts with the scores that the serving class gives them here."""
    texts = [each.text for each in bundle.manifest.golden]
    classifier = Classifier(bundle)
    try:
        scores = classifier.score(texts).scores
    finally:
        classifier.close()
    return tuple(
        Golden(text=text, scores=tuple(map(float, row)))
        for text, row in zip(texts, scores, strict=True)
    )


def verify(directory: Path) -> None:
    """Read the written bundle as the worker does: hashes, labels, golden scores."""
    classifier = Classifier(read_bundle(directory))
    try:
        classifier.verify()
    finally:
        classifier.close()
