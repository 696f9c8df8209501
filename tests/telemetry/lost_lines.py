"""Stands for an audit log, of which metrics only read how many lines it has lost."""

from dataclasses import dataclass


@dataclass
class LostLines:
    """An audit log that has lost so many lines."""

    lost: int = 0
