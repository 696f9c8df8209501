"""Tests of `gateway.fhir`."""
