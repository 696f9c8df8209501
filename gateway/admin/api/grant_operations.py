"""`/api/grants` and `/api/launches`: what users granted to apps, and launches that wait for their app."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.admin.api.operation import Call, NoQuery, Operation, action, read
from gateway.admin.api.values import After, JsonObject, Limit, Name, Provider
from gateway.admin.launches import ManagedLaunches, OpenLaunch
from gateway.smart_server.administration.grants import GrantSummary, ManagedGrants
from gateway.smart_server.administration.record_pages import RecordPage


class GrantQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which grants: at least one of user, client and patient."""

    user: Annotated[Name, Meta(description="A user name here, the `sub` at `provider`, or a subject.")] | None = None
    provider: Provider | None = None
    client: Annotated[Name, Meta(description="A client id.")] | None = None
    patient: Annotated[Name, Meta(description="The id of a Patient.")] | None = None


class GrantListQuery(GrantQuery, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which grants, page by page."""

    after: After = ""
    limit: Limit = 50


class EndedGrants(msgspec.Struct, frozen=True):
    """How many grants were open."""

    ended: int


class LaunchList(msgspec.Struct, frozen=True):
    """The launches that wait for their app, the latest first."""

    launches: tuple[OpenLaunch, ...]


class GrantOperations:
    """What administrators do with grants and launches."""

    def __init__(self, grants: ManagedGrants, launches: ManagedLaunches) -> None:
        self._grants = grants
        self._launches = launches

    def operations(self) -> Iterator[Operation]:
        """The operations."""
        yield read("/grants", "listGrants", "The grants of a user, an app or a patient, by their ids.", self._list,
                   RecordPage[GrantSummary], query=GrantListQuery)  # fmt: skip
        yield Operation(
            "DELETE", "/grants", "endGrants", "End the grants that fit, with their tokens and remembered consents.",
            self._end, EndedGrants, query=GrantQuery,
        )  # fmt: skip
        yield read("/grants/{grant_id}", "showGrant", "A grant.", self._show, GrantSummary, refusals=(404,))
        yield action("DELETE", "/grants/{grant_id}", "endGrant", "End a grant.", self._end_one)
        yield read(
            "/launches", "listLaunches", "The launches that wait for their app.", self._list_launches, LaunchList
        )

    async def _list(self, call: Call[GrantListQuery, None]) -> RecordPage[GrantSummary]:
        query = call.query
        return await self._grants.page(_criteria(query), after=query.after, limit=query.limit)

    async def _end(self, call: Call[GrantQuery, None]) -> EndedGrants:
        return EndedGrants(await self._grants.end(_criteria(call.query)))

    async def _show(self, call: Call[NoQuery, None]) -> GrantSummary:
        return await self._grants.show(call.path["grant_id"])

    async def _end_one(self, call: Call[NoQuery, None]) -> None:
        await self._grants.end_one(call.path["grant_id"])

    async def _list_launches(self, _: Call[NoQuery, None]) -> LaunchList:
        return LaunchList(await self._launches.list())


def _criteria(query: GrantQuery) -> JsonObject:
    members = {"user": query.user, "provider": query.provider, "client": query.client, "patient": query.patient}
    return {name: value for name, value in members.items() if value is not None}
