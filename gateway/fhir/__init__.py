"""What a FHIR R4 request and answer are, as values: interactions, queries, references, compartments, bundles."""
