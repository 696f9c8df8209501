"""Beside Keycloak as the authorization server: its real tokens at the running gateway."""
