"""The error of `explain`: nothing can be said about the request."""


class ExplainError(Exception):
    """The request cannot be explained. The message is for the person at the terminal."""
