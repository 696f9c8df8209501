"""OAuth 2.0, OpenID Connect and SMART launch as functions over values."""
