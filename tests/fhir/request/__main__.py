"""Fuzzes the request parser: `python -m tests.fhir.request [libFuzzer options]`."""

import sys

import atheris

# The code under test must be loaded here to be instrumented.
with atheris.instrument_imports(include=["gateway.fhir"]):
    from tests.fhir.request.fuzz_request import check

atheris.Setup(sys.argv, check)
atheris.Fuzz()
