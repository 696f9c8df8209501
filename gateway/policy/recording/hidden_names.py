"""Names that clients make up, as they are recorded: by a digest, from which a configuration with the name finds it."""

import hashlib
from collections.abc import Collection, Iterable

_DIGEST_LENGTH = 16
_PREFIX = "name-"


def hide_name(name: str, known: Collection[str]) -> str:
    """A name of the client's that is `known`; of any other one the digest, by which a manifest with it is found."""
    return name if name in known else _PREFIX + hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]


def find_name(recorded: str, names: Iterable[str]) -> str:
    """The name of `names` that a recorded one stands for; itself if there is none."""
    if not recorded.startswith(_PREFIX):
        return recorded
    return next((name for name in names if hide_name(name, ()) == recorded), recorded)
