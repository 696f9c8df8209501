"""Tokens, codes and the authorizations that they belong to."""
