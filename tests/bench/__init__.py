"""Tests of the benchmark's arithmetic, parsing and checks; no test measures time."""
