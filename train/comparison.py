"""What training changed: the base model with an untrained head beside the finished run."""

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel

from stream.policy import decide
from stream.schema import ABUSE, NORMAL, SEXUAL_HARASSMENT
from train import model
from train.data import Example
from train.errors import BaseModelError
from train.evaluate import score_all
from train.metrics import ScoreOf, judge, weight_changes
from train.robustness import targets_of

log = logging.getLogger(__name__)

Figures = dict[str, Any]

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
            "씨발 환불 하나 해 주는 데 왜 이리 오래 걸려",
            "말귀도 못 알아먹냐 이 멍청한 새끼야",
            "그 머리로 용케 취직해서 전화나 받고 앉았네",
            "내일 아침에 너희 건물 앞에서 보자 다리를 분질러 줄 테니까",
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
    name = model.display_name(base_model)
    texts, sentences = [row.text for row in test], [row.text for row in SENTENCES]
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
        untrained = score_all(Path(scratch), [*sentences, *texts])
    sides = {"before": untrained, "after": after}
    verdicts = {
        side: [decide(row, thresholds) for row in score_of(sentences)]
        for side, score_of in sides.items()
    }
    targets = targets_of(test)
    return {
        "before": {
            "base_model": name,
            "before": judge(untrained(texts), targets, thresholds),
            "after": judge(after(texts), targets, thresholds),
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
    old = _renumbered(old, base.config.num_hidden_layers, trained.config.num_hidden_layers)
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


def _renumbered(weights: dict[str, Any], base_layers: int, layers: int) -> dict[str, Any]:
    """Return the weights of the layers that a student of `layers` keeps, under its numbers.

    A student that was distilled holds some layers of its teacher; each is compared with the one
    that it came from.
    """
    number = {kept: new for new, kept in enumerate(model.kept_layers(base_layers, layers))}
    renumbered = {}
    for name, weight in weights.items():
        match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", name)
        if match is None:
            renumbered[name] = weight
        elif (kept := int(match[1])) in number:
            renumbered[f"encoder.layer.{number[kept]}.{match[2]}"] = weight
    return renumbered
