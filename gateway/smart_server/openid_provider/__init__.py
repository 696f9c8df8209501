"""The gateway as a client of OpenID providers, at which users can sign in."""
