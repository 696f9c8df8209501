"""The error responses of the token, introspection and revocation endpoints."""

import httpx2


def oauth_error(response: httpx2.Response, status: int = 400) -> str:
    """The error code of a refusal, which must have the form of RFC 6749 5.2 and `no-store`."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error_description"].isascii()
    assert not {'"', "\\"} & set(body["error_description"])
    return str(body["error"])
