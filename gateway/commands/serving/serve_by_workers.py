"""Runs the gateway as several workers of one supervisor: one port, one page of metrics, one audit log."""

import gc
import logging
import secrets

from gateway.app import Gateway
from gateway.commands.serving.configurations import Configurations
from gateway.commands.serving.followed_configuration import SupervisedConfiguration
from gateway.commands.serving.serve import log_warnings, open_all_sockets, run_process
from gateway.commands.serving.supervisor import Supervisor, WorkerStart
from gateway.commands.serving.worker import Worker
from gateway.settings.model import Settings
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.decisions.recent_decisions import SharedDecisions
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.operational_log import configure_logs
from gateway.telemetry.process_lock import ProcessLock
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.worker_metrics import SharedSnapshots

_log = logging.getLogger(__name__)


def serve_by_workers(configurations: Configurations, count: int) -> int:
    """Serve by `count` workers until SIGINT or SIGTERM. Returns the exit status. Needs Linux.

    Raises `ListenError` if an address cannot be listened on; then nothing has been started.
    """
    settings, version = configurations.current.settings, configurations.current.version
    configure_logs(settings.log_level, configuration=version)
    sockets = open_all_sockets(settings)
    log_warnings(settings)
    if settings.smart_server is None:
        _log.warning(
            "paging links that are too long for a URL work in one worker only, because there is no store",
            extra={"workers": count},
        )
    # A link that one worker made must open in another.
    paging_key = secrets.token_bytes(32)
    audit_lock, snapshots = ProcessLock(), SharedSnapshots(count)
    is_administered = settings.admin.port is not None
    decisions = SharedDecisions(count, settings.admin.recent_decisions_bytes) if is_administered else None
    _load_before_fork(settings)

    def run_worker(start: WorkerStart) -> None:
        current = configurations.current
        configure_logs(current.settings.log_level, start.place, current.version)
        run_process(configurations, sockets, Worker(start, audit_lock, snapshots, paging_key, decisions))

    _log.info("starting workers", extra={"workers": count})
    all_sockets = [*sockets.public, *sockets.metrics, *sockets.admin]
    followed = SupervisedConfiguration(configurations)
    return Supervisor(count, run_worker, all_sockets, settings.shutdown, followed).run()


def _load_before_fork(settings: Settings) -> None:
    """Build what a worker builds, and drop it: what that has loaded stays, and workers share its memory."""
    audit = AuditLog.from_settings(settings.audit)
    Gateway(settings, Telemetry(Metrics(), audit))
    audit.close()
    gc.collect()
    gc.freeze()
