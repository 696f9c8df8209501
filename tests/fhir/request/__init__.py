"""How an HTTP request is read into an `Interaction`."""
