"""Tests of the storage room, which run on every kind of store with real servers."""
