"""The same black-box tests of the running gateway in front of every real FHIR server that is available."""
