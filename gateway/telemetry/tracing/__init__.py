"""Traces: spans of a request, recorded while it is handled, and sent to a collector in the background."""
