"""The demo's parts; the worker itself is not started here."""
