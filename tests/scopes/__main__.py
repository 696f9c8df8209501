"""Fuzzes the scope parser and algebra: `python -m tests.scopes [libFuzzer options]`."""

import sys

import atheris

# The code under test must be loaded here to be instrumented.
with atheris.instrument_imports(include=["gateway.scopes"]):
    from tests.scopes.fuzz_scopes import check

atheris.Setup(sys.argv, check)
atheris.Fuzz()
