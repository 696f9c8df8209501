"""Settings of the way to the FHIR server: where it is, how the gateway proves itself there, how many connections."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FilePath, PlainSerializer

from gateway.fhir.search_parameters import SearchType, parameters_of
from gateway.settings.section import Conflict, Section
from gateway.settings.values import (
    BaseUrl,
    Count,
    CountOrNone,
    Flag,
    ResourceType,
    Seconds,
    Secret,
    Text,
    Url,
    plain,
    read_only,
)

_PARAMETER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*")


class NoAuthentication(Section):
    """The FHIR server trusts whoever reaches it."""

    kind: Literal["none"] = "none"


class BasicAuthentication(Section):
    """A user name and a password (RFC 7617)."""

    kind: Literal["basic"]
    username: Annotated[Text, Field(description="The user name.")]
    password: Annotated[Secret, Field(description="The password.")]

    def conflicts(self) -> Iterator[Conflict]:
        """RFC 7617 2: the first colon ends the user name."""
        if ":" in self.username:
            yield Conflict(("username",), "must not hold a colon, which Basic authentication cannot carry")


class BearerAuthentication(Section):
    """A token that does not change (RFC 6750)."""

    kind: Literal["bearer"]
    token: Annotated[Secret, Field(description="The token.")]


class ClientCredentials(Section):
    """A token fetched by the client credentials grant (RFC 6749 4.4) and renewed before it expires."""

    kind: Literal["client_credentials"]
    token_endpoint: Annotated[Url, Field(description="Where the gateway fetches its token.")]
    client_id: Annotated[Text, Field(description="The gateway's client id there.")]
    client_secret: Annotated[Secret, Field(description="The gateway's client secret there.")]
    scope: Annotated[Text | None, Field(description="The scopes to ask for, separated by spaces.")] = None
    audience: Annotated[Text | None, Field(description="The `audience` to ask for, where the server wants one.")] = None


Authentication = Annotated[
    NoAuthentication | BasicAuthentication | BearerAuthentication | ClientCredentials, Field(discriminator="kind")
]


class Tls(Section):
    """Certificates on the way to the FHIR server."""

    ca_file: Annotated[
        FilePath | None,
        Field(description="PEM file of the authorities to trust instead of the system's."),
    ] = None
    client_certificate_file: Annotated[
        FilePath | None, Field(description="PEM file of the certificate chain that the gateway shows (mutual TLS).")
    ] = None
    client_key_file: Annotated[
        FilePath | None, Field(description="PEM file of the key that belongs to the certificate.")
    ] = None

    def conflicts(self) -> Iterator[Conflict]:
        """A certificate without its key, or the reverse."""
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            yield Conflict((), "needs client_certificate_file and client_key_file, both or neither")


class Pool(Section):
    """Connections to the FHIR server, and how long the gateway waits."""

    connections: Annotated[Count, Field(description="How many connections may be open at once.")] = 32
    queue: Annotated[CountOrNone, Field(description="How many requests may wait for a connection.")] = 256
    connect_timeout_seconds: Annotated[Seconds, Field(description="How long opening a connection may take.")] = 3.0
    read_timeout_seconds: Annotated[
        Seconds, Field(description="How long the FHIR server may be silent within an answer.")
    ] = 30.0
    total_timeout_seconds: Annotated[
        Seconds, Field(description="How long a whole exchange may take, except for bodies that are streamed through.")
    ] = 60.0
    queue_timeout_seconds: Annotated[Seconds, Field(description="How long a request may wait for a connection.")] = 5.0
    idle_timeout_seconds: Annotated[Seconds, Field(description="When an unused connection is closed.")] = 30.0

    def conflicts(self) -> Iterator[Conflict]:
        """A deadline within another that ends first."""
        for name in ("connect_timeout_seconds", "read_timeout_seconds"):
            if getattr(self, name) > self.total_timeout_seconds:
                yield Conflict((name,), "must not be longer than total_timeout_seconds")


def _parameter_name(value: str) -> str:
    if _PARAMETER_NAME.fullmatch(value) is None:
        raise ValueError("must be the name of a search parameter: letters, digits, - and _")
    return value


ParameterName = Annotated[str, AfterValidator(_parameter_name)]


class Upstream(Section):
    """The FHIR server behind the gateway."""

    base_url: Annotated[BaseUrl, Field(description="The base URL of the FHIR server, without a slash at the end.")]
    authentication: Annotated[
        Authentication, Field(description="How the gateway proves itself to the FHIR server.")
    ] = NoAuthentication()
    tls: Annotated[Tls, Field(description="Certificates on the way to the FHIR server.")] = Tls()
    pool: Annotated[Pool, Field(description="Connections to the FHIR server.")] = Pool()
    max_verified_body_bytes: Annotated[
        Count, Field(description="The largest answer that is read to be verified; a larger one is refused with 502.")
    ] = 16 * 1024 * 1024
    compartment_search: Annotated[
        Flag, Field(description="Whether the FHIR server answers `Patient/[id]/Observation`.")
    ] = False
    extra_search_parameters: Annotated[
        Annotated[
            Mapping[ResourceType, Annotated[Mapping[ParameterName, SearchType], AfterValidator(read_only)]],
            AfterValidator(read_only),
            PlainSerializer(plain),
        ],
        Field(description="Search parameters that the FHIR server has beyond R4: resource type, name, and its type."),
    ] = {}

    def conflicts(self) -> Iterator[Conflict]:
        """Certificates for a connection without TLS; a parameter that R4 already defines."""
        if self.tls != Tls() and not self.base_url.startswith("https://"):
            yield Conflict(("tls",), "is of no use, because upstream.base_url starts with http://")
        for resource_type, parameters in self.extra_search_parameters.items():
            for name in parameters.keys() & parameters_of(resource_type).keys():
                yield Conflict(
                    ("extra_search_parameters", resource_type, name), f"is defined by R4 for {resource_type} already"
                )
