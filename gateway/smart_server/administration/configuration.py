"""The configuration in force: its reload and the way back, here and wherever gateways have the same store."""

from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.configuration_control import (
    BY_ADMINISTRATOR,
    ConfigurationControl,
    ConfigurationState,
    ReloadRefusedError,
)
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.store_keys import CONFIGURATION_RELOAD, CONFIGURATION_ROLL_BACK, ENDED_CHANNEL
from gateway.telemetry.configuration_metrics import ReloadOutcome
from gateway.telemetry.server_event import EventKind

# Not valid (RFC 9110 15.5.21), not possible now, and for a store that does not answer.
_STATUSES = {ReloadOutcome.INVALID: 422, ReloadOutcome.UNAVAILABLE: 503}


class ManagedConfiguration:
    """Reloads this gateway, and tells all others with the same store. Raises `AdminRequestError`.

    What somebody orders is an event, whether it comes into force or not. That it is in force is another one, of each
    process.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    @property
    def state(self) -> ConfigurationState:
        """The configuration in force in the process that answers."""
        return self._control.state

    async def reload(self) -> ReloadOutcome:
        """Bring the configuration into force as the files are now, here and then everywhere."""
        control = self._control
        self._dependencies.record_event(EventKind.CONFIGURATION_ORDERED, reason="reload")
        try:
            outcome = await control.reload(BY_ADMINISTRATOR)
        except ReloadRefusedError as error:
            raise AdminRequestError(_STATUSES.get(error.outcome, 409), *error.problems) from error
        await self._dependencies.storage.store.publish(ENDED_CHANNEL, CONFIGURATION_RELOAD)
        return outcome

    async def roll_back(self) -> ReloadOutcome:
        """Go back to the configuration before, here and wherever the same version is in force."""
        control = self._control
        rolled_back = control.state.version
        self._dependencies.record_event(EventKind.CONFIGURATION_ORDERED, reason="roll_back")
        try:
            outcome = await control.roll_back(BY_ADMINISTRATOR)
        except ReloadRefusedError as error:
            raise AdminRequestError(_STATUSES.get(error.outcome, 409), *error.problems) from error
        await self._dependencies.storage.store.publish(ENDED_CHANNEL, CONFIGURATION_ROLL_BACK + rolled_back)
        return outcome

    @property
    def _control(self) -> ConfigurationControl:
        control = self._dependencies.configuration
        if control is None:
            raise AdminRequestError(409, "The configuration of this gateway cannot be changed while it runs.")
        return control
