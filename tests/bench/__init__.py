"""Benchmarks: tickstream beside the usual scripts, in one run on one machine. `python -m tests.bench --help`."""
