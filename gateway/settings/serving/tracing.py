"""Settings of traces: where spans go, and of which requests."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, PlainSerializer, Strict

from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import Flag, Line, Secret, Url, Word, to_plain_dict, to_read_only

# A header field (RFC 9110 5.5, 5.6.2), without a comma, which separates fields here.
_FIELD = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ ]*=[ ]*([!-+\--~](?:[ -+\--~]*[!-+\--~])?)")


class Tracing(Section):
    """Spans by OTLP over HTTP, for an OpenTelemetry Collector or whatever else takes them."""

    endpoint: Annotated[
        Url,
        Field(
            description="Where spans are sent by OTLP over HTTP, with the whole path, such as "
            "http://collector:4318/v1/traces."
        ),
    ]
    sample_ratio: Annotated[
        float,
        Strict(),
        Field(
            ge=0,
            le=1,
            description="The part of the traces that is recorded, decided by the trace id, as other services do.",
        ),
    ] = 1.0
    parent_based: Annotated[
        Flag,
        Field(
            description="A request that comes with a `traceparent` is recorded if that says so; false where clients "
            "must not decide it, and the ratio holds for their traces too."
        ),
    ] = True
    headers: Annotated[
        Secret | None,
        Field(description="Headers for the collector, such as the key of a service: name=value, separated by commas."),
    ] = None
    ca_file: Annotated[
        FilePath | None,
        Field(description="PEM file of the certificate authorities to trust instead of the system's."),
    ] = None
    service_name: Annotated[Line, Field(description="The name of this gateway in traces (`service.name`).")] = (
        "smart-fhir-gateway"
    )
    resource_attributes: Annotated[
        Annotated[Mapping[Word, Line], AfterValidator(to_read_only), PlainSerializer(to_plain_dict)],
        Field(
            default_factory=dict,
            description="What else all spans say of this gateway, such as `deployment.environment.name`.",
        ),
    ]

    @conflict_rule
    def _unreadable_headers(self) -> Iterator[Conflict]:
        if self.headers is not None and any(_FIELD.fullmatch(field) is None for field in self._fields()):
            yield Conflict(("headers",), "must be name=value, separated by commas")

    def header_fields(self) -> dict[str, str]:
        """The headers for the collector, by their names."""
        matches = (_FIELD.fullmatch(field) for field in self._fields())
        return {match[1]: match[2] for match in matches if match is not None}

    def _fields(self) -> list[str]:
        return [] if self.headers is None else [field.strip() for field in self.headers.get_secret_value().split(",")]
