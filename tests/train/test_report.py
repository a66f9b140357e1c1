"""The report: its figures against cases worked out by hand, and the whole of it on a tiny run."""

import gzip
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stream.schema import ABUSE, LABELS, NORMAL, SEXUAL_HARASSMENT
from tests import tiny
from train import comparison, corpora, distill, mixture, model, report, robustness
from train.__main__ import main
from train.data import Example, fingerprint
from train.errors import DataError, TrainError
from train.evaluate import score_all
from train.metrics import (
    ScoreOf,
    Scores,
    Targets,
    at_budgets,
    calibration,
    decisions,
    grouped,
    precision_recall,
    weight_changes,
)
from train.page import markdown
from train.report import Sources
from train.robustness import CALLS, Line

THRESHOLDS = {ABUSE: 0.5, SEXUAL_HARASSMENT: 0.5}


def indices(*labels: str) -> Targets:
    return np.array([LABELS.index(label) for label in labels])


def certain(*labels: str) -> Scores:
    """Return scores of 0.8 for each of `labels`."""
    return np.where(np.eye(len(LABELS))[indices(*labels)] == 1, 0.8, 0.1).astype(np.float32)


def deciding(labels: Mapping[str, str]) -> ScoreOf:
    """Return a model that decides a text as `labels` says, else 정상."""

    def score_of(texts: Sequence[str]) -> Scores:
        if not texts:
            return np.zeros((0, len(LABELS)), np.float32)
        return certain(*(labels.get(text, NORMAL) for text in texts))

    return score_of


def line(text: str, label: str, group: str = "", **of: str) -> Line:
    return Line(text, label, **{"kind": "k", "register": "call", "source": "s", **of}, group=group)


def turn(text: str, label: str, call: str) -> Line:
    return line(text, label, call, kind="", source=CALLS)


def test_decisions_are_the_workers() -> None:
    """A score is decided by its threshold, not by being the highest."""
    rows = np.array([(0.5, 0.4, 0.1), (0.3, 0.1, 0.6)], np.float32)
    decided = decisions(rows, {ABUSE: 0.4, SEXUAL_HARASSMENT: 0.7})
    assert [ABUSE, NORMAL] == [LABELS[index] for index in decided]


def test_groups_are_told_apart_by_name_and_label() -> None:
    """Every group and true label has its own row, with what it was decided as."""
    rows = grouped(
        ["b", "a", "a", "a"],
        indices(NORMAL, ABUSE, ABUSE, NORMAL),
        indices(NORMAL, ABUSE, SEXUAL_HARASSMENT, ABUSE),
    )
    assert [("a", NORMAL, 1, 0.0), ("a", ABUSE, 2, 0.5), ("b", NORMAL, 1, 1.0)] == [
        (row["group"], row["label"], row["rows"], row["right"]) for row in rows
    ]
    assert {NORMAL: 0, ABUSE: 1, SEXUAL_HARASSMENT: 1} == rows[1]["decided"]


def test_precision_and_recall_of_a_perfect_order() -> None:
    """Where every row of a label scores over all others the average precision is 1; a label
    without rows has no curve.
    """
    curves = precision_recall(certain(NORMAL, ABUSE, NORMAL), indices(NORMAL, ABUSE, NORMAL))
    assert [ABUSE] == list(curves)
    assert 1.0 == curves[ABUSE]["average_precision"]


def test_a_precision_recall_curve_is_thinned() -> None:
    """A curve of many points keeps as many as asked for, its two ends among them."""
    generator = np.random.default_rng(1)
    rows = generator.dirichlet((1, 1, 1), 500).astype(np.float32)
    curve = precision_recall(rows, generator.integers(0, 3, 500), points=10)[ABUSE]
    assert (10, 1.0, 0.0) == (len(curve["recall"]), curve["recall"][0], curve["recall"][-1])


def test_budgets_choose_on_one_set_and_measure_on_another() -> None:
    """A smaller budget on the first set gives fewer false alarms and detections on the second."""
    steps = np.linspace(0.31, 0.9, 100, dtype=np.float32)
    chosen = np.stack([1 - steps, steps, np.zeros_like(steps)], axis=1)
    measured = np.array([(0.2, 0.8, 0.0), (0.45, 0.55, 0.0)], np.float32)
    strict, loose = at_budgets(
        (chosen, np.zeros(100, np.int64)), (measured, indices(ABUSE, NORMAL)), (0.2, 0.9)
    )
    assert strict["thresholds"][ABUSE] > loose["thresholds"][ABUSE]
    assert (0.2, 2) == (strict["budget"], strict["rows"])
    assert 0.0 == strict["false_positive_rate"]
    assert 1.0 == loose["detection_rate"][ABUSE]


