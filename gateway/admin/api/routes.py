"""All operations of the API, and the endpoint that serves them."""

from gateway.admin.administration import Administration
from gateway.admin.api.client_operations import ClientOperations
from gateway.admin.api.endpoint import ApiEndpoint
from gateway.admin.api.grant_operations import GrantOperations
from gateway.admin.api.openapi import describe
from gateway.admin.api.operation import Call, NoQuery, Operation
from gateway.admin.api.session_operations import SessionOperations
from gateway.admin.api.system_operations import SystemOperations
from gateway.admin.api.user_operations import UserOperations
from gateway.admin.api.values import JsonObject
from gateway.admin.door import AdminDoor


def operations(administration: Administration) -> tuple[Operation, ...]:
    """Every operation, in the order of the description, which is the last one."""
    described = (
        *SessionOperations(administration).operations(),
        *ClientOperations(administration.clients, administration.launches).operations(),
        *UserOperations(administration.users, administration.user_sessions).operations(),
        *GrantOperations(administration.grants, administration.launches).operations(),
        *SystemOperations(administration).operations(),
    )
    description: JsonObject = {}

    async def show_description(_: Call[NoQuery, None]) -> JsonObject:
        if not description:
            description.update(describe((*described, own)))
        return description

    own = Operation(
        "GET", "/openapi.json", "showDescription", "This description.", show_description, JsonObject, needs=None
    )
    return (*described, own)


def build_api(administration: Administration, door: AdminDoor) -> ApiEndpoint:
    """The endpoint of all operations."""
    return ApiEndpoint(operations(administration), administration, door)
