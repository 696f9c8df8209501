"""Fuzzes sealed paging links: `python -m tests.proxy [libFuzzer options]`."""

import sys

import atheris

# The code under test must be loaded here to be instrumented.
with atheris.instrument_imports(include=["gateway.policy.paging_link"]):
    from tests.proxy.fuzz_paging_link import check

atheris.Setup(sys.argv, check)
atheris.Fuzz()
