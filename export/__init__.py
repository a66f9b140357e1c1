"""The exporter: a checkpoint in, a verified bundle that the worker loads out."""
