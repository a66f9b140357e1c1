"""What can be fine-tuned: how it loads, and what is said where it does not."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertForSequenceClassification

from stream.schema import LABELS
from tests import tiny
from train import model
from train.config import Pooling
from train.errors import BaseModelError


def test_a_missing_directory_is_named() -> None:
    """A base model that can only be a path and is not there is refused by that path."""
    with pytest.raises(BaseModelError, match=r"base model: no directory \./nowhere"):
        model.load("./nowhere")


def test_an_unreachable_hub_is_answered_with_the_remedy(tmp_path: Path) -> None:
    """Where the hub cannot be reached the command ends with status 2 and says what to do."""
    tiny.write_data(tmp_path / "data")
    fit = [sys.executable, "-m", "train", "fit", "--base-model", "nobody/no-such-model"]
    done = subprocess.run(
        [*fit, "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 2 == done.returncode
    assert "kcguard-train: base model nobody/no-such-model: neither a directory here" in done.stderr
    assert "hf download nobody/no-such-model --local-dir DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    """A base model that is no BERT is refused, its architecture named."""
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}', encoding="utf-8")
    with pytest.raises(BaseModelError, match="architecture 'roberta'; kcguard fine-tunes BERT"):
        model.load(str(tmp_path))


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [
        (None, BertForSequenceClassification),
        ("cls", BertForSequenceClassification),
        ("mean", model.MeanPooledBertClassifier),
    ],
)
def test_pooling_chooses_the_network(tmp_path: Path, pooling: Pooling | None, kind: Any) -> None:
    """A base model without a word on pooling gets [CLS], and mean where it is asked for."""
    net, tokenizer = model.load(str(tiny.write_base(tmp_path)), pooling)
    assert isinstance(net, kind)
    assert dict(enumerate(LABELS)) == net.config.id2label
    assert "eager" == net.config._attn_implementation
    assert tokenizer.is_fast


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_checkpoint_keeps_its_pooling_and_head(tmp_path: Path, pooling: Pooling) -> None:
    """What was saved loads again with the same pooling and gives the same logits."""
    net, tokenizer = model.load(str(tiny.write_base(tmp_path / "base")), pooling)
    net.save_pretrained(tmp_path / "saved")
    tokenizer.save_pretrained(tmp_path / "saved")
    again, _ = model.load(str(tmp_path / "saved"))
    batch = tokenizer(["배송 문의 드려요"], return_tensors="pt")
    with torch.inference_mode():
        torch.testing.assert_close(net.eval()(**batch).logits, again.eval()(**batch).logits)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_does_not_change_a_score(tmp_path: Path, pooling: Pooling) -> None:
    """A text has the same logits alone and padded to a longer neighbour."""
    net, tokenizer = model.load(str(tiny.write_base(tmp_path)), pooling)
    texts = ["배송 문의", "인터넷 요금 확인해 주세요 감사합니다"]
    with torch.inference_mode():
        together = net.eval()(**tokenizer(texts, padding=True, return_tensors="pt")).logits[0]
        alone = net(**tokenizer(texts[:1], return_tensors="pt")).logits[0]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)
