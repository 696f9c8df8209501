"""The endpoints and pages of the gateway's own authorization server, in the order in which a launch meets them."""
