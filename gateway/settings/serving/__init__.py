"""The settings of the process: where it listens, whom it asks, what it records, how it starts and ends."""
