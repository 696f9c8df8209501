"""Fetches of small documents from servers other than the FHIR server."""
