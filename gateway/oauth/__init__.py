"""OAuth 2.0, OpenID Connect and SMART App Launch as pure functions over values."""
