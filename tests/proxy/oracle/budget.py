"""How many examples the oracle plays: few in CI, always the same; by hand as many as are asked for, at random.

make oracle REQUESTS=100000
"""

import os

from hypothesis import HealthCheck, settings

# What a sequence of the strategies comes to on average, as measured.
_REQUESTS_PER_SEQUENCE = 4
# How many requests are asked for by hand; None in CI.
ASKED_FOR = os.environ.get("ORACLE_REQUESTS")


def budget(examples: int, share: float = 1.0) -> settings:
    """The settings of a property: `examples` in CI, or its share of the requests that are asked for by hand."""
    by_hand = None if ASKED_FOR is None else max(1, int(int(ASKED_FOR) * share / _REQUESTS_PER_SEQUENCE))
    return settings(
        max_examples=by_hand or examples,
        deadline=None,
        derandomize=by_hand is None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
