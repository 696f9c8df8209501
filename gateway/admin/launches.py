"""Launches: those that wait for their app, and one that an administrator starts to try an app."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.oauth.launch_context import LaunchContextError, read_launch_context
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.launch.launch_service import LaunchError, LaunchService, PreparedLaunch
from gateway.storage.launches import WaitingLaunch

ADMINISTRATOR_LAUNCH = "administrator"
"""The launcher of launches that an administrator starts."""


@dataclass(frozen=True, slots=True)
class OpenLaunch:
    """A launch that its app has not taken yet. Times are in seconds since the epoch; `user` is a subject."""

    client_id: str
    launcher: str
    launched_at: float
    ends_at: float
    patient: str | None
    user: str | None
    vouched: bool


class ManagedLaunches:
    """Lists and starts launches. Raises `AdminRequestError` and `StoreUnavailableError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._service = LaunchService(dependencies)

    async def list(self) -> tuple[OpenLaunch, ...]:
        """The launches that wait for their app, the latest first."""
        now = self._dependencies.clock()
        waiting = await self._dependencies.storage.launches.list_waiting()
        return tuple(sorted((_describe(one, now) for one in waiting), key=lambda launch: -launch.launched_at))

    async def start(self, client_id: str, context: Mapping[str, Any], launch_uri: str | None = None) -> PreparedLaunch:
        """Start an app as an EHR would, to try it; who opens the location still has to sign in.

        `context` is that of a launcher, such as `{"patient": "123"}`.
        """
        client = await self._dependencies.clients.find_enabled(client_id)
        if client is None:
            raise AdminRequestError(404, f"There is no client {client_id!r}, or it is disabled.")
        try:
            read = read_launch_context(context)
            return await self._service.create(
                client, read, launcher=ADMINISTRATOR_LAUNCH, user=None, launch_uri=launch_uri
            )
        except LaunchContextError as error:
            raise AdminRequestError(400, *error.problems) from error
        except LaunchError as error:
            raise AdminRequestError(error.status, *error.problems) from error


def _describe(waiting: WaitingLaunch, now: float) -> OpenLaunch:
    launch = waiting.launch
    return OpenLaunch(
        client_id=launch.client_id,
        launcher=launch.launcher,
        launched_at=launch.launched_at,
        ends_at=now + waiting.seconds_left,
        patient=launch.context.patient,
        user=None if launch.user is None else launch.user.subject,
        vouched=launch.vouched,
    )
