"""FHIR R4 as values: requests, search queries, references, resources, compartments and Bundles. No I/O."""
