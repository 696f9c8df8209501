"""People sign in to the SMART server with OpenID providers: honest real ones, and one that lies."""
