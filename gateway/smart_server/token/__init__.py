"""`/token`, `/introspect` and `/revoke`: client authentication, grants, and the issued tokens."""
