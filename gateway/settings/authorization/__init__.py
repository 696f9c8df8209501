"""The settings of who signs in, which apps there are and whose tokens count."""
