"""The evaluator of search parameters, against tables of sentences and against fhirpathpy."""
