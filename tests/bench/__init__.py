"""The benchmark's own arithmetic and parsing; nothing here measures time."""
