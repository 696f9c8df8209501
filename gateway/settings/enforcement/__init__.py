"""The settings of what the proxy lets through."""
