"""Who took part in an event: the client, the user and the server, as agents of an AuditEvent."""

from dataclasses import dataclass
from urllib.parse import quote

from gateway.policy.permission.access import Access
from gateway.scopes.model import Context, ResourceScope
from gateway.telemetry.audit_events.codes import (
    APPLICATION,
    APPLICATION_SERVER,
    RECIPIENT,
    TOKEN_ID,
    TOKEN_PROFILE,
    TOKEN_USER,
    URI_SYSTEM,
    Json,
    Pattern,
)
from gateway.telemetry.audit_events.naming import Naming
from gateway.telemetry.json_text import encode_members

_IP_ADDRESS, _URI = "2", "5"
# BALP requires an address of the client; a connection by a Unix socket has none.
_NO_ADDRESS = "unknown"


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents of an event, and the profile that they satisfy, if they satisfy one of BALP's for tokens.

    `members` are `agent` and `source` of an event, encoded without braces around them: a token repeats, and so do they.
    `bound_patient` is the patient to whom all belongs that the token reads.
    """

    members: bytes
    token_profile: str | None
    bound_patient: str | None


def _encode(agents: list[Json], naming: Naming) -> bytes:
    source = {"observer": _observer(naming), "type": [APPLICATION_SERVER]}
    return encode_members({"agent": agents, "source": source})


def build_agents(
    access: Access | None, address: str | None, pattern: Pattern, naming: Naming, *, comprehensive: bool
) -> Agents:
    """The agents of a request. `access` is None where no token was accepted.

    What the token says is recorded by BALP's profile `OAUTHaccessTokenUse.Comprehensive`, or `.Minimal`.
    """
    server = server_agent(naming, pattern.server)
    if access is None:
        client = client_agent(None, None, address, pattern.client, is_requestor=True)
        return Agents(_encode([client, server], naming), None, None)
    user, token_id = user_agent(access, pattern.user, naming), _token_id(access)
    client = client_agent(access.client_id, access.issuer, address, pattern.client, is_requestor=user is None)
    agents = [client, server, *([] if user is None else [user])]
    profile: str | None = None
    if comprehensive:
        if pattern.client is not APPLICATION:
            agents.append(client | {"type": APPLICATION, "requestor": False})
        if user is not None and token_id is not None:
            user["policy"] = [token_id]
            if pattern.user is not RECIPIENT:
                agents.append(user | {"type": RECIPIENT})
        # A user by the code of a token's user, but without the id of the token, would violate the profile.
        if user is None or token_id is not None or pattern.user is not RECIPIENT:
            profile = f"{TOKEN_PROFILE}Comprehensive"
    elif token_id is not None:
        agents.append({"type": TOKEN_USER, "requestor": True, "policy": [token_id]})
        profile = f"{TOKEN_PROFILE}Minimal"
    return Agents(_encode(agents, naming), profile, access.patient if is_bound_to_patient(access) else None)


def _observer(naming: Naming) -> Json:
    return {"identifier": {"system": URI_SYSTEM, "value": naming.base}}


def is_bound_to_patient(access: Access) -> bool:
    """Whether all that the token reads belongs to its patient."""
    return access.patient is not None and all(
        scope.context is Context.PATIENT for scope in access.scopes if isinstance(scope, ResourceScope)
    )


def client_agent(
    client_id: str | None, issuer: str | None, address: str | None, role: Json, *, is_requestor: bool
) -> Json:
    """An app, by the name that its issuer has for it; or whoever came without a token."""
    network = {"address": address, "type": _IP_ADDRESS} if address is not None else {"address": _NO_ADDRESS}
    return {"type": role, "who": _who(issuer, client_id), "requestor": is_requestor, "network": network}


def server_agent(naming: Naming, role: Json) -> Json:
    """This gateway, which apps know by its public address."""
    return {
        "type": role,
        "who": _observer(naming),
        "requestor": False,
        "network": {"address": naming.base, "type": _URI},
    }


def user_agent(access: Access, role: Json, naming: Naming) -> Json | None:
    """The user of a token; None where an app acts for itself."""
    if access.user is None and access.subject in {None, access.client_id}:
        return None
    agent: Json = {"type": role, "who": _who(access.issuer, access.subject), "requestor": True}
    if access.user is not None:
        name = naming.name(access.user.resource_type, access.user.id)
        agent["altId"] = name
        agent["who"] = _who(access.issuer, access.subject) | {"display": name}
    if access.roles:
        agent["role"] = [{"text": role} for role in sorted(access.roles)]
    if access.purposes_of_use:
        agent["purposeOfUse"] = [_purpose(purpose) for purpose in sorted(access.purposes_of_use)]
    return agent


def _who(system: str | None, value: str | None) -> Json:
    if value is None:
        return {"display": "nobody known"}
    return {"identifier": {"value": value} if system is None else {"system": system, "value": value}}


def _purpose(text: str) -> Json:
    system, bar, code = text.rpartition("|")
    return {"coding": [{"system": system, "code": code}]} if bar and system and code else {"text": text}


def _token_id(access: Access) -> str | None:
    """The id of the token, or of the authorization behind a token that was issued here, as a URI."""
    token_id = access.token_id or access.authorization_id
    return None if token_id is None else TOKEN_ID + quote(token_id, safe="")
