"""All outgoing HTTP: requests to the FHIR server, and fetches of small documents from other servers."""
