"""Fuzzes sealed paging links: `python -m tests.gateway [libFuzzer options]`."""

import sys

import atheris

# The code under test must be loaded here to be instrumented.
with atheris.instrument_imports(include=["gateway.policy.sealed_page"]):
    from tests.gateway.fuzz_sealed_pages import check

atheris.Setup(sys.argv, check)
atheris.Fuzz()
