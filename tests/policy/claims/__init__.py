"""Tests of how claims are read."""
