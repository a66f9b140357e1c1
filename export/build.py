"""Makes a bundle out of a checkpoint: convert, gate, describe, verify, put in place."""

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from train.metrics import Scores

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A model file that may become the bundle's, and a sentence on how it was made."""

    content: bytes
    note: str


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
            base_model=base_model or report.base_model_name(training["config"]["base_model"]),
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
        work = Path(scratch)
        chosen, found = choose(
            candidates(net, precision, work), draft, texts, trained, gate or GATES[precision]
        )
        finished = work / out.name
        finished.mkdir()
        write(finished, replace(draft, model=chosen.content), training, found, chosen.note)
        verify(finished)
        publish.publish(finished, out)
    log.info("%s: %.1f MiB, verified", out, len(chosen.content) / 2**20)


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


def candidates(net: PreTrainedModel, precision: Precision, work: Path) -> Iterator[Candidate]:
    """Yield the models to try, the one to be preferred first; `work` takes scratch files."""
    traced = work / "traced.onnx"
    graph.trace(net, traced)
    if precision == "int8":
        for plan in quantise.PLANS:
            yield Candidate(quantise.quantise(traced, plan), plan.note)
        return
    fused = graph.fuse(traced, net.config)
    if precision == "fp16":
        yield Candidate(graph.to_fp16(fused).SerializeToString(), "Fused operators, fp16 weights.")
    else:
        yield Candidate(fused.SerializeToString(), "Fused operators.")


def choose(
    models: Iterator[Candidate],
    draft: Bundle,
    texts: Sequence[str],
    trained: Scores,
    gate: Gate,
) -> tuple[Candidate, Parity]:
    """Return the first of `models` that passes `gate` against the `trained` logits of `texts`."""
    misses: list[str] = []
    for candidate in models:
        served = parity.served_logits(replace(draft, model=candidate.content), texts)
        found = parity.compare(trained, served, draft.manifest.thresholds)
        log.info(
            "%s %.2f%% equal decisions, logits off by up to %.2g",
            candidate.note,
            100 * found.equal_decisions,
            found.max_logit_difference,
        )
        failures = gate.failures(found)
        if not failures:
            return candidate, found
        misses.append(f"{candidate.note} {'; '.join(failures)}")
    raise GateError(f"the gate is not passed, nothing was written: {' | '.join(misses)}")


def write(
    directory: Path, bundle: Bundle, training: Mapping[str, Any], found: Parity, note: str
) -> None:
    """Write the files of `bundle`; golden scores, figures and hashes join the draft manifest."""
    draft = bundle.manifest
    (directory / MODEL).write_bytes(bundle.model)
    (directory / TOKENIZER).write_bytes(bundle.tokenizer)
    write_json(
        directory / "report.json",
        {"rows": training["rows"], "metrics": training["metrics"], "parity": found.to_json()},
    )
    (directory / "report.md").write_text(
        report.markdown(draft.name, draft.precision, len(bundle.model), training, found, note),
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
                "training": report.provenance(training, {"note": note, "versions": versions}),
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
