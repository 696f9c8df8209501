"""Single resources: checks by id, conditional reads and Binary."""
