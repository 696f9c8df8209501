"""The checks of the self-test, one module for each family."""
