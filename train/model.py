"""The classifier that is fine-tuned: a BERT encoder, one pooled vector, a head with three logits.

`cls` pooling is transformers' own BertForSequenceClassification ([CLS], pooler, head), the shape
that KcBERT was pretrained for. `mean` pooling averages the tokens instead, the shape that
sentence encoders such as multilingual-e5 were trained for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    BertPreTrainedModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from stream.schema import LABELS
from train.config import Pooling
from train.errors import BaseModelError


class MeanPooledBertClassifier(BertPreTrainedModel):  # type: ignore[misc]  # untyped base class
    """BERT, the mean over the real tokens, dropout, one linear head."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        rate = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if rate is None else rate)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return logits [rows, labels] for token ids and mask [rows, tokens]."""
        hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        logits = self.classifier(self.dropout(pooled))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def load(
    name_or_path: str, pooling: Pooling | None = None, dropout: float | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base model (the head is new) or a checkpoint (the head is its own).

    `name_or_path` is a hub name or a directory; `pooling` and `dropout` None keep what
    the checkpoint says.
    Attention is eager: any other implementation exports to a graph that no fusion recognises.
    Raises BaseModelError with the remedy where the model cannot be had.
    """
    with remedy(name_or_path):
        config = bert_config(name_or_path)
        config.num_labels = len(LABELS)
        config.id2label = dict(enumerate(LABELS))
        config.label2id = {label: index for index, label in enumerate(LABELS)}
        config.problem_type = "single_label_classification"
        config.classifier_pooling = pooling or getattr(config, "classifier_pooling", "cls")
        if dropout is not None:
            config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
        kind: Any = (
            MeanPooledBertClassifier
            if config.classifier_pooling == "mean"
            else AutoModelForSequenceClassification
        )
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        model = kind.from_pretrained(name_or_path, config=config, attn_implementation="eager")
    if not tokenizer.is_fast:
        raise BaseModelError(
            f"base model {name_or_path}: no tokenizer.json can be made; the worker needs one"
        )
    return model, tokenizer


def bert_config(name_or_path: str) -> Any:
    """Return the configuration; raise BaseModelError where it is another architecture's."""
    config = AutoConfig.from_pretrained(name_or_path)
    if config.model_type != "bert":
        raise BaseModelError(
            f"base model {name_or_path}: architecture {config.model_type!r}; "
            "kcguard fine-tunes BERT encoders such as beomi/kcbert-base"
        )
    return config


@contextmanager
def remedy(name_or_path: str) -> Iterator[None]:
    """Turn what goes wrong with loading `name_or_path` into one BaseModelError with the remedy."""
    if _looks_local(name_or_path) and not Path(name_or_path).is_dir():
        raise BaseModelError(f"base model: no directory {name_or_path}")
    try:
        yield
    except OSError as error:
        raise BaseModelError(
            f"base model {name_or_path}: neither a directory here nor to be had from the hub. "
            "Give a local directory with --base-model, or run `hf download "
            f"{name_or_path} --local-dir DIR` where the hub can be reached and pass DIR"
        ) from error


def display_name(name_or_path: str) -> str:
    """Return a hub name as it is, and of a path the last component: the rest is one machine's."""
    local = _looks_local(name_or_path) or Path(name_or_path).is_dir()
    return Path(name_or_path).name if local else name_or_path


def _looks_local(name_or_path: str) -> bool:
    """A hub name is `name` or `owner/name`; anything else can only be a path."""
    return name_or_path.startswith((".", "/", "~")) or name_or_path.count("/") > 1


def kept_layers(teacher: int, student: int) -> list[int]:
    """Return the indices of the teacher's layers that the student starts from, evenly spread.

    The first and the last are among them: one reads the embeddings, one feeds the head.
    """
    if student > teacher:
        raise BaseModelError(
            f"layers: the teacher has {teacher}, the student cannot have {student}"
        )
    if student == 1:
        return [teacher - 1]
    return [round(i * (teacher - 1) / (student - 1)) for i in range(student)]
