"""The bounds on connections, as the settings say and the operating system permits."""

import logging
import resource

from gateway.asgi.client_address import TrustedProxies
from gateway.commands.serving.client_connections.connections import ConnectionBounds
from gateway.settings.model import Settings

_log = logging.getLogger(__name__)
# Files beside connections: sockets, logs, the store, connections to identity providers.
_OTHER_FILES = 128


def connection_bounds(settings: Settings) -> ConnectionBounds:
    """The bounds. As many files as the connections need may be open from now on, if the hard limit permits.

    Without a file for it, no connection would be accepted, and none refused.
    """
    overload, proxies = settings.overload, settings.listen.trusted_proxies
    # A reload opens a second pool before the first one is closed.
    others = _OTHER_FILES + 2 * settings.upstream.pool.connections
    total = connections_that_fit(overload.connections, others)
    if total < overload.connections:
        _log.warning(
            "fewer connections than the settings say, because the process may not open more files",
            extra={"setting": "overload.connections", "connections": total},
        )
    return ConnectionBounds(
        total=total,
        per_address=overload.connections_per_address,
        idle=overload.idle_seconds,
        head=overload.head_seconds,
        transfer=overload.transfer_seconds,
        bytes_per_second=overload.transfer_bytes_per_second,
        proxies=TrustedProxies(proxies) if proxies else None,
    )


def connections_that_fit(wanted: int, others: int) -> int:
    """How many of the wanted connections there can be beside `others` other files. Raises the soft limit as needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + others
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, soft // 2, soft - others) if soft < needed else wanted
    return wanted
