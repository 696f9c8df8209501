"""The enforcing proxy: one FHIR request from the socket to the verified response."""
