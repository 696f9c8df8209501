"""Registered clients: what they may do, how they authenticate, their keys and redirect URIs."""
