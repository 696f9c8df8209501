"""Each endpoint one file; web/fhir.py is the proxy from top to bottom."""
