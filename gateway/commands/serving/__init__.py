"""What `serve` runs: the sockets, the HTTP protocol, and the checks at start."""
