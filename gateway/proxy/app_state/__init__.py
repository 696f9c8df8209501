"""The endpoint of app state: what apps keep here for themselves, in the store instead of the FHIR server."""
