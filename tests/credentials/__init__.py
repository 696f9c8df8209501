"""Tests of the credentials room."""
