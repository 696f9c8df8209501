"""`/admin/configuration`: which configuration is in force, its reload, and the way back."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.smart_server.administration.configuration import ManagedConfiguration
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response
from gateway.telemetry.configuration_metrics import ReloadOutcome


class ConfigurationAdministration:
    """Shows and changes the configuration in force. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._configuration = ManagedConfiguration(dependencies)

    async def show(self, _: Request) -> Response:
        """GET: the configuration in force in the process that answers."""
        return self._describe(None)

    async def reload(self, _: Request) -> Response:
        """POST: bring the configuration into force as the files are now, here and then everywhere."""
        return self._describe(await self._configuration.reload())

    async def roll_back(self, _: Request) -> Response:
        """POST: go back to the configuration before, here and wherever the same version is in force."""
        return self._describe(await self._configuration.roll_back())

    def _describe(self, outcome: ReloadOutcome | None) -> Response:
        state = self._configuration.state
        members = {
            "version": state.version,
            "since": state.since,
            "previous": state.previous,
            "problems": list(state.problems),
        }
        return json_response(members if outcome is None else {"outcome": outcome.value, **members})