def test_calibration_by_hand() -> None:
    """Four rows scored 0.8, three of them right, are 0.05 from calibrated; their Brier score is
    the mean squared distance.
    """
    scores = certain(NORMAL, ABUSE, ABUSE, SEXUAL_HARASSMENT)
    figures = calibration(scores, indices(NORMAL, ABUSE, NORMAL, SEXUAL_HARASSMENT))
    assert [4] == [row["rows"] for row in figures["bins"]]
    assert pytest.approx(0.05, abs=1e-6) == figures["expected_calibration_error"]
    right, wrong = 0.2**2 + 2 * 0.1**2, 0.8**2 + 0.9**2 + 0.1**2
    assert pytest.approx((3 * right + wrong) / 4, abs=1e-6) == figures["brier"]


def test_a_certain_score_has_its_bin() -> None:
    """A score of exactly 1 falls into the last bin."""
    figures = calibration(np.array([(1, 0, 0)], np.float32), indices(NORMAL))
    assert [{"rows": 1, "score": 1.0, "right": 1.0}] == figures["bins"]


def test_weight_changes_by_hand() -> None:
    """A part's change is the norm of all its differences over the norm of all its old weights."""
    old = {
        "embeddings.word_embeddings.weight": np.array([[3.0, 4.0]]),
        "encoder.layer.0.output.dense.weight": np.array([[3.0]]),
        "encoder.layer.0.output.dense.bias": np.array([4.0]),
        "pooler.dense.bias": np.array([1.0]),
        "embeddings.position_embeddings.weight": np.zeros((2, 2)),
    }
    new = {
        "embeddings.word_embeddings.weight": np.array([[3.0, 4.0]]),
        "encoder.layer.0.output.dense.weight": np.array([[0.0]]),
        "encoder.layer.0.output.dense.bias": np.array([4.0]),
        "embeddings.position_embeddings.weight": np.zeros((3, 2)),
    }
    changes = weight_changes(old, new)
    assert [("embeddings", 0.0), ("layer 1", 0.6)] == [
        (part["part"], part["change"]) for part in changes["parts"]
    ]
    assert ["embeddings.position_embeddings.weight", "pooler.dense.bias"] == changes["not_compared"]


def test_a_part_of_the_corpus_is_told_by_kind_register_and_source() -> None:
    """Turns count in their register and as the source `calls`, and have no kind."""
    lines = [
        line("가", ABUSE, kind="threat"),
        line("나", NORMAL, kind="thanks", register="work"),
        turn("다", NORMAL, "1"),
    ]
    figures = robustness.part_figures(lines, deciding({"가": ABUSE}), THRESHOLDS)
    assert ["thanks", "threat"] == [row["group"] for row in figures["kind"]]
    assert [("call", NORMAL, 1), ("call", ABUSE, 1), ("work", NORMAL, 1)] == [
        (row["group"], row["label"], row["rows"]) for row in figures["register"]
    ]
    assert [(CALLS, 1), ("s", 1), ("s", 1)] == [
        (row["group"], row["rows"]) for row in figures["source"]
    ]


def test_a_call_is_wrong_by_one_wrong_flag() -> None:
    """A flag on a harmless turn or with another label spoils a call; a missed turn does not."""
    lines = [
        turn("false alarm", NORMAL, "1"),
        turn("fine", NORMAL, "1"),
        turn("confused", ABUSE, "2"),
        turn("missed", ABUSE, "3"),
        turn("found", ABUSE, "4"),
    ]
    decided = {"false alarm": ABUSE, "confused": SEXUAL_HARASSMENT, "found": ABUSE}
    figures = robustness.part_figures(lines, deciding(decided), THRESHOLDS)
    assert {"calls": 4, "turns": 5, "with_a_wrong_flag": 0.5} == figures["calls"]


