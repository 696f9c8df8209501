"""What holds for every test: properties are tried for their truth, never for their time.

On a machine that is busy with something else, a slow example says nothing about the code (no test here is timed).
"""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
