"""What happens at the SMART server, reported once: refusals of requests, and the store going away and coming back."""
