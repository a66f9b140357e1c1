"""Reports on a finished run: what it learnt, where it still fails, what training changed.

Reads, scores every text once per model, and writes. What people see of it is drawn from the
figures in report.json alone (`page` and `pictures`).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from stream.schema import NORMAL
from train import comparison, data, mixture, page, pictures, robustness
from train.augment import PERTURBATIONS
from train.data import Example
from train.errors import TrainError
from train.evaluate import score_all
from train.fit import write_json
from train.metrics import BUDGETS, at_budgets, calibration, judge, precision_recall
from train.robustness import Line, Perturbations, targets_of

log = logging.getLogger(__name__)

Figures = dict[str, Any]

CURVE = np.geomspace(0.001, 0.2, 30).tolist()
"""Budgets of false alarms of the threshold curve."""


@dataclass(frozen=True)
class Sources:
    """What a report is made of besides the run itself; each may be absent."""

    corpus: Path | None = None
    """The labelled corpus: validation/, test/, pairs.tsv."""
    corpora: Path | None = None
    """The public corpora."""
    base_model: str | None = None
    """A hub name or a directory; None: what the run was trained from."""
    size_curve: Path | None = None
    """A list of {rows, detection_rate, false_positive_rate}; None: size.json beside the run."""
    sample: int = 1500
    """The most lines scored for each perturbation, and rows for each public set."""


def build(
    run: Path, sources: Sources, out: Path, perturbations: Perturbations = PERTURBATIONS
) -> Figures:
    """Write report.md, report.json and pictures/ into `out`, and return the figures.

    Scoring takes nearly all the time: about 17,000 texts at the default sample. Raises TrainError
    where `run` is no finished run or a source is there but broken; what is absent, and a base
    model that cannot be had, is said in the report.
    """
    file = run / "training.json"
    if not file.is_file():
        raise TrainError(f"{run}: no training.json; is it a directory of `fit`?")
    training = json.loads(file.read_text(encoding="utf-8"))
    thresholds = training["thresholds"]
    # A distilled run names teachers in place of a base.
    base_model = sources.base_model or training["config"].get("base_model")
    validation, test = (
        data.deduplicate(data.read(run / f"{part}.tsv")) for part in ("validation", "test")
    )
    lines, pairs = _corpus(sources.corpus)
    abusive = mixture.order([row for row in test if row.label != NORMAL])[: sources.sample]
    changed = robustness.perturb(_texts(abusive), perturbations)
    seen = _seen(run)
    spoken = {}
    if sources.corpora:
        held_out = (seen or set()) | {data.fingerprint(row.text) for row in [*validation, *test]}
        spoken = robustness.read_spoken(sources.corpora, held_out, sources.sample)

    wanted = _texts([*validation, *test, *comparison.SENTENCES])
    wanted += _texts([*chain(*lines.values()), *pairs])
    wanted += [text for texts in changed.values() for text in texts.values()]
    wanted += [text for texts in spoken.values() for text in texts]
    score_of = score_all(run, wanted)
    chosen_on = score_of(_texts(validation)), targets_of(validation)
    measured_on = score_of(_texts(test)), targets_of(test)
    report: Figures = {
        "run": run.resolve().name,
        "thresholds": thresholds,
        "false_alarm_budget": training["false_alarm_budget"],
        "rows": training["rows"],
        "learning": learning(training["log"]),
        "validation": judge(*chosen_on, thresholds),
        "test": judge(*measured_on, thresholds),
        "precision_recall": precision_recall(*measured_on),
        "calibration": calibration(*measured_on),
        "threshold_curve": at_budgets(chosen_on, chosen_on, CURVE),
        "budgets": {"all": {"at": at_budgets(chosen_on, measured_on, BUDGETS)}},
        "parts": {
            part: robustness.part_figures(rows, score_of, thresholds)
            for part, rows in lines.items()
        },
        "pairs": robustness.pair_figures(pairs, score_of, thresholds) if pairs else {},
        "perturbed": robustness.perturbation_figures(abusive, changed, score_of, thresholds),
        "spoken": robustness.spoken_figures(spoken, score_of, thresholds),
        # A distilled run also reads public text that carries no label.
        "training_texts_known": seen is not None and not training["config"].get("corpora"),
        "size": _size(sources.size_curve or run.parent / "size.json"),
        **comparison.before(run, base_model, test, score_of, thresholds),
    }
    if "test" in lines:
        report["budgets"] |= robustness.budget_figures(lines["test"], chosen_on, score_of, BUDGETS)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "report.json", report)
    (out / "report.md").write_text(page.markdown(report), encoding="utf-8")
    pictures.draw(report, out / "pictures")
    return report


def learning(log_history: Sequence[Mapping[str, Any]]) -> Figures:
    """Return the losses and the validation figures of a trainer's log, in its order."""
    return {
        "loss": [
            {name: entry[name] for name in ("step", "epoch", "loss")}
            for entry in log_history
            if "loss" in entry
        ],
        "evaluation": [
            {
                "step": entry["step"],
                "epoch": entry["epoch"],
                "loss": entry.get("eval_loss"),
                "macro_f1": entry["eval_macro_f1"],
            }
            for entry in log_history
            if "eval_macro_f1" in entry
        ],
    }


def _corpus(corpus: Path | None) -> tuple[dict[str, list[Line]], list[Line]]:
    """Return the lines of the parts that no model is trained on, and of the minimal pairs."""
    if corpus is None or not corpus.is_dir():
        return {}, []
    pairs = corpus / "pairs.tsv"
    parts = {part: robustness.read_part(corpus / part) for part in ("validation", "test")}
    return parts, robustness.read_lines(pairs) if pairs.is_file() else []


def _seen(run: Path) -> set[str] | None:
    """Return the fingerprints of the labelled texts that `run` was trained on, if it kept them."""
    file = run / "train_texts.sha256"
    return set(file.read_text(encoding="utf-8").split()) if file.is_file() else None


def _size(file: Path) -> Figures:
    if not file.is_file():
        return {"absent": f"No figures of runs on less text were given ({file.name})."}
    return {
        "points": sorted(
            json.loads(file.read_text(encoding="utf-8")), key=lambda point: point["rows"]
        )
    }


def _texts(rows: Sequence[Example] | Sequence[Line]) -> list[str]:
    return [row.text for row in rows]
