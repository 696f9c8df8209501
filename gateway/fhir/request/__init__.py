"""From an HTTP request to an `Interaction`: path, query, form and media types."""
