"""The benchmark's own arithmetic, parsing and answers; nothing here measures time."""
