"""What is remembered of a client for as long as its connection lasts."""

import msgspec

# An ASGI extension of our own server: the `ConnectionMemory` of the connection that a request came over.
CONNECTION = "gateway.connection"


class ConnectionMemory(msgspec.Struct, gc=False):
    """The last Authorization header, and the fingerprint of the token in it.

    Clients send the same token again and again, and a digest of a large one costs more than its comparison. The server
    holds the headers of a connection's last request anyway; nothing outlives the connection.
    """

    authorization: bytes = b""
    fingerprint: bytes = b""
