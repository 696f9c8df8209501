"""Tests of the keys room."""
