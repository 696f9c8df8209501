"""What holds for every test: properties are tried for their truth, never for their time, always on the same examples.

On a machine that is busy with something else, a slow example says nothing about the code (no test here is timed). And a
change must not fail for an example that had never been drawn before: `make properties` draws new ones.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("SMART_GATEWAY_NEW_EXAMPLES") != "1",
)
settings.load_profile("untimed")
