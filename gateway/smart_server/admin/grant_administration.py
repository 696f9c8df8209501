"""`/admin/grants`: what users granted to apps, by user, app and patient."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import Authorization
from gateway.smart_server.admin.admin_door import read_json
from gateway.smart_server.admin.admin_error import AdminRequestError
from gateway.smart_server.admin.user_naming import read_user
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response
from gateway.storage.batches import run_in_batches
from gateway.telemetry.server_event import EventKind

_CRITERIA = ("user", "provider", "client", "patient")


class GrantAdministration:
    """Lists and ends authorizations. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def grants(self, request: Request) -> Response:
        """GET: the authorizations that fit `user`, `provider`, `client` and `patient` of the query."""
        criteria = self._read_criteria(request.query_params)
        authorizations = await self._dependencies.storage.authorizations.list(**criteria)
        return json_response({"grants": [_describe(authorization) for authorization in authorizations]})

    async def end(self, request: Request) -> Response:
        """POST: end the authorizations that fit the body, with their codes, tokens and remembered consents."""
        criteria = self._read_criteria(await read_json(request))
        ids = await self._dependencies.storage.authorizations.find_ids(**criteria)
        ended = await run_in_batches(self._end, sorted(ids))
        return json_response({"ended": sum(ended)})

    async def _end(self, authorization_id: str) -> bool:
        """End one authorization; whether it was open."""
        storage = self._dependencies.storage
        authorization = await storage.authorizations.get(authorization_id)
        await storage.ends.end_authorization(authorization_id)
        if authorization is None:
            return False
        await self._forget_consent(authorization)
        self._dependencies.record_event(
            EventKind.REVOKED,
            client_id=authorization.client_id,
            subject=None if authorization.user is None else authorization.user.subject,
            authorization_id=authorization_id,
            reason="administrator",
        )
        return True

    async def _forget_consent(self, authorization: Authorization) -> None:
        if authorization.user is not None:
            await self._dependencies.storage.consents.delete(
                authorization.user.subject, authorization.client_id, authorization.context.patient
            )

    def _read_criteria(self, members: Mapping[str, Any]) -> dict[str, str]:
        """The arguments of `Authorizations.find_ids`."""
        unknown = sorted(members.keys() - set(_CRITERIA))
        if unknown:
            raise AdminRequestError(400, f"{unknown[0]}: is unknown; known are {', '.join(_CRITERIA)}")
        criteria = {}
        if "user" in members or "provider" in members:
            criteria["subject"] = read_user(members, self._dependencies).subject
        for name, argument in (("client", "client_id"), ("patient", "patient")):
            if name in members:
                value = members[name]
                if not isinstance(value, str) or not value:
                    raise AdminRequestError(400, f"{name}: must be a text that is not empty")
                criteria[argument] = value.removeprefix("Patient/") if name == "patient" else value
        if not criteria:
            raise AdminRequestError(400, "Name a user, a client or a patient.")
        return criteria


def _describe(authorization: Authorization) -> dict[str, Any]:
    user = authorization.user
    return {
        "id": authorization.authorization_id,
        "client": authorization.client_id,
        "user": None if user is None else user.subject,
        "user_name": None if user is None else user.name,
        "provider": None if user is None else user.provider,
        "patient": authorization.context.patient,
        "scope": authorization.scope,
        "granted_at": authorization.granted_at,
        "ends_with_session": authorization.session_id is not None,
    }
