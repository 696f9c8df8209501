"""Search queries: parsing of parameters, keys and values into a `Query`, and its encoding as a query string."""
