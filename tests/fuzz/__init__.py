"""Hostile inputs for what reads them first: records, their text, and bundles. See `__main__`."""
