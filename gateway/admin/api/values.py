"""What several operations take in their query."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Flag = Literal["true", "false"]
"""As it stands in a query."""
Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Limit = Annotated[int, Meta(ge=1, le=200, description="How many records at most.")]
After = Annotated[str, Meta(max_length=1000, description="`next_after` of the page before.")]
Provider = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        description="The issuer of the OpenID provider, or the client id of the launcher, of the user; without it, the "
        "user signs in here.",
    ),
]
JsonObject = dict[str, Any]


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a list."""

    search: Annotated[str, Meta(max_length=200, description="A part of the id or the name.")] = ""
    after: After = ""
    limit: Limit = 50


class UserQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whose user it is."""

    provider: Provider | None = None


class ReplaceQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether what is there already is replaced."""

    replace: Annotated[Flag, Meta(description="Replace one that was added before.")] = "false"
