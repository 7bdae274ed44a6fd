"""Benchmarks against the ordinary stack."""
