"""Distillation on the tiny model: what the student starts from, learns, and leaves behind."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stream.schema import ABUSE, LABELS, NORMAL
from tests import tiny
from tests.train.test_mixture import write_corpora, write_source
from train import corpora, distill, model
from train.data import Example
from train.errors import BaseModelError, DataError

# Transformers sorts checkpoints by age; epochs of a tenth of a second have none.
pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable")


@pytest.mark.parametrize(
    ("teacher", "student", "kept"),
    [(12, 4, [0, 4, 7, 11]), (12, 3, [0, 6, 11]), (12, 12, list(range(12))), (12, 1, [11])],
)
def test_layers_are_spread_evenly(teacher: int, student: int, kept: list[int]) -> None:
    """The student starts from the first, the last, and layers evenly between them."""
    assert kept == model.kept_layers(teacher, student)


def test_a_student_is_no_deeper_than_its_teacher() -> None:
    """More layers than the teacher has are refused by name."""
    with pytest.raises(BaseModelError, match="layers: the teacher has 2"):
        model.kept_layers(2, 3)


def test_a_student_starts_with_its_teachers_weights(run: Path) -> None:
    """Embeddings, head and the kept layer of the student are the teacher's own."""
    teacher, _ = model.load(str(run))
    net, _ = distill.student(run, 1)
    weights, taught = net.state_dict(), teacher.state_dict()
    assert 1 == net.config.num_hidden_layers
    last = f"layer.{tiny.LAYERS - 1}."
    for name, weight in weights.items():
        assert torch.equal(taught[name.replace("layer.0.", last)], weight), name


def test_a_label_pulls_the_targets_of_its_own_row_only() -> None:
    """A labelled row's target is blended with its label; an unlabelled one is the teacher's."""
    scores = np.array([[0.2, 0.8, 0.0], [0.5, 0.25, 0.25]], np.float32)
    targets = distill.blend(scores, [Example("글", NORMAL, "x")], gold=0.5)
    np.testing.assert_allclose([[0.6, 0.4, 0.0], [0.5, 0.25, 0.25]], targets, rtol=1e-6)


def write_all_corpora(directory: Path) -> Path:
    """Write every public file: those of the mixture, and one line for each of the others."""
    write_corpora(directory)
    for source in corpora.SOURCES.values():
        if not source.path(directory).exists():
            columns = source.text_columns or ("text",)
            write_source(
                directory,
                source.name,
                "\t".join(columns),
                "\t".join([f"{source.name} 글"] * len(columns)),
            )
    plain = directory / "beep__unlabeled_5.tsv.gz"
    plain.rename(directory / "beep__unlabeled_5.txt.gz")
    return directory


def test_unlabelled_text_comes_from_every_source_and_is_new(tmp_path: Path) -> None:
    """Each source gives its share, known texts are left out, the order is repeatable."""
    directory = write_all_corpora(tmp_path)
    known = {"3i4k fci all 가번 창문 열어 줘"}
    texts = distill.unlabelled(directory, 40, known)
    assert texts == distill.unlabelled(directory, 40, known)
    assert len(texts) == len(set(texts))
    assert not known & set(texts)
    assert any("nsmc" in text for text in texts)
    assert any("chatbot" in text for text in texts)


def test_a_student_learns_its_teachers_decisions(run: Path, tmp_path: Path) -> None:
    """A student of one layer agrees with its teacher on most lines, and its run can be exported."""
    out = tmp_path / "student"
    distill.distill(tiny.distill_config(tmp_path, run, epochs=6, average_last=0.3))
    training = json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert training["metrics"]["validation"]["highest_score"]["accuracy"] > 0.7
    assert {NORMAL, ABUSE} < set(LABELS) == set(training["labels"])
    assert (60, 3) == np.load(out / "teacher.npz")["scores"].shape


def test_scores_of_other_texts_or_teachers_are_not_taken_for_these(
    run: Path, tmp_path: Path
) -> None:
    """A cache serves the very texts and teachers it was made of, and no others of their number."""
    cache = tmp_path / "teacher.npz"
    first = distill.teacher_scores([run], ["배송 문의"], cache)
    np.testing.assert_array_equal(first, distill.teacher_scores([run], ["배송 문의"], cache))
    with pytest.raises(DataError, match="scores of other texts or teachers; delete it"):
        distill.teacher_scores([run], ["환불 문의"], cache)
    with pytest.raises(DataError, match="scores of other texts or teachers; delete it"):
        distill.teacher_scores([run, run], ["배송 문의"], cache)


def test_a_teacher_is_a_finished_run(tmp_path: Path) -> None:
    """A base model, whose head knows nothing, is refused as a teacher."""
    base = tiny.write_base(tmp_path / "base")
    with pytest.raises(DataError, match="give --teacher a run that `fit` finished"):
        distill.teacher_scores([base], ["배송 문의"], tmp_path / "teacher.npz")
