"""What is cached per client connection."""

import msgspec


class ConnectionMemory(msgspec.Struct, gc=False):
    """The last Authorization header of a connection, and the fingerprint of its token.

    Clients repeat their token, and comparing a large token is cheaper than hashing it. The HTTP server keeps the
    headers of a connection's last request anyway; nothing outlives the connection.
    """

    authorization: bytes = b""
    fingerprint: bytes = b""
