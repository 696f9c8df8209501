"""One suite for every kind of store, on real servers."""
