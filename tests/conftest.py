"""Shared fixtures; no test sees the caller's KCGUARD_* settings, but for the broker to use."""

import os

import pytest
from hypothesis import settings

# Time decides no test: a busy machine may be slow at any example.
settings.register_profile("kcguard", deadline=None)
settings.load_profile("kcguard")

pytest_plugins = ["tests.kafka.fixtures"]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("KCGUARD_") and name != "KCGUARD_TEST_KAFKA":
            monkeypatch.delenv(name)
