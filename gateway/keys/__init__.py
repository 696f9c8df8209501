"""Foreign issuers' keys and the checks that turn a token into claims."""
