"""Fuzzing of everything that reads bytes of a release or of a key; `python -m benchmarks.fuzzing` runs it."""
