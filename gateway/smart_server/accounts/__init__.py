"""Clients and local users: from the configuration and from the store, and what changed between two starts."""
