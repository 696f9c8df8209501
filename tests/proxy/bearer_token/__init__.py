"""Tests of the way from an Authorization header to an access."""
