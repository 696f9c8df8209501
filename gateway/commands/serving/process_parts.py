"""What one process of `serve` has, whatever configuration is in force."""

import os
import signal
from dataclasses import dataclass

from gateway.commands.serving.client_connections.build import connection_bounds
from gateway.commands.serving.client_connections.connections import ClientConnections
from gateway.commands.serving.worker import Worker
from gateway.lasting_parts import LastingParts
from gateway.settings.loading.configuration import Configuration
from gateway.telemetry.configuration_metrics import ConfigurationMetrics
from gateway.telemetry.operational_log import configure_logs
from gateway.telemetry.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class ProcessParts:
    """What is built once in a process. `worker` is what it shares with others, if it is one of several.

    `connections` are those of clients to the public port.
    """

    telemetry: Telemetry
    configuration_metrics: ConfigurationMetrics
    lasting: LastingParts
    worker: Worker | None
    connections: ClientConnections

    @property
    def has_supervisor(self) -> bool:
        """Whether a supervisor reads the configuration too, and tells all workers."""
        return self.worker is not None

    def tell_supervisor(self, number: signal.Signals) -> bool:
        """Send a signal to the supervisor; False without one."""
        if self.worker is None:
            return False
        # Once the supervisor has ended, its number may be another process.
        if os.getppid() == self.worker.start.supervisor:
            os.kill(self.worker.start.supervisor, number)
        return True

    def follow_configuration(self, configuration: Configuration) -> None:
        """Log as the configuration says, and under its version; bound connections as it says."""
        self.connections.bounds = connection_bounds(configuration.settings)
        place = None if self.worker is None else self.worker.start.place
        configure_logs(configuration.settings.log_level, place, configuration.version)
