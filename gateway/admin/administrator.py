"""Who administers the gateway, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an administrator may do: an auditor may read, an operator may change things as well."""

    OPERATOR = "operator"
    AUDITOR = "auditor"

    def includes(self, needed: "Role") -> bool:
        """Whether whoever has this role may do what needs the other one."""
        return self is needed or self is Role.OPERATOR


class Origin(StrEnum):
    """How an administrator proves who they are: an account or a token of the configuration, or an OpenID provider."""

    ACCOUNT = "account"
    TOKEN = "token"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Administrator:
    """An administrator, as of now. `name` is what the audit log shows."""

    name: str
    role: Role
    origin: Origin
