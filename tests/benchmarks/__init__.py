"""Benchmarks: what the budgets promise, measured. Run with `make bench`; never part of the tests."""
