"""From the Authorization header to an `Access`: each bearer token is checked once and then cached."""
