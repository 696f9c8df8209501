"""The refusal of who has tried too often, and how long to wait in plain words."""

from gateway.smart_server.page_language import gettext


class TooManyAttemptsError(Exception):
    """Refused until `retry_after` seconds have passed (RFC 6585 4)."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"{retry_after} seconds")
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of the response."""
        return {"retry-after": str(self.retry_after)}


def describe_wait(seconds: int) -> str:
    """How long to wait, rounded up, as in "Please wait 5 minutes"."""
    if seconds <= 60:
        return gettext("a minute")
    minutes = -(-seconds // 60)
    if minutes <= 60:
        return gettext("%(count)s minutes", count=minutes)
    return gettext("%(count)s hours", count=-(-minutes // 60))
