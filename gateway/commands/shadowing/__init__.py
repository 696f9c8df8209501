"""What `shadow report` says: what enforcement would break for each client."""
