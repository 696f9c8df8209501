"""What a client sends with an operation, read and judged by the manifest before anything is sent (enforcement.md 4)."""
