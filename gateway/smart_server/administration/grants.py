"""What users granted to apps: found by user, app and patient, and ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.oauth.authorization import Authorization
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.record_pages import PAGE_SIZE, RecordPage, read_page
from gateway.smart_server.administration.user_naming import read_user
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.batches import run_in_batches
from gateway.telemetry.server_event import EventKind

CRITERIA = ("user", "provider", "client", "patient")


@dataclass(frozen=True, slots=True)
class GrantSummary:
    """An authorization in a list. `granted_at` is in seconds since the epoch; `user` is a subject."""

    id: str
    client: str
    user: str | None
    user_name: str | None
    provider: str | None
    patient: str | None
    scope: str
    granted_at: float
    ends_with_session: bool
    patient_name: str
    purpose_of_use: str


class ManagedGrants:
    """Lists and ends authorizations. Raises `AdminRequestError` and `StoreUnavailableError`.

    Criteria are `user` and `provider` as in `read_user`, `client` and `patient`; at least one must be given.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def list(self, criteria: Mapping[str, Any]) -> tuple[GrantSummary, ...]:
        """The open authorizations that fit all criteria, the latest first."""
        found = await self._dependencies.storage.authorizations.list(**self._read_criteria(criteria))
        return tuple(map(_summarize, found))

    async def page(
        self, criteria: Mapping[str, Any], *, after: str = "", limit: int = PAGE_SIZE
    ) -> RecordPage[GrantSummary]:
        """Some of these, in the order of their ids, behind `after`."""
        ids = await self._dependencies.storage.authorizations.find_ids(**self._read_criteria(criteria))
        return await read_page(ids, self._read, after=after, limit=limit)

    async def _read(self, authorization_id: str) -> GrantSummary | None:
        authorization = await self._dependencies.storage.authorizations.get(authorization_id)
        return None if authorization is None else _summarize(authorization)

    async def end(self, criteria: Mapping[str, Any]) -> int:
        """End the authorizations that fit, with their codes, tokens and remembered consents; how many were open."""
        ids = await self._dependencies.storage.authorizations.find_ids(**self._read_criteria(criteria))
        return sum(await run_in_batches(self._end, sorted(ids)))

    async def show(self, authorization_id: str) -> GrantSummary:
        """One open authorization."""
        authorization = await self._dependencies.storage.authorizations.get(authorization_id)
        if authorization is None:
            raise AdminRequestError(404, "There is no such grant, or it has ended.")
        return _summarize(authorization)

    async def end_one(self, authorization_id: str) -> None:
        """End one authorization."""
        await self.show(authorization_id)
        await self._end(authorization_id)

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
        unknown = sorted(members.keys() - set(CRITERIA))
        if unknown:
            raise AdminRequestError(400, f"{unknown[0]}: is unknown; known are {', '.join(CRITERIA)}")
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


def _summarize(authorization: Authorization) -> GrantSummary:
    user = authorization.user
    return GrantSummary(
        id=authorization.authorization_id,
        client=authorization.client_id,
        user=None if user is None else user.subject,
        user_name=None if user is None else user.name,
        provider=None if user is None else user.provider,
        patient=authorization.context.patient,
        scope=authorization.scope,
        granted_at=authorization.granted_at,
        ends_with_session=authorization.session_id is not None,
        patient_name=authorization.patient_name,
        purpose_of_use=authorization.purpose_of_use,
    )
