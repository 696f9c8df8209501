"""`/admin/configuration`: which configuration is in force, its reload, and the way back."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.smart_server.admin.admin_error import AdminRequestError
from gateway.smart_server.configuration_control import BY_ADMINISTRATOR, ConfigurationControl, ReloadRefusedError
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response
from gateway.storage.store_keys import CONFIGURATION_RELOAD, CONFIGURATION_ROLL_BACK, ENDED_CHANNEL
from gateway.telemetry.configuration_metrics import ReloadOutcome

# Not valid (RFC 9110 15.5.21), not possible now, and for a store that does not answer.
_STATUSES = {ReloadOutcome.INVALID: 422, ReloadOutcome.UNAVAILABLE: 503}


class ConfigurationAdministration:
    """Reloads this gateway, and tells all others with the same store to do so too. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def show(self, _: Request) -> Response:
        """GET: the configuration in force in the process that answers."""
        return self._describe(None)

    async def reload(self, _: Request) -> Response:
        """POST: bring the configuration into force as the files are now, here and then everywhere."""
        try:
            outcome = await self._control.reload(BY_ADMINISTRATOR)
        except ReloadRefusedError as error:
            raise AdminRequestError(_STATUSES.get(error.outcome, 409), *error.problems) from error
        await self._dependencies.storage.store.publish(ENDED_CHANNEL, CONFIGURATION_RELOAD)
        return self._describe(outcome)

    async def roll_back(self, _: Request) -> Response:
        """POST: go back to the configuration before, here and wherever the same version is in force."""
        rolled_back = self._control.state.version
        try:
            outcome = await self._control.roll_back(BY_ADMINISTRATOR)
        except ReloadRefusedError as error:
            raise AdminRequestError(_STATUSES.get(error.outcome, 409), *error.problems) from error
        await self._dependencies.storage.store.publish(ENDED_CHANNEL, CONFIGURATION_ROLL_BACK + rolled_back)
        return self._describe(outcome)

    @property
    def _control(self) -> ConfigurationControl:
        control = self._dependencies.configuration
        if control is None:
            raise AdminRequestError(409, "The configuration of this gateway cannot be changed while it runs.")
        return control

    def _describe(self, outcome: ReloadOutcome | None) -> Response:
        state = self._control.state
        members = {
            "version": state.version,
            "since": state.since,
            "previous": state.previous,
            "problems": list(state.problems),
        }
        return json_response(members if outcome is None else {"outcome": outcome.value, **members})
