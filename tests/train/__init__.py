"""Tests of the trainer, on a model of two layers and sixty authored lines."""
