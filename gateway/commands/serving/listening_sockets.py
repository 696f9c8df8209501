"""Opens the sockets that the gateway listens on before anything is started."""

import os
import socket


class ListenError(Exception):
    """An address cannot be listened on. The message is for the person at the terminal."""


def open_sockets(setting: str, host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of `host`; `setting` names its section in messages. Raises `ListenError`."""
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
        # A port that the system chooses is another one for each socket.
        for family, address in addresses if port else addresses[:1]:
            opened.append(socket.create_server(address, family=family, backlog=2048, reuse_port=False))
    except OSError as error:
        for opened_socket in opened:
            opened_socket.close()
        # The text of `create_server` repeats the address.
        reason = str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ListenError(f"{setting}: {host} port {port} cannot be listened on: {reason.lower()}.") from error
    return opened
