"""Tests of `gateway.fhir.search`."""
