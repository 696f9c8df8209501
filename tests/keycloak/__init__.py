"""Keycloak as the authorization server of the gateway, and as an OpenID provider."""
