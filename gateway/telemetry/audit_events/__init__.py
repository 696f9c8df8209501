"""FHIR AuditEvents: built from what telemetry records, and kept on disk in a chain until they have been handed on."""
