"""Settings of the FHIR server: its URL, how the gateway authenticates to it, and the connections to it."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FilePath, PlainSerializer

from gateway.fhir.search_parameters import SearchType, get_search_parameters
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import (
    BaseUrl,
    Count,
    CountOrZero,
    Flag,
    ResourceType,
    Seconds,
    Secret,
    Text,
    Url,
    to_plain_dict,
    to_read_only,
)

_PARAMETER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*")


class NoAuthentication(Section):
    """No header is sent; the FHIR server trusts the network, or a client certificate."""

    kind: Literal["none"] = "none"


class BasicAuthentication(Section):
    """A user name and a password (RFC 7617)."""

    kind: Literal["basic"]
    username: Annotated[Text, Field(description="The user name.")]
    password: Annotated[Secret, Field(description="The password.")]

    @conflict_rule
    def _colon_in_username(self) -> Iterator[Conflict]:
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
    token_endpoint: Annotated[Url, Field(description="The endpoint where the gateway gets its token.")]
    client_id: Annotated[Text, Field(description="The gateway's client id there.")]
    client_secret: Annotated[Secret, Field(description="The gateway's client secret there.")]
    scope: Annotated[Text | None, Field(description="The scopes to request, separated by spaces.")] = None
    audience: Annotated[Text | None, Field(description="The `audience` to request, if the server needs one.")] = None


Authentication = Annotated[
    NoAuthentication | BasicAuthentication | BearerAuthentication | ClientCredentials, Field(discriminator="kind")
]


class Tls(Section):
    """TLS to the FHIR server."""

    ca_file: Annotated[
        FilePath | None,
        Field(description="PEM file of the certificate authorities to trust instead of the system's."),
    ] = None
    client_certificate_file: Annotated[
        FilePath | None, Field(description="PEM file of the gateway's client certificate and its chain (mutual TLS).")
    ] = None
    client_key_file: Annotated[
        FilePath | None, Field(description="PEM file of the client certificate's private key.")
    ] = None

    @conflict_rule
    def _half_of_a_pair(self) -> Iterator[Conflict]:
        """A certificate needs its key, and a key its certificate."""
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            yield Conflict((), "needs client_certificate_file and client_key_file, both or neither")


class Pool(Section):
    """Connections to the FHIR server, and how long the gateway waits."""

    connections: Annotated[Count, Field(description="How many connections may be open at once.")] = 32
    connections_per_client: Annotated[
        Count | None,
        Field(
            description="How many of them one client may use at once, so that others find a free one; without it three "
            "quarters."
        ),
    ] = None
    queue: Annotated[
        CountOrZero,
        Field(
            description="How many requests may wait for a connection. The client that uses the fewest is served next, "
            "and one that fills the queue makes room for others."
        ),
    ] = 256
    connect_timeout_seconds: Annotated[Seconds, Field(description="How long opening a connection may take.")] = 3.0
    read_timeout_seconds: Annotated[
        Seconds, Field(description="How long the FHIR server may send nothing within a response.")
    ] = 30.0
    total_timeout_seconds: Annotated[
        Seconds,
        Field(description="How long a whole request and response may take, except for bodies that are streamed."),
    ] = 60.0
    queue_timeout_seconds: Annotated[Seconds, Field(description="How long a request may wait for a connection.")] = 5.0
    idle_timeout_seconds: Annotated[Seconds, Field(description="How long an unused connection stays open.")] = 30.0
    compression: Annotated[
        Literal["none", "gzip"],
        Field(
            description="What the FHIR server is asked to compress bodies with. `gzip` is worth it in front of a "
            "server that writes a body in many small pieces, as HAPI does, or behind a slow network. A body is never "
            "decompressed beyond its limit."
        ),
    ] = "none"

    def share_of_one_client(self) -> int:
        """How many connections one client may use at once."""
        share = self.connections_per_client
        return -(-self.connections * 3 // 4) if share is None else share

    @conflict_rule
    def _large_share(self) -> Iterator[Conflict]:
        if self.connections_per_client is not None and self.connections_per_client > self.connections:
            yield Conflict(("connections_per_client",), "must not be more than connections")

    @conflict_rule
    def _long_connect_timeout(self) -> Iterator[Conflict]:
        if self.connect_timeout_seconds > self.total_timeout_seconds:
            yield Conflict(("connect_timeout_seconds",), "must not be longer than total_timeout_seconds")

    @conflict_rule
    def _long_read_timeout(self) -> Iterator[Conflict]:
        if self.read_timeout_seconds > self.total_timeout_seconds:
            yield Conflict(("read_timeout_seconds",), "must not be longer than total_timeout_seconds")


def _check_parameter_name(value: str) -> str:
    if _PARAMETER_NAME.fullmatch(value) is None:
        raise ValueError("must be the name of a search parameter: letters, digits, - and _")
    return value


ParameterName = Annotated[str, AfterValidator(_check_parameter_name)]


class Upstream(Section):
    """The FHIR server behind the gateway."""

    base_url: Annotated[BaseUrl, Field(description="The base URL of the FHIR server, without a slash at the end.")]
    aliases: Annotated[
        tuple[BaseUrl, ...],
        Field(
            description="Further base URLs that the FHIR server's references and paging links lead to; for links, that "
            "of its CapabilityStatement (`implementation.url`) counts as well. Requests go to `upstream.base_url` all "
            "the same."
        ),
    ] = ()
    authentication: Annotated[
        Authentication, Field(description="How the gateway authenticates to the FHIR server.")
    ] = NoAuthentication()
    tls: Annotated[Tls, Field(description="TLS to the FHIR server.")] = Tls()
    pool: Annotated[Pool, Field(description="Connections to the FHIR server.")] = Pool()
    max_verified_body_bytes: Annotated[
        Count,
        Field(description="The largest response that is read for verification; a larger one is refused with 502."),
    ] = 16 * 1024 * 1024
    compartment_search: Annotated[
        Flag,
        Field(description="Whether the FHIR server supports compartment searches such as `Patient/[id]/Observation`."),
    ] = False
    extra_search_parameters: Annotated[
        Annotated[
            Mapping[ResourceType, Annotated[Mapping[ParameterName, SearchType], AfterValidator(to_read_only)]],
            AfterValidator(to_read_only),
            PlainSerializer(to_plain_dict),
        ],
        Field(description="Search parameters that R4 does not define: resource type, name, and type of the parameter."),
    ] = {}

    @conflict_rule
    def _useless_certificates(self) -> Iterator[Conflict]:
        if self.tls != Tls() and not self.base_url.startswith("https://"):
            yield Conflict(("tls",), "is of no use, because upstream.base_url starts with http://")

    @conflict_rule
    def _parameters_of_r4(self) -> Iterator[Conflict]:
        """A parameter that R4 defines cannot be defined again."""
        for resource_type, parameters in self.extra_search_parameters.items():
            for name in parameters.keys() & get_search_parameters(resource_type).keys():
                yield Conflict(
                    ("extra_search_parameters", resource_type, name), f"is defined by R4 for {resource_type} already"
                )
