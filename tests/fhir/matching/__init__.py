"""Tests of the criterion evaluator: tables, properties, and comparison with fhirpathpy."""
