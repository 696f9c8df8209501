"""Checks whether an access token is active."""

from tests.smart_server.smart_app import App


async def is_active(app: App, tokens: dict[str, str]) -> bool:
    """Whether the access token still gives access."""
    status = (await app.read("/Patient/pat-a", tokens["access_token"])).status_code
    assert status in {200, 401}
    return status == 200
