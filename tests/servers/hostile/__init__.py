"""A FHIR server that cannot be trusted: every mode is a way to hand B's data to A's app."""

from tests.servers.hostile.modes import Mode
from tests.servers.hostile.start import HostileInLoop, HostileProcess, RunningHostile, hostile_in_loop, start_hostile
from tests.servers.hostile.world import A_MARKER, HOSTILE_B
from tests.servers.people import B_MARKER, PATIENT_A

__all__ = [
    "A_MARKER",
    "B_MARKER",
    "HOSTILE_B",
    "PATIENT_A",
    "HostileInLoop",
    "HostileProcess",
    "Mode",
    "RunningHostile",
    "hostile_in_loop",
    "start_hostile",
]
