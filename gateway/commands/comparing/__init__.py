"""What `policy diff` says: which decisions on recorded requests another configuration changes."""
