"""`/admin/grants`: what users granted to apps, by user, app and patient."""

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.smart_server.admin.admin_door import read_json
from gateway.smart_server.administration.grants import GrantSummary, ManagedGrants
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response


class GrantAdministration:
    """Lists and ends authorizations. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._grants = ManagedGrants(dependencies)

    async def grants(self, request: Request) -> Response:
        """GET: the authorizations that fit `user`, `provider`, `client` and `patient` of the query."""
        return json_response({"grants": [_describe(grant) for grant in await self._grants.list(request.query_params)]})

    async def end(self, request: Request) -> Response:
        """POST: end the authorizations that fit the body, with their codes, tokens and remembered consents."""
        return json_response({"ended": await self._grants.end(await read_json(request))})


def _describe(grant: GrantSummary) -> dict[str, Any]:
    return {name: value for name, value in asdict(grant).items() if name not in {"patient_name", "purpose_of_use"}}
