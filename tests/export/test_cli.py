"""The exporter's command line: one clear line and the right status."""

from pathlib import Path

import pytest

from export.__main__ import main


def test_an_unfinished_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without training.json ends with status 2 and says what is missing."""
    arguments = ["--checkpoint", str(tmp_path), "--out", str(tmp_path / "out")]
    assert 2 == main([*arguments, "--precision", "fp32"])
    (line,) = capsys.readouterr().err.splitlines()
    assert f"kcguard-export: {tmp_path}: no training.json; is it a run that" in line


def test_an_unknown_precision_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A precision that is none ends with status 2 and names the three there are."""
    arguments = ["--checkpoint", str(tmp_path), "--out", str(tmp_path / "out")]
    assert 2 == main([*arguments, "--precision", "int4"])
    assert "precision: Input should be 'fp32', 'fp16' or 'int8'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('"labels": ["a"], "normaliser_version": "1"', "labels ['a'], not"),
        ('"labels": ["정상", "욕설", "성희롱"], "normaliser_version": "0"', "train anew"),
    ],
)
def test_a_run_that_cannot_be_served_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    """Other labels, or another normaliser, than the worker's end with status 2."""
    (tmp_path / "training.json").write_text("{" + change + "}", encoding="utf-8")
    arguments = ["--checkpoint", str(tmp_path), "--out", str(tmp_path / "out")]
    assert 2 == main([*arguments, "--precision", "fp32"])
    assert message in capsys.readouterr().err