def test_calls_and_other_registers_have_their_own_budgets() -> None:
    """Detection in calls is not mixed with detection elsewhere, and turns are calls."""
    lines = [
        line("가", ABUSE),
        turn("나", ABUSE, "1"),
        line("다", NORMAL, register="chat"),
        line("라", ABUSE, register="home"),
    ]
    chosen_on = certain(*[NORMAL] * 10), indices(*[NORMAL] * 10)
    figures = robustness.budget_figures(lines, chosen_on, deciding({"가": ABUSE}), [0.1])
    (call,), (other,) = figures["call"]["at"], figures["other"]["at"]
    assert (2, 0.5) == (call["rows"], call["detection_rate"][ABUSE])
    assert (2, 0.0) == (other["rows"], other["detection_rate"][ABUSE])
    assert {NORMAL: 1, ABUSE: 1, SEXUAL_HARASSMENT: 0} == figures["other"]["labels"]


def test_a_pair_needs_both_sides() -> None:
    """A pair is told apart where its abusive twin is flagged as its own and the other is not."""
    lines = [
        line("둘 다", ABUSE, "1"),
        line("둘 다 2", NORMAL, "1"),
        line("놓침", SEXUAL_HARASSMENT, "2"),
        line("놓침 2", NORMAL, "2"),
    ]
    figures = robustness.pair_figures(lines, deciding({"둘 다": ABUSE, "놓침": ABUSE}), THRESHOLDS)
    half = {"pairs": 2, "both_right": 0.5, "abusive_flagged": 0.5, "harmless_silent": 1.0}
    assert half == figures["all"]
    assert 1.0 == figures[ABUSE]["both_right"]
    assert 0.0 == figures[SEXUAL_HARASSMENT]["abusive_flagged"]


@pytest.mark.parametrize(
    "lines",
    [
        [line("가", ABUSE, "1")],
        [line("가", ABUSE, "1"), line("나", ABUSE, "1")],
        [line("가", ABUSE, "1"), line("나", NORMAL, "1"), line("다", NORMAL, "1")],
    ],
)
def test_half_a_pair_is_refused(lines: list[Line]) -> None:
    """A pair that is not one harmless and one abusive line is refused."""
    with pytest.raises(DataError, match="every pair needs one line labelled 정상 and one that is"):
        robustness.pair_figures(lines, deciding({}), THRESHOLDS)


def dotted(text: str, rng: random.Random) -> str:
    return text.replace("씨발", f"씨.{rng.choice('발팔')}")


def spaced(text: str, rng: random.Random) -> str:
    return text + " " * rng.randint(1, 3)


def test_a_change_that_the_model_cannot_see_is_none() -> None:
    """A perturbation changed a text only if the text differs after normalisation."""
    changed = robustness.perturb(["야 씨발", "안녕"], {"dotted": dotted, "spaced": spaced})
    assert {"dotted": [0], "spaced": []} == {name: list(texts) for name, texts in changed.items()}


def test_perturbations_do_not_disturb_each_other() -> None:
    """What a perturbation writes depends on no other perturbation, and is the same every time."""
    texts = ["야 씨발"] * 20
    together = robustness.perturb(texts, {"spaced": spaced, "dotted": dotted})
    assert robustness.perturb(texts, {"dotted": dotted})["dotted"] == together["dotted"]


def test_robustness_is_of_changed_lines_only() -> None:
    """Clean and perturbed recall are both of the lines that the perturbation changed."""
    lines = [
        Example("씨발", ABUSE, "x"),
        Example("꺼져", ABUSE, "x"),
        Example("몸", LABELS[2], "x"),
    ]
    changed = {"dotted": {0: "씨.발"}, "none": {}}
    figures = robustness.perturbation_figures(lines, changed, deciding({"씨발": ABUSE}), THRESHOLDS)
    assert (3, 1, 1.0, 0.0) == tuple(
        figures["dotted"][name] for name in ("lines", "changed", "clean", "perturbed")
    )
    assert {"changed": 1, "clean": 1.0, "perturbed": 0.0} == figures["dotted"]["labels"][ABUSE]
    assert {"changed": 0, "clean": None, "perturbed": None} == figures["none"]["labels"][ABUSE]


def test_public_speech_is_false_alarms_by_label() -> None:
    """Every flag on harmless speech is a false alarm of its label."""
    texts = ["가", "나", "다", "라"]
    decided = deciding({"가": ABUSE, "나": SEXUAL_HARASSMENT})
    figures = robustness.spoken_figures({"set": texts}, decided, THRESHOLDS)["set"]
    assert (4, 0.5, {ABUSE: 0.25, SEXUAL_HARASSMENT: 0.25}) == tuple(figures.values())


