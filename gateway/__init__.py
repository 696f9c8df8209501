"""SMART App Launch in front of any FHIR R4 server, enforced on every byte that comes back."""
