"""The SMART server: the gateway's own authorization server, its launches and its pages."""