def write_corpora(directory: Path, *texts: str) -> Path:
    directory.mkdir()
    for name in mixture.SPOKEN:
        lines = [corpora.SOURCES[name].text_columns[0], *texts]
        with gzip.open(directory / f"{name}.tsv.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return directory


def test_public_speech_that_was_seen_is_left_out(tmp_path: Path) -> None:
    """Rows whose normalised text was seen stay out, each text comes once, and the sample depends
    on nothing but the texts.
    """
    texts = ["불 켜 줘", "문   열어 줘", "문 열어 줘", "몇 시야"]
    seen = {fingerprint("불 켜 줘")}
    one = robustness.read_spoken(write_corpora(tmp_path / "a", *texts), seen, 5)
    other = robustness.read_spoken(write_corpora(tmp_path / "b", *reversed(texts)), seen, 1)
    name = mixture.SPOKEN[0]
    assert {"문 열어 줘", "몇 시야"} == set(one[name])
    assert one[name][:1] == other[name]


def write_tsv(path: Path, *rows: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(row) for row in rows) + "\n", encoding="utf-8")


def write_corpus(directory: Path) -> Path:
    """Write a corpus of one file, one call and two pairs."""
    header = ("text", "label", "kind", "register", "source")
    lines = tiny.rows(2)
    turns = [{"speaker": "customer", "text": text, "label": label} for text, label in lines]
    for part in ("validation", "test"):
        write_tsv(
            directory / part / "writer.tsv",
            header,
            *((text, label, f"kind of {label}", "call", "writer") for text, label in lines),
        )
        (directory / part / "calls.jsonl").write_text(
            json.dumps({"call_id": "c1", "turns": turns}) + "\n", encoding="utf-8"
        )
    pairs = [(lines[2][0], ABUSE, "1"), (lines[0][0], NORMAL, "1")]
    pairs += [(lines[4][0], SEXUAL_HARASSMENT, "2"), (lines[1][0], NORMAL, "2")]
    write_tsv(
        directory / "pairs.tsv",
        (*header, "pair"),
        *((text, label, "k", "call", "pairs", pair) for text, label, pair in pairs),
    )
    return directory


def test_the_whole_report(run: Path, tmp_path: Path) -> None:
    """Given everything, every section has its figures and every picture is a PNG; the page can be
    written anew from report.json alone.
    """
    point = {"detection_rate": {ABUSE: 0.5, SEXUAL_HARASSMENT: 0.4}, "false_positive_rate": 0.1}
    size = tmp_path / "size.json"
    size.write_text(json.dumps([{"rows": 60, **point}, {"rows": 30, **point}]), encoding="utf-8")
    sources = Sources(
        corpus=write_corpus(tmp_path / "corpus"),
        corpora=write_corpora(tmp_path / "corpora", "문 열어 줘", "몇 시야"),
        size_curve=size,
    )
    figures = report.build(run, sources, tmp_path / "out", {"dotted": dotted})
    written = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert figures == written
    page = (tmp_path / "out/report.md").read_text(encoding="utf-8")
    assert markdown(written) == page
    pictures = sorted((tmp_path / "out/pictures").iterdir())
    assert [
        "confusion.png",
        "learning.png",
        "precision_recall.png",
        "reliability.png",
        "size.png",
        "thresholds.png",
    ] == [path.name for path in pictures]
    assert {b"\x89PNG"} == {path.read_bytes()[:4] for path in pictures}
    assert all(f"(pictures/{path.name})" in page for path in pictures)
    assert 15 == figures["test"]["at_thresholds"]["rows"]
    assert ["all", "call"] == list(figures["budgets"])
    assert ["validation", "test"] == list(figures["parts"])
    assert 2 == figures["pairs"]["all"]["pairs"]
    assert 2 == figures["spoken"]["parakqc__paraKQC_v1"]["rows"]
    assert [30, 60] == [row["rows"] for row in figures["size"]["points"]]
    assert figures["learning"]["evaluation"]
    assert "base with an untrained head" in page
    assert str(tmp_path.parent) not in page


