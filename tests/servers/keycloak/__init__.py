"""Keycloak in tests: realms made by its admin API, tokens fetched as apps do, users signed in by its own pages."""
