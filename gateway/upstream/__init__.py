"""The only door to the FHIR server and to the identity provider."""
