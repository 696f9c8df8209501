"""Metrics, the audit log and the operational log."""
