"""One whole run on the tiny model: what it leaves behind and how it decides its settings."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer

from stream.schema import ABUSE, FLAGGED_LABELS, LABELS, SEXUAL_HARASSMENT
from stream.text import NORMALISER_VERSION
from tests import tiny
from train import data
from train.errors import DataError
from train.evaluate import logits
from train.fit import fit
from train.training import (
    AugmentedRows,
    AverageLast,
    ByLength,
    TokenDropoutCollator,
    clamped_warmup,
    total_steps,
)


def test_the_run_holds_weights_labels_and_tokenizer(run: Path) -> None:
    """The checkpoint is an ordinary directory: safetensors, the labels in order, a tokenizer."""
    with safe_open(run / "model.safetensors", framework="pt") as weights:
        assert (len(LABELS), 32) == tuple(weights.get_tensor("classifier.weight").shape)
    config = AutoConfig.from_pretrained(run)
    assert dict(enumerate(LABELS)) == config.id2label
    assert "cls" == config.classifier_pooling
    assert 32 == AutoTokenizer.from_pretrained(run).model_max_length
    assert (run / "tokenizer.json").is_file()


def test_the_run_records_how_it_was_made(run: Path) -> None:
    """training.json carries settings, rows, data hashes, thresholds, versions and figures."""
    training = json.loads((run / "training.json").read_text(encoding="utf-8"))
    assert 10 == training["config"]["epochs"]
    assert NORMALISER_VERSION == training["normaliser_version"]
    assert list(LABELS) == training["labels"]
    assert 32 == training["max_length"]
    assert dict.fromkeys(LABELS, 20) == training["rows"]["train"]
    assert dict.fromkeys(LABELS, 5) == training["rows"]["validation"]
    assert {"train.tsv", "validation.tsv"} == set(training["data_sha256"])
    assert set(FLAGGED_LABELS) == set(training["thresholds"])
    assert {"python", "torch", "transformers", "tokenizers", "numpy"} == set(training["versions"])
    for part in ("validation", "test"):
        assert training["thresholds"] == training["metrics"][part]["thresholds"]


def test_the_run_has_learnt(run: Path) -> None:
    """On validation lines made of words it has seen the tiny model is right most of the time."""
    training = json.loads((run / "training.json").read_text(encoding="utf-8"))
    assert training["metrics"]["validation"]["highest_score"]["accuracy"] > 0.7


def test_the_evaluation_texts_stay_with_the_run(run: Path) -> None:
    """validation.tsv and test.tsv lie in the run; without a test part they hold the same."""
    validation = data.read(run / "validation.tsv")
    assert sorted(text for text, _ in tiny.rows()[::5]) == sorted(row.text for row in validation)
    assert (run / "validation.tsv").read_text("utf-8") == (run / "test.tsv").read_text("utf-8")


def test_a_finished_run_is_not_overwritten(run: Path) -> None:
    """A directory that holds a finished run is refused before anything is read."""
    with pytest.raises(DataError, match="holds a finished run; choose another --out"):
        fit(tiny.fit_config(run.parent, out=run))


def test_logits_come_back_in_the_order_of_the_texts(run: Path) -> None:
    """Texts are batched by length, and every text still gets its own logits."""
    texts = [text for text, _ in tiny.rows()[:9]]
    backwards = logits(run, texts[::-1], batch_size=2)
    np.testing.assert_allclose(logits(run, texts, batch_size=4), backwards[::-1], atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "steps", "used"), [(500, 10_000, 500), (500, 100, 20), (5, 4, 0)]
)
def test_the_warm_up_is_at_most_a_fifth(asked: int, steps: int, used: int) -> None:
    """A warm-up is as asked unless the run is so short that it would take over a fifth."""
    assert used == clamped_warmup(asked, steps)


@pytest.mark.parametrize(("rows", "epochs", "steps"), [(16, 1, 1), (17, 1, 2), (17, 2.5, 5)])
def test_steps_are_counted_by_whole_batches(
    tmp_path: Path, rows: int, epochs: float, steps: int
) -> None:
    """Every epoch takes its rows in batches of 16, the last one partly filled."""
    assert steps == total_steps(rows, tiny.fit_config(tmp_path, epochs=epochs, batch_size=16))


@pytest.mark.parametrize(("rate", "replaced"), [(0.0, 0), (1.0, 3)])
def test_token_dropout_spares_special_tokens(tmp_path: Path, rate: float, replaced: int) -> None:
    """Dropout turns ordinary tokens into the unknown one, and never [CLS], [SEP] or padding."""
    tokenizer = AutoTokenizer.from_pretrained(tiny.write_base(tmp_path))
    ordinary = tokenizer.convert_tokens_to_ids(["배송", "환불", "요금"])
    ids = [tokenizer.cls_token_id, *ordinary, tokenizer.sep_token_id]
    collator = TokenDropoutCollator(tokenizer, rate, seed=1)
    rows = collator([{"input_ids": ids, "label": 0}, {"input_ids": ids[:2], "label": 1}])
    special = torch.tensor(tokenizer.all_special_ids)
    first = rows["input_ids"][0]
    assert replaced == int((first == tokenizer.unk_token_id).sum())
    assert [ids[0], ids[-1]] == [int(first[0]), int(first[-1])]
    assert 3 - replaced == int((~torch.isin(first, special)).sum())


def test_flags_are_named_in_the_thresholds(run: Path) -> None:
    """The thresholds lie between the floor and the ceiling that metrics promises."""
    thresholds = json.loads((run / "training.json").read_text("utf-8"))["thresholds"]
    assert all(0.3 <= thresholds[label] <= 0.99 for label in (ABUSE, SEXUAL_HARASSMENT))


def test_every_pass_perturbs_anew(tmp_path: Path) -> None:
    """Passes over one row differ from each other, and a second run reads the same ones."""
    tokenizer = AutoTokenizer.from_pretrained(tiny.write_base(tmp_path))
    texts = ["배송 환불 요금 문의 드려요 감사합니다"]

    def passes() -> list[list[int]]:
        rows = AugmentedRows(texts, [0], tokenizer, rate=1.0, seed=4)
        read = []
        for _ in range(8):
            (length,) = rows.begin_pass()
            assert length == len(rows[0]["input_ids"])
            read.append(rows[0]["input_ids"])
        return read

    assert len({tuple(ids) for ids in passes()}) > 2
    assert passes() == passes()


def test_rows_of_like_length_ride_together(tmp_path: Path) -> None:
    """Each pass yields every row once, and under a tenth of the batches is padding."""
    tokenizer = AutoTokenizer.from_pretrained(tiny.write_base(tmp_path))
    texts = [" ".join(["배송"] * (1 + n % 10)) for n in range(400)]
    rows = AugmentedRows(texts, [0] * 400, tokenizer, rate=0.0, seed=4)
    sampler = ByLength(rows, batch_size=4)
    first, second = list(sampler), list(sampler)
    assert list(range(400)) == sorted(first) == sorted(second)
    assert first != second
    lengths = [len(rows[index]["input_ids"]) for index in first]
    padded = sum(4 * max(lengths[start : start + 4]) for start in range(0, 400, 4))
    assert padded < 1.1 * sum(lengths)


@pytest.mark.parametrize(("steps", "mean"), [(40, 30.0), (36, 30.0 - 4 / 3), (5, 5.0)])
def test_the_last_weights_are_averaged(steps: int, mean: float) -> None:
    """With half averaged, every tenth step of the second half and the last one make the mean."""
    model = torch.nn.Linear(1, 1, bias=False)
    averaging = AverageLast(0.5)
    for step in range(1, steps + 1):
        torch.nn.init.constant_(model.weight, step)
        state = SimpleNamespace(max_steps=steps, global_step=step)
        averaging.on_step_end(None, state, None, model=model)
    averaging.on_train_end(None, None, None, model=model)
    assert pytest.approx(mean) == model.weight.item()
