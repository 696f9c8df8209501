"""The specification, running."""
