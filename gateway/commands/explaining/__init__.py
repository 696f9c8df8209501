"""What `explain` says: of a request with its token, or of a line of the audit log."""
