"""Tests of the exporter, on the tiny model that tests/tiny.py trains."""
