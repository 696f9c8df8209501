"""What is kept per client connection."""

import msgspec

from gateway.upstream.caller import Waits


class ConnectionMemory(msgspec.Struct, gc=False):
    """The last Authorization header of a connection, the fingerprint of its token, and what waits for its client.

    Clients repeat their token, and comparing a large token is cheaper than hashing it. The HTTP server keeps the
    headers of a connection's last request anyway; nothing outlives the connection. `is_held_back` says that the client
    was just refused because it has too much in progress: its next request is read a moment later.
    """

    authorization: bytes = b""
    fingerprint: bytes = b""
    waits: Waits = msgspec.field(default_factory=Waits)
    is_held_back: bool = False
