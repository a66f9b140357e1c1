"""Teaches a small student what its teachers would say, over far more text than carries a label."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stream.schema import LABELS
from stream.text import normalise
from train import corpora, data, evaluate, fit, mixture, model
from train.config import DistillConfig
from train.data import Example
from train.errors import DataError
from train.metrics import Scores
from train.training import trained

log = logging.getLogger(__name__)


def distill(config: DistillConfig) -> None:
    """Run the whole of it; `config.out` then holds a checkpoint as `fit` leaves it.

    The teachers' scores are kept in `config.out`/teacher.npz, so an interrupted run does not
    compute them again.
    """
    splits = fit.begin(config)
    labelled = [row.text for row in splits.train]
    known = {row.text for part in (splits.train, splits.validation, splits.test) for row in part}
    more: list[str] = []
    if config.corpora is not None:
        more = unlabelled(config.corpora, config.unlabelled, known)
    texts = [*labelled, *more]
    log.info("%d labelled and %d unlabelled texts", len(labelled), len(more))
    scores = teacher_scores(config.teacher, texts, config.out / "teacher.npz")
    targets = blend(scores, splits.train, config.gold)
    net, tokenizer = student(config.teacher[0], config.layers)
    fit.finish(config, splits, trained(config, net, tokenizer, texts, targets, splits.validation))


def unlabelled(corpora_dir: Path, count: int, known: set[str]) -> list[str]:
    """Return `count` public texts as short as speech, none in `known`, evenly from every source.

    A source that holds fewer than its share gives all it has.
    """
    share = -(-count // len(corpora.SOURCES))
    chosen: dict[str, None] = {}
    for source in corpora.SOURCES.values():
        texts = sorted(dict.fromkeys(_short(source, corpora_dir)), key=mixture.rank)
        new = [text for text in texts if text not in known]
        chosen |= dict.fromkeys(new[:share])
    return list(chosen)[:count]


def _short(source: corpora.Source, corpora_dir: Path) -> Iterator[str]:
    for text in map(normalise, corpora.texts(source, corpora_dir)):
        if 2 <= len(text) <= mixture.MAX_PUBLIC_CHARACTERS:
            yield text


def teacher_scores(teachers: Sequence[Path], texts: Sequence[str], cache: Path) -> Scores:
    """Return the mean of the teachers' scores [texts, labels], from `cache` where it is of these.

    Raises DataError where a teacher is no finished run, or the cache is of other texts or teachers.
    """
    for teacher in teachers:
        if not (teacher / "training.json").is_file():
            raise DataError(
                f"{teacher}: no training.json; give --teacher a run that `fit` finished"
            )
    weights = [data.fingerprint_file(teacher / "model.safetensors") for teacher in teachers]
    made_of = data.fingerprint("\n".join([*weights, *texts]))
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as kept:
            if str(kept["made_of"]) != made_of:
                raise DataError(f"{cache}: scores of other texts or teachers; delete it")
            return np.asarray(kept["scores"], dtype=np.float32)
    scores = np.mean([evaluate.score(teacher, texts) for teacher in teachers], axis=0)
    scores = scores.astype(np.float32)
    cache.parent.mkdir(parents=True, exist_ok=True)
    # Under its own name only once it is whole: a run may be cut off.
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, scores=scores, made_of=np.array(made_of))
    partial.rename(cache)
    return np.asarray(scores, dtype=np.float32)


def blend(scores: Scores, labelled: Sequence[Example], gold: float) -> Scores:
    """Return targets [texts, labels]: the first rows are `labelled`, and their label weighs `gold`.

    Where a teacher errs on a row whose label is known, the label pulls the student back.
    """
    targets = scores.copy()
    own = np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(row.label) for row in labelled]]
    targets[: len(labelled)] = (1 - gold) * targets[: len(labelled)] + gold * own
    return targets


def student(teacher: Path, layers: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the teacher with only some of its layers: embeddings and head stay as they are."""
    net, tokenizer = model.load(str(teacher))
    encoder = net.bert.encoder
    kept = model.kept_layers(len(encoder.layer), layers)
    encoder.layer = type(encoder.layer)(encoder.layer[index] for index in kept)
    net.config.num_hidden_layers = layers
    return net, tokenizer
