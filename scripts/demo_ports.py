"""The three ports of `make run`, and which of them are taken."""

import argparse
import socket
from dataclasses import dataclass
from typing import Self

_APP_OFFSET = 1
_METRICS_OFFSET = 1010


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the gateway, of the app that starts by itself, and of the metrics."""

    gateway: int
    app: int
    metrics: int

    @classmethod
    def beside(cls, gateway: int, app: int | None = None, metrics: int | None = None) -> Self:
        """Those that are not chosen follow the port of the gateway."""
        return cls(gateway, app or gateway + _APP_OFFSET, metrics or gateway + _METRICS_OFFSET)

    def find_taken(self) -> list[str]:
        """A sentence for each port that another program listens on, or that cannot be listened on."""
        named = {"PORT": self.gateway, "APP_PORT": self.app, "METRICS_PORT": self.metrics}
        return [
            f"Port {port} is taken; choose another one with {name}=."
            for name, port in named.items()
            if not _is_free(port) or list(named.values()).count(port) > 1
        ]


def add_port_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the three ports."""
    parser.add_argument("--port", type=_port, default=8080, help="port of the gateway (default 8080)")
    parser.add_argument("--app-port", type=_port, help="port of the app (default: the next one)")
    parser.add_argument("--metrics-port", type=_port, help=f"port of /metrics (default: {_METRICS_OFFSET} more)")


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):
        return False
    return True
