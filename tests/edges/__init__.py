"""The edges: classifier, HTTP port, logs, settings, command line, packaging."""
