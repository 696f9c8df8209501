"""Writes: the facts that a decision needs, the request to the FHIR server, and the verified response."""
