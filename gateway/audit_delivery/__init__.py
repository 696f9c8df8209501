"""Hands AuditEvents on from the spool: to a file, to a FHIR server, or to both."""
