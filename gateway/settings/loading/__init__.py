"""Loads the settings from a file, the environment and secret files, and reports every problem at once."""
