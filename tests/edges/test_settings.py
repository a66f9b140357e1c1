"""Settings and the command line."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from stream import logs, settings
from stream.__main__ import Run, main
from stream.settings import Settings

ROOT = Path(__file__).parents[2]


def test_flags_win_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A flag beats KCGUARD_*, KCGUARD_* beats .env, .env beats the default."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("KCGUARD_GROUP_ID=file\nKCGUARD_FLAGS_TOPIC=file\n")
    monkeypatch.setenv("KCGUARD_GROUP_ID", "environment")
    monkeypatch.setenv("KCGUARD_SOURCE_TOPIC", "environment")

    made = Run(source_topic="flag")

    assert ("environment", "file", "flag", "moderation.dlq") == (
        made.group_id,
        made.flags_topic,
        made.source_topic,
        made.dead_letters_topic,
    )


def test_the_subcommand_reads_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` takes its settings from KCGUARD_*: a wrong one ends in one line that names it."""
    monkeypatch.setenv("KCGUARD_HTTP_PORT", "70000")

    assert 2 == main(["run"])
    assert "http_port" in capsys.readouterr().err


def test_settings_are_frozen() -> None:
    """No one changes a setting after the start."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().group_id = "other"  # type: ignore[misc]  # that is the point


def test_every_setting_says_how_to_choose_it() -> None:
    """Each field has a description."""
    assert [] == [name for name, field in Settings.model_fields.items() if not field.description]


def test_the_readme_has_the_settings_as_they_are() -> None:
    """The README's table is the one that the settings model makes."""
    assert settings.table() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_missing_bundle_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle that is not there ends with status 3 and says which directory."""
    assert 3 == main(["verify", "no/such/bundle"])
    assert "no/such/bundle: no such directory" in capsys.readouterr().err


def test_schema_prints_three_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    """`schema` prints one JSON object with the three schemas."""
    assert 0 == main(["schema"])
    assert {"utterance", "flag", "dead_letter_headers"} == set(json.loads(capsys.readouterr().out))


def test_json_logs_are_one_object_a_line() -> None:
    """A JSON log line parses and carries the trace of an error."""
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "what %d", (1,), sys.exc_info())
    entry = json.loads(logs.JsonFormatter().format(record))

    assert ("error", "what 1") == (entry["level"], entry["message"])
    assert "ValueError: why" in entry["trace"]


def test_the_worker_runs_without_the_training_stack() -> None:
    """Every module of `stream` imports with torch and its kin blocked."""
    code = """
import importlib, pkgutil, sys
for name in ("torch", "transformers", "datasets", "optimum", "sklearn", "onnx", "train", "export"):
    sys.modules[name] = None
import stream
for module in pkgutil.walk_packages(stream.__path__, "stream."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
importlib.import_module("stream.__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
