"""Reports on a finished run: what it learnt, where it still fails, what training changed.

Reads, scores every text once per model, and writes. What people see of it is drawn from the
figures in report.json alone (`pictures`).
"""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel

from stream.policy import decide
from stream.schema import ABUSE, LABELS, NORMAL, SEXUAL_HARASSMENT
from train import data, mixture, model, pictures, robustness
from train.augment import PERTURBATIONS
from train.data import Example
from train.errors import BaseModelError, TrainError
from train.evaluate import score
from train.fit import fingerprint, write_json
from train.metrics import (
    BUDGETS,
    Scores,
    Targets,
    at_budgets,
    calibration,
    measure,
    precision_recall,
    weight_changes,
)
from train.robustness import Line, Perturbations, ScoreOf, targets_of

log = logging.getLogger(__name__)

Figures = dict[str, Any]

CURVE = np.geomspace(0.001, 0.2, 30).tolist()
"""Budgets of false alarms of the threshold curve."""
SEED = 7_919_190
"""Of the untrained head; no seed that a run would be given. A trained head stays close to where it
was drawn, so the run's own seed would draw a head that fits an encoder already trained behind it.
"""
SENTENCES = tuple(
    Example(text, label, "report")
    for label, texts in {
        NORMAL: (
            "지난달 요금이 왜 이렇게 많이 나왔는지 확인 좀 해 주세요",
            "세 번이나 전화했는데 아직도 안 고쳐져서 너무 화가 나네요",
            "가슴 쪽이 답답해서 그러는데 오늘 내과 예약되나요",
            "아까 통화한 분이 저한테 욕을 해서 신고하려고요",
        ),
        ABUSE: (
            "야 이 씨발 내 돈 언제 돌려줄 거야",
            "말귀도 못 알아먹냐 이 멍청한 새끼야",
            "그 머리로 용케 취직해서 전화나 받고 앉았네",
            "센터 어딘지 다 아니까 퇴근길에 뒤통수 조심해라",
        ),
        SEXUAL_HARASSMENT: (
            "아가씨 지금 무슨 색 속옷 입고 있어",
            "상담 말고 오빠랑 모텔 가서 따로 얘기하자",
            "남자친구랑은 일주일에 몇 번이나 자요",
            "목소리 들으니까 설레는데 끝나고 둘이 술 한잔할래요",
        ),
    }.items()
    for text in texts
)
"""Read by the untrained and the trained model; part of no data set."""


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
    """The most lines that each perturbation, and rows of each public set, that are scored."""


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
        held_out = (seen or set()) | {fingerprint(row.text) for row in [*validation, *test]}
        spoken = robustness.read_spoken(sources.corpora, held_out, sources.sample)

    wanted = _texts([*validation, *test, *SENTENCES])
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
        "validation": _judged(chosen_on, thresholds),
        "test": _judged(measured_on, thresholds),
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
        **before(run, base_model, test, score_of, thresholds),
    }
    if "test" in lines:
        report["budgets"] |= robustness.budget_figures(lines["test"], chosen_on, score_of, BUDGETS)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "report.json", report)
    (out / "report.md").write_text(pictures.markdown(report), encoding="utf-8")
    pictures.draw(report, out / "pictures")
    return report


def score_all(checkpoint: Path, texts: Sequence[str]) -> ScoreOf:
    """Score every different text once and return the scores of any of them."""
    different = list(dict.fromkeys(texts))
    log.info("scoring %d texts", len(different))
    known = dict(zip(different, score(checkpoint, different), strict=True))

    def score_of(wanted: Sequence[str]) -> Scores:
        return np.array([known[text] for text in wanted], np.float32).reshape(-1, len(LABELS))

    return score_of


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


def before(
    run: Path,
    base_model: str | None,
    test: Sequence[Example],
    after: ScoreOf,
    thresholds: Mapping[str, float],
) -> Figures:
    """Return `before`, the base model with an untrained head beside the run, and `weights`."""
    if base_model is None:
        absent = {"absent": "The run names no base model to compare it with (see --base-model)."}
        return {"before": absent, "weights": absent}
    # Of a path the last component: the rest is one machine's. A hub name is `owner/name`.
    local = base_model.startswith((".", "/", "~")) or base_model.count("/") > 1
    name = Path(base_model).name if local or Path(base_model).is_dir() else base_model
    trained, tokenizer = model.load(str(run))
    try:
        base, base_tokenizer = model.load(base_model, trained.config.classifier_pooling)
    except BaseModelError as error:
        log.warning("%s", error)
        absent = {"absent": f"The base model {name} cannot be loaded here (see --base-model)."}
        return {"before": absent, "weights": absent}
    # Also where the base is a checkpoint: what its head learnt of our labels is not "before".
    draw_head(base)
    base_tokenizer.model_max_length = tokenizer.model_max_length
    with tempfile.TemporaryDirectory() as scratch:
        base.save_pretrained(scratch)
        base_tokenizer.save_pretrained(scratch)
        untrained = score_all(Path(scratch), _texts([*SENTENCES, *test]))
    sides = {"before": untrained, "after": after}
    verdicts = {
        side: [decide(row, thresholds) for row in score_of(_texts(SENTENCES))]
        for side, score_of in sides.items()
    }
    targets = targets_of(test)
    return {
        "before": {
            "base_model": name,
            "before": _judged((untrained(_texts(test)), targets), thresholds),
            "after": _judged((after(_texts(test)), targets), thresholds),
            "sentences": [
                {"text": row.text, "label": row.label}
                | {
                    side: {"label": of[index].label, "own_score": of[index].scores[row.label]}
                    for side, of in verdicts.items()
                }
                for index, row in enumerate(SENTENCES)
            ],
        },
        "weights": _weights(base_model, base_tokenizer, trained, tokenizer),
    }


def draw_head(net: PreTrainedModel) -> None:
    """Give `net` an untrained head, always the same one."""
    torch.manual_seed(SEED)
    nn.init.normal_(net.classifier.weight, std=net.config.initializer_range)
    nn.init.zeros_(net.classifier.bias)


def _weights(base_model: str, base_tokenizer: Any, trained: Any, tokenizer: Any) -> Figures:
    """Return how far each part of the encoder moved from the base, and the new head's norm."""
    base, info = AutoModel.from_pretrained(base_model, output_loading_info=True)
    # A pooler that the base never had was made up on loading.
    old = {
        k: v.float().numpy() for k, v in base.state_dict().items() if k not in info["missing_keys"]
    }
    state = trained.state_dict()
    new = {
        k.removeprefix("bert."): v.float().numpy()
        for k, v in state.items()
        if k.startswith("bert.")
    }
    # By piece, not by row: another cut of the vocabulary numbers the same pieces differently.
    pieces, base_pieces = tokenizer.get_vocab(), base_tokenizer.get_vocab()
    shared = sorted(pieces.keys() & base_pieces.keys())
    words = "embeddings.word_embeddings.weight"
    old[words] = old[words][[base_pieces[piece] for piece in shared]]
    new[words] = new[words][[pieces[piece] for piece in shared]]
    return {
        **weight_changes(old, new),
        "pieces": len(pieces),
        "pieces_compared": len(shared),
        "head_norm": float(state["classifier.weight"].norm()),
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


def _judged(of: tuple[Scores, Targets], thresholds: Mapping[str, float]) -> Figures:
    return {"highest_score": measure(*of), "at_thresholds": measure(*of, thresholds)}


def _texts(rows: Sequence[Example] | Sequence[Line]) -> list[str]:
    return [row.text for row in rows]
