"""Requests recorded by their shape: counted in memory, and appended to a file of bounded length."""
