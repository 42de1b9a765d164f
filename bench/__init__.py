"""Benchmarks on the local stack: `python -m bench`. What they measure and how: docs/benchmarks.md."""
