"""The compartments of a user, looked up at the FHIR server."""
