"""Unit, contract, integration tests and benchmarks."""
