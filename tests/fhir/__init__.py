"""The rules of the `fhir` room."""
