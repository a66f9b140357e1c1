"""One finished run of the tiny model, shared by the tests that read it."""

from pathlib import Path

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.train_run(tmp_path_factory.mktemp("train"))
