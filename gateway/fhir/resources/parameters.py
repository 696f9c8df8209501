"""Parameters that an operation answers with, opened as far as resources in them can be judged (R4 parameters.html)."""

import msgspec

from gateway.fhir.resources.resource import MalformedResourceError

_ABSENT = msgspec.Raw()


class Parameter(msgspec.Struct, gc=False, omit_defaults=True):
    """One `Parameters.parameter`. Its values are not read, so that they are not sent on."""

    name: str = ""
    resource: msgspec.Raw = _ABSENT
    part: list["Parameter"] = []


class Parameters(msgspec.Struct, gc=False, omit_defaults=True):
    """Parameters, as far as they are read."""

    resourceType: str  # noqa: N815 - FHIR's own name
    parameter: list[Parameter] = []


_DECODER = msgspec.json.Decoder(Parameters)
_ENCODER = msgspec.json.Encoder()


def read_parameters(body: bytes | msgspec.Raw) -> list[Parameter]:
    """The parameters with their resources unread. Raises `MalformedResourceError`."""
    try:
        return _DECODER.decode(body).parameter
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not Parameters") from error


def write_parameters(parameters: list[Parameter]) -> bytes:
    """Parameters in one pass."""
    return _ENCODER.encode(Parameters("Parameters", parameters))


def write_meta_parameters(meta: msgspec.Raw | None) -> bytes:
    """The answer of `$meta` (R4 resource-operation-meta.html): `return` with the meta of a resource, if it has one."""
    value = b"{}" if meta is None else bytes(meta)
    return b'{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":' + value + b"}]}"
