"""Whether a resource matches a search criterion, evaluated here without the FHIR server."""
