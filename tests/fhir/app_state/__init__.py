"""Tests of `gateway.fhir.app_state`."""
