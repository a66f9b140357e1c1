"""One finished run of the tiny model and a bundle of it in each precision, shared by the tests."""

from pathlib import Path

import pytest

from export.build import build
from stream.bundle import Precision
from tests import tiny


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.train_run(tmp_path_factory.mktemp("export"), pooling="mean")


@pytest.fixture(scope="session", params=["fp32", "fp16", "int8"])
def bundle(
    request: pytest.FixtureRequest, run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    precision: Precision = request.param
    out = tmp_path_factory.mktemp("models") / f"tiny-{precision}"
    build(run, out, precision)
    return out