def test_what_is_absent_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`report` without corpus, public text, smaller runs and base model writes into the run, and
    each section says what is missing and how to give it.
    """
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints"))
    missing = {
        "--corpus": str(tmp_path / "no corpus"),
        "--base-model": str(tmp_path / "no base"),
        "--sample": "3",
    }
    assert 0 == main(["report", str(copy), *chain(*missing.items())])
    assert f"written to {copy / 'report.md'}" in capsys.readouterr().out
    page = (copy / "report.md").read_text(encoding="utf-8")
    assert "The base model no base cannot be loaded here (see --base-model)." in page
    assert "No figures of runs on less text were given (size.json)." in page
    assert "The public corpora were not given (see --corpora)." in page
    assert "The corpus was not given (see --corpus)" in page
    assert not (copy / "pictures/size.png").exists()
    figures = json.loads((copy / "report.json").read_text(encoding="utf-8"))
    assert {3} == {row["lines"] for row in figures["perturbed"].values()}


TEST = [Example(text, label, "x") for text, label in tiny.rows(3)]


def before(run: Path, base_model: str | None) -> dict[str, Any]:
    texts = [row.text for row in [*TEST, *comparison.SENTENCES]]
    return comparison.before(run, base_model, TEST, score_all(run, texts), THRESHOLDS)


def test_training_is_seen_in_the_figures(run: Path) -> None:
    """The tiny run is better after training than before, and every part of it has moved."""
    figures = before(run, str(run.parent / "base"))
    sides = [figures["before"][side]["highest_score"]["macro_f1"] for side in ("before", "after")]
    assert sides[0] < sides[1]
    assert 12 == len(figures["before"]["sentences"])
    changes = {part["part"]: part["change"] for part in figures["weights"]["parts"]}
    assert {"embeddings", "layer 1", "layer 2", "pooler"} == set(changes)
    assert all(change > 0 for change in changes.values())


def test_a_trained_head_is_not_before(run: Path) -> None:
    """A checkpoint given as the base decides worse with its head drawn anew, and its encoder has
    moved nowhere.
    """
    figures = before(run, str(run))
    assert {0.0} == {part["change"] for part in figures["weights"]["parts"]}
    sides = [figures["before"][side]["highest_score"]["macro_f1"] for side in ("before", "after")]
    assert sides[0] < sides[1]


def test_an_untrained_head_is_not_the_one_that_a_run_started_from(run: Path) -> None:
    """The head drawn for the figures before training differs from the one that `fit` draws for the
    run's seed, to which the head that comes out of training stays close.
    """
    torch.manual_seed(tiny.fit_config(run.parent).seed)
    net, _ = model.load(str(run.parent / "base"))
    started = net.classifier.weight.detach().clone()
    comparison.draw_head(net)
    alike = torch.cosine_similarity(started.flatten(), net.classifier.weight.flatten(), dim=0)
    assert abs(float(alike.detach())) < 0.3


def test_embeddings_are_matched_by_piece(run: Path, tmp_path: Path) -> None:
    """A base with the same pieces in another order, and one less, has moved nowhere."""
    net, tokenizer = model.load(str(run))
    vocabulary = tokenizer.get_vocab()
    last, gone = sorted(vocabulary, key=vocabulary.__getitem__)[-1:-3:-1]
    rows = net.bert.embeddings.word_embeddings.weight.data
    rows[vocabulary[gone]] = rows[vocabulary[last]]
    net.resize_token_embeddings(len(vocabulary) - 1)
    net.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    del content["model"]["vocab"][gone]
    content["model"]["vocab"][last] = vocabulary[gone]
    file.write_text(json.dumps(content), encoding="utf-8")
    weights = before(run, str(tmp_path))["weights"]
    assert 0.0 == weights["parts"][0]["change"]
    assert len(vocabulary) - 1 == weights["pieces_compared"]


def test_a_students_layers_are_compared_with_their_own(run: Path, tmp_path: Path) -> None:
    """A student that was cut out of the base and not trained has moved nowhere."""
    net, tokenizer = distill.student(run, 1)
    net.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = [row.text for row in [*TEST, *comparison.SENTENCES]]
    figures = comparison.before(tmp_path, str(run), TEST, score_all(tmp_path, texts), THRESHOLDS)
    changes = {part["part"]: part["change"] for part in figures["weights"]["parts"]}
    assert {"embeddings": 0.0, "layer 1": 0.0, "pooler": 0.0} == changes


def test_a_run_that_names_no_base_has_nothing_to_compare(run: Path) -> None:
    """Where neither the run nor the user names a base model the report says so."""
    figures = before(run, None)
    assert "The run names no base model" in figures["before"]["absent"]
    assert figures["before"] == figures["weights"]


def test_a_report_of_something_else_is_refused(tmp_path: Path) -> None:
    """A directory that holds no finished run is refused."""
    with pytest.raises(TrainError, match=r"no training\.json; is it a directory of `fit`"):
        report.build(tmp_path, Sources(), tmp_path, {})
